// What a process asked of the disk and of the network, in order, from strace(1): the calls of all its threads, each with
// the path of its file (`-y`) and all its bytes in hex (`-xx`).

/** Put before a command. `-D`: the traced program keeps its process id. `-s`: no write of ours is longer. */
export function straceOptions(output: string): readonly string[] {
  const calls = [...fileCalls, ...nameCalls, ...syncCalls, ...netCalls].join(",");
  return `strace -D -f -y -xx -s 1048576 --seccomp-bpf -e trace=${calls} -o`.split(" ").concat(output);
}

const fileCalls = ["write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate"] as const;
const nameCalls = ["openat", "rename", "renameat", "renameat2", "unlink", "unlinkat"] as const;
const syncCalls = ["fsync", "fdatasync"] as const;
const netCalls = ["sendto", "sendmsg"] as const;

export type TraceEvent =
  | { readonly what: "create" | "unlink"; readonly path: string }
  | { readonly what: "rename"; readonly path: string; readonly to: string }
  /** `offset` null: at the end of the file. */
  | { readonly what: "write"; readonly path: string; readonly offset: number | null; readonly bytes: Buffer }
  | { readonly what: "truncate"; readonly path: string; readonly size: number }
  /** `begun`: what was written from here on need not be covered. */
  | { readonly what: "sync"; readonly path: string; readonly begun: number }
  | { readonly what: "send"; readonly bytes: Buffer };

/**
 * The events below `home` in the order in which they could take effect: a write when it was called, a sync when it came
 * back. Throws for a call that it does not know how to read: a model of the disk that misses one proves nothing.
 */
export function readTrace(text: string, home: string): TraceEvent[] {
  const events: TraceEvent[] = [];
  const begun = new Map<string, { readonly path: string; readonly at: number }>();
  for (const line of text.split("\n")) {
    const match = /^(\d+) +(?:<\.\.\. )?([a-z0-9_]+)(\(| resumed>)(.*)$/.exec(line);
    if (match === null) continue;
    const [, pid, call = "", opening, rest = ""] = match;
    const thread = `${pid} ${call}`;
    if (opening !== "(") {
      const sync = begun.get(thread);
      begun.delete(thread);
      if (sync !== undefined && rest.endsWith(" = 0")) events.push({ what: "sync", path: sync.path, begun: sync.at });
      continue;
    }
    const unfinished = rest.endsWith("<unfinished ...>");
    if (/ = -1 E[A-Z]+ \(/.test(rest)) continue;
    const event = eventOf(call, rest, home, events.length);
    if (event === null) continue;
    if (event.what === "sync" && unfinished) begun.set(thread, { path: event.path, at: events.length });
    else events.push(event);
  }
  return events;
}

function eventOf(call: string, rest: string, home: string, at: number): TraceEvent | null {
  if (isOne(netCalls, call)) return { what: "send", bytes: Buffer.concat(stringsOf(rest)) };
  if (isOne(nameCalls, call)) return nameEvent(call, rest, home);
  const path = pathOfDescriptor(rest);
  if (path === null || !isOurs(path, home)) {
    // Bun writes to sockets in both ways.
    return call === "write" || call === "writev" ? { what: "send", bytes: Buffer.concat(stringsOf(rest)) } : null;
  }
  if (isOne(syncCalls, call)) return { what: "sync", path, begun: at };
  if (call === "write") return { what: "write", path, offset: null, bytes: stringsOf(rest)[0] ?? Buffer.alloc(0) };
  const number = /, (\d+)\)?(?: +=| <unfinished)/.exec(rest)?.[1];
  if (call === "pwrite64" && number !== undefined) {
    return { what: "write", path, offset: Number(number), bytes: stringsOf(rest)[0] ?? Buffer.alloc(0) };
  }
  if (call === "ftruncate" && number !== undefined) return { what: "truncate", path, size: Number(number) };
  throw new Error(`the trace has a call that the model does not know: ${call} on ${path}`);
}

function nameEvent(call: string, rest: string, home: string): TraceEvent | null {
  const [path = "", to = ""] = stringsOf(rest).map((bytes) => bytes.toString("utf8"));
  if (!isOurs(path, home)) return null;
  if (call === "openat") return rest.includes("O_CREAT") ? { what: "create", path } : null;
  if (call === "unlink" || call === "unlinkat") return { what: "unlink", path };
  if (call.startsWith("rename") && isOurs(to, home)) return { what: "rename", path, to };
  throw new Error(`the trace has a call that the model does not know: ${call} of ${path}`);
}

/** Of the ledger and the audit trail; what the runtime caches elsewhere is not looked at. */
function isOurs(path: string, home: string): boolean {
  return path.startsWith(`${home}/state/`) || path === `${home}/state` || path.startsWith(`${home}/logs`);
}

function isOne(names: readonly string[], call: string): boolean {
  return names.includes(call);
}

const pathOfDescriptor = (rest: string): string | null => {
  const hex = /^\d+<((?:\\x[0-9a-f]{2})*)/.exec(rest)?.[1];
  return hex === undefined ? null : bytesOf(hex).toString("utf8");
};

const stringsOf = (rest: string): Buffer[] =>
  [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => bytesOf(match[1]!));

const bytesOf = (escaped: string): Buffer => Buffer.from(escaped.replaceAll("\\x", ""), "hex");
