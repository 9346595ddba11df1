// What the environment may not do to us, and the one re-execution that cleans it.

import { vendorKeyPattern } from "./vendor-keys.ts";

/** Set to what: the process would print keys, skip certificate checks or open a debugger. */
const dangerous: readonly {
  readonly name: string;
  readonly when: (value: string) => boolean;
  readonly does: string;
}[] = [
  { name: "NODE_TLS_REJECT_UNAUTHORIZED", when: (v) => v === "0", does: "switches the check of TLS certificates off" },
  {
    name: "BUN_CONFIG_VERBOSE_FETCH",
    when: (v) => v !== "" && v !== "0" && v !== "false",
    does: "prints every request with its key",
  },
  { name: "NODE_DEBUG", when: (v) => v !== "", does: "can print requests with their keys" },
  { name: "SSLKEYLOGFILE", when: (v) => v !== "", does: "writes TLS keys to a file" },
  { name: "BUN_INSPECT", when: (v) => v !== "", does: "opens a debugger that can read keys" },
  { name: "BUN_INSPECT_CONNECT_TO", when: (v) => v !== "", does: "opens a debugger that can read keys" },
  { name: "NODE_V8_COVERAGE", when: (v) => v !== "", does: "writes out what the process does" },
];

/** Dropped silently or with a word, since a well-meaning shell may set them. */
const dropped: readonly { readonly pattern: RegExp; readonly say: string | null }[] = [
  { pattern: /^(https?|all|no)_proxy$/i, say: null },
  { pattern: /^(NODE_OPTIONS|BUN_OPTIONS|NODE_PATH)$/, say: null },
  { pattern: /^NODE_EXTRA_CA_CERTS$/, say: null },
  {
    pattern: vendorKeyPattern,
    say: "is ignored and removed from the gateway's environment; keys belong in the keychain: `sanctum keys set PROVIDER`",
  },
];

/** The most `fetch` calls that may run at once; Bun's own default of 256 would make the rest wait unseen. */
export const maxRequests = "65336";

/** One sentence per variable that the gateway refuses to start with. */
export function dangersIn(env: Readonly<Record<string, string | undefined>>): string[] {
  return dangerous
    .filter(({ name, when }) => env[name] !== undefined && when(env[name]))
    .map(({ name, does }) => `${name} is set: it ${does}. Unset it and start again (\`unset ${name}\`).`);
}

/** The environment to run in, and what is to be said about it. */
export function cleanEnvironment(env: Readonly<Record<string, string | undefined>>): {
  readonly env: Record<string, string>;
  readonly changed: boolean;
  readonly notes: string[];
} {
  const kept: Record<string, string> = {};
  const notes: string[] = [];
  let changed = false;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    const rule = dropped.find(({ pattern }) => pattern.test(name));
    if (rule === undefined) kept[name] = value;
    else {
      changed = true;
      if (rule.say !== null) notes.push(`${name} ${rule.say}`);
    }
  }
  if (kept["BUN_CONFIG_MAX_HTTP_REQUESTS"] !== maxRequests) {
    kept["BUN_CONFIG_MAX_HTTP_REQUESTS"] = maxRequests;
    changed = true;
  }
  return { env: kept, changed, notes };
}

/**
 * Replaces this process by itself with a clean environment; the process id stays. Returns only where nothing had to
 * change. The limit of `fetch` is read once, when the runtime starts: there is no other way to lift it.
 */
export function reexecuteClean(say: (line: string) => void): void {
  const { env, changed, notes } = cleanEnvironment(process.env);
  for (const note of notes) say(note);
  if (!changed) return;
  const compiled = Bun.main.startsWith("/$bunfs/") || Bun.main.startsWith("B:/~BUN/");
  const argv = compiled
    ? [process.execPath, ...process.argv.slice(2)]
    : [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve!(process.execPath, argv, env);
}
