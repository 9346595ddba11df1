import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Prompter } from "../layers/vault/index.ts";
import { systemClock, systemRandom } from "../clock.ts";
import { formatFault } from "../config/fault.ts";
import { clientAddressOf, curlLine } from "./client-address.ts";
import { dangersIn, reexecuteClean } from "./environment.ts";
import { reapLater } from "./reap.ts";
import { becomeSuccessor, programCommand, startSuccessor, TAKE_OVER, takeOverOf, type TakeOver } from "./successor.ts";
import { isInBackground } from "./background.ts";
import { endOnFatal } from "./fatal.ts";
import type { Predecessor as PredecessorOf } from "../handover/predecessor.ts";
import type { Io } from "./io.ts";
import type { TerminalPrompter } from "./terminal-prompter.ts";
import { findVaultKey } from "./vault-key.ts";

const exitConfiguration = 78;
/** How often it is looked whether the process that serves in our place still does. */
const standByEveryMs = 500;

/** Runs the gateway in the foreground until SIGTERM, SIGINT or `sanctum stop`. Sets `process.exitCode` where it can't start. */
export async function runStart(io: Io): Promise<void> {
  const dangers = dangersIn(process.env);
  if (dangers.length > 0) {
    for (const danger of dangers) io.err(`sanctum: ${danger}\n`);
    process.exitCode = 1;
    return;
  }
  reexecuteClean((note) => io.err(`sanctum: ${note}\n`));
  await run(io);
}

async function run(io: Io): Promise<void> {
  // Before anything listens: who reads "listening" may send a signal at once.
  const signals = listenForSignals();
  // Loaded here, so that the other commands start without the daemon's parts.
  const [{ ConfigurationError, Daemon, version }, { NobodyRuns, Predecessor }, { vaultKey }] = await Promise.all([
    import("../daemon/daemon.ts"),
    import("../handover/predecessor.ts"),
    import("../layers/vault/index.ts"),
  ]);
  const textOf = (error: unknown): string =>
    error instanceof ConfigurationError
      ? error.faults.map((fault) => `${formatFault(fault)}\n`).join("")
      : `sanctum: ${error instanceof Error ? error.message : String(error)}\n`;
  const asking = new AbortController();
  const takeOver = takeOverOf(process.env);
  // Commands that fetch keys inherit the environment.
  delete process.env[TAKE_OVER];
  const prompter = await terminalPrompter(io, () => {
    asking.abort();
    // The terminal was in raw mode, so that no signal came of it.
    process.kill(process.pid, "SIGINT");
  });
  // Whoever was asked before has answered, or will be asked at the next start.
  const terminal = takeOver === null ? prompter : null;
  const report = (line: string): void => {
    const dated = `${new Date().toISOString()} ${line}`;
    if (terminal === null) io.err(`${dated}\n`);
    else terminal.log(dated);
  };
  endOnFatal(report);
  const command = programCommand();
  const meet = async (kind: TakeOver): Promise<PredecessorOf | undefined> => {
    try {
      return await Predecessor.meet(join(io.home, "run/admin.sock"));
    } catch (error) {
      // The one that had taken over has ended meanwhile: this is a start like any other.
      if (kind === "again" && error instanceof NobodyRuns) return undefined;
      throw error;
    }
  };
  let predecessor: PredecessorOf | undefined;
  let daemon: Awaited<ReturnType<typeof Daemon.start>>;
  try {
    if (takeOver !== null) predecessor = await meet(takeOver);
    const unlocked = (await predecessor?.vaultKey()) ?? null;
    daemon = await Daemon.start({
      home: io.home,
      configFile: io.configFile,
      clock: systemClock,
      random: systemRandom,
      report,
      vaultKey: (identityFile) =>
        unlocked === null ? findVaultKey(process.env, identityFile) : vaultKey(unlocked.kind, unlocked.bytes),
      prompter: terminal ?? (await desktopPrompter()),
      startSuccessor: () => startSuccessor(command, io.configFile),
      ...(predecessor !== undefined && { takeOver: { predecessor, keepsConfig: takeOver === "again" } }),
    });
  } catch (error) {
    const text = textOf(error);
    io.err(text);
    process.exitCode = error instanceof ConfigurationError ? exitConfiguration : 1;
    await predecessor?.failed(text.trim());
    if (takeOver === "again") await standBy(io, signals, report);
    return;
  }
  if (takeOver === "again" && predecessor !== undefined) reapLater(predecessor.greeting.pid);
  if (takeOver === null) greet(io, daemon, version);
  else report(`process ${process.pid} (version ${version}) serves on ${daemon.urls.join(", ")}`);
  // Requests are served meanwhile, by whoever needs no key that is asked for.
  asking.signal.addEventListener("abort", () => daemon.endAsking(), { once: true });
  if (terminal !== null) void askAtTerminal(io, terminal, daemon, asking.signal);
  const ending = await untilStopped(daemon, signals, report, () => asking.abort());
  // One that was started beside another is not the one that anybody outside knows.
  if (ending !== "stopped" && takeOver !== "beside") {
    becomeSuccessor(command, io.configFile);
    report("the program can't be started again; the other process goes on without this one");
    await standBy(io, signals, report);
  }
  report("stopped");
  // Upstream connections kept alive for reuse must not keep the process.
  process.exit(0);
}

type RunningDaemon = Pick<
  import("../daemon/daemon.ts").Daemon,
  | "urls"
  | "local"
  | "describeKeys"
  | "reload"
  | "stop"
  | "stopRequested"
  | "ended"
  | "vaultNeeds"
  | "unlockVault"
  | "askForKeys"
  | "endAsking"
>;

/** Null: nobody sits at a terminal here. */
async function terminalPrompter(io: Io, interrupt: () => void): Promise<TerminalPrompter | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY || isInBackground()) return null;
  const { TerminalPrompter } = await import("./terminal-prompter.ts");
  return new TerminalPrompter({ write: (text) => io.err(text), interrupt });
}

async function desktopPrompter(): Promise<Prompter | undefined> {
  const { DialogPrompter, findDialogProgram } = await import("../layers/vault/index.ts");
  const program = findDialogProgram({ env: process.env, platform: process.platform });
  return program === null ? undefined : new DialogPrompter(program);
}

/** The vault's passphrase, then the keys that are missing. Never rejects; ends early where `signal` aborts. */
async function askAtTerminal(
  io: Io,
  terminal: TerminalPrompter,
  daemon: RunningDaemon,
  signal: AbortSignal,
): Promise<void> {
  try {
    await askForVault(io, terminal, daemon, signal);
    await daemon.askForKeys();
  } catch (error) {
    if (signal.aborted) return;
    io.err(`sanctum: the keys can't be asked for: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

async function askForVault(
  io: Io,
  terminal: TerminalPrompter,
  daemon: RunningDaemon,
  signal: AbortSignal,
): Promise<void> {
  if (daemon.vaultNeeds !== "passphrase") return;
  const { vaultKey } = await import("../layers/vault/index.ts");
  terminal.tell("\nThe keys are in vault.age. Its passphrase is not shown; Enter alone leaves it locked.\n");
  for (let tries = 3; tries > 0 && daemon.vaultNeeds !== null; tries--) {
    const typed = await terminal.ask("Passphrase: ", signal);
    signal.throwIfAborted();
    if (typed === null || typed.length === 0) return;
    const { ok, text } = await daemon.unlockVault(vaultKey("passphrase", typed));
    if (!ok) terminal.tell(text);
    else for (const line of keyLines(daemon)) io.out(`${line}\n`);
  }
}

function greet(io: Io, daemon: RunningDaemon, version: string): void {
  const there = existsSync(io.configFile) ? "" : " (not there: built-in defaults)";
  io.out(`Sanctum Cloud Proxy ${version}\n`);
  io.out(`configuration: ${io.configFile}${there}\n`);
  for (const line of keyLines(daemon)) io.out(`${line}\n`);
  if (daemon.local.models.length === 0) io.out("local models: none found; start one with e.g. `ollama serve`\n");
  for (const { provider, model } of daemon.local.models.slice(0, 20)) io.out(`local model: ${provider}/${model}\n`);
  for (const address of daemon.urls) io.out(`listening on ${address}\n`);
  io.out("\nConnect a client:\n");
  const address = clientAddressOf(daemon.urls)!;
  if ("url" in address) {
    const { url } = address;
    io.out(`  Claude Code, Anthropic SDKs   ANTHROPIC_BASE_URL=${url} ANTHROPIC_AUTH_TOKEN=anonymous\n`);
    io.out(`  OpenAI SDKs, Codex, the rest  OPENAI_BASE_URL=${url}/v1 OPENAI_API_KEY=anonymous\n`);
    io.out("  Any of them, as an agent      sanctum run AGENT -- COMMAND\n");
    io.out(`See who spends what: ${url}/dashboard (as JSON: /stats)\n`);
  } else {
    io.out(`  ${curlLine(address.socketPath, "anonymous")}\n`);
    io.out("See who spends what: sanctum stats\n");
  }
}

function keyLines(daemon: RunningDaemon): string[] {
  return [...keysByState(daemon)].map(([text, providers]) => `keys: ${providers.join(", ")}: ${text}`);
}

/** Providers that are alike in this share a line. */
function keysByState(daemon: RunningDaemon): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const key of daemon.describeKeys()) {
    // The advice names its provider; one line for all says it once.
    const text = keyText(key).replace(`keys set ${key.provider}`, "keys set PROVIDER");
    groups.set(text, [...(groups.get(text) ?? []), key.provider]);
  }
  return groups;
}

function keyText(key: ReturnType<RunningDaemon["describeKeys"]>[number]): string {
  if (key.source === "none") return "none needed";
  if (key.source === "passthrough") return "each client's own";
  return key.state === "ok" ? `there (${key.source})` : `${key.state}: ${key.reason ?? key.source}`;
}

interface Signals {
  readonly first: Promise<void>;
  readonly second: Promise<void>;
  /** What SIGHUP does, once there is something to do. */
  onHangUp: () => void;
}

function listenForSignals(): Signals {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const signals: Signals = { first: first.promise, second: second.promise, onHangUp: () => undefined };
  let count = 0;
  const onSignal = (): void => (++count === 1 ? first.resolve() : second.resolve());
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", () => signals.onHangUp());
  return signals;
}

/** The first signal lets running streams finish, the second one ends them. `endAsking` sets the terminal back. */
async function untilStopped(
  daemon: RunningDaemon,
  signals: Signals,
  report: (line: string) => void,
  endAsking: () => void,
): Promise<"replaced" | "stopped"> {
  signals.onHangUp = () => void daemon.reload().then(({ ok, text }) => ok || report(text));
  const ended = await Promise.race([signals.first, daemon.stopRequested, daemon.ended]);
  endAsking();
  if (ended !== undefined) return ended;
  report("stopping: no new requests; running ones may finish");
  const gracefully = daemon.stop();
  await Promise.race([gracefully, signals.second.then(() => daemon.stop(0))]);
  return "stopped";
}

/**
 * Another process serves in the place of this one, which only keeps the process id: for a terminal or a service manager the
 * gateway runs while it does. Signals go on to the other one. Ends with it.
 */
async function standBy(io: Io, signals: Signals, report: (line: string) => void): Promise<void> {
  const { createAdminClient } = await import("../admin/admin-client.ts");
  const admin = createAdminClient(join(io.home, "run/admin.sock"));
  const tell = (path: string): void => void admin.post(path).catch(() => undefined);
  const answers = (): Promise<boolean> =>
    admin.get("/process").then(
      () => true,
      () => false,
    );
  signals.onHangUp = () => tell("/reload");
  void signals.first.then(() => tell("/stop"));
  if (await answers()) report(`process ${process.pid} waits for the one that serves`);
  while (await answers()) await Bun.sleep(standByEveryMs);
}
