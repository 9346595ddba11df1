import { existsSync } from "node:fs";
import { systemClock, systemRandom } from "../clock.ts";
import { formatFault } from "../config/fault.ts";
import { clientAddressOf, curlLine } from "./client-address.ts";
import { dangersIn, reexecuteClean } from "./environment.ts";
import type { Io } from "./io.ts";
import { findVaultKey } from "./vault-key.ts";

/** Running streams may go on for so long after SIGTERM. */
const graceMs = 30_000;
const exitConfiguration = 78;

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
  const { ConfigurationError, Daemon, version } = await import("../daemon/daemon.ts");
  const report = (line: string): void => io.err(`${new Date().toISOString()} ${line}\n`);
  let daemon: Awaited<ReturnType<typeof Daemon.start>>;
  try {
    daemon = await Daemon.start({
      home: io.home,
      configFile: io.configFile,
      clock: systemClock,
      random: systemRandom,
      report,
      vaultKey: (identityFile) => findVaultKey(process.env, identityFile),
    });
  } catch (error) {
    if (error instanceof ConfigurationError) {
      for (const fault of error.faults) io.err(`${formatFault(fault)}\n`);
      process.exitCode = exitConfiguration;
    } else {
      io.err(`sanctum: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
    return;
  }
  await askForVault(io, daemon);
  greet(io, daemon, version);
  await untilStopped(daemon, signals, report);
}

type RunningDaemon = Pick<
  import("../daemon/daemon.ts").Daemon,
  "urls" | "local" | "describeKeys" | "reload" | "stop" | "stopRequested" | "vaultNeeds" | "unlockVault"
>;

/** On a terminal the vault's passphrase is asked for; requests are served meanwhile, by whoever needs no key of it. */
async function askForVault(io: Io, daemon: RunningDaemon): Promise<void> {
  if (daemon.vaultNeeds !== "passphrase" || !process.stdin.isTTY) return;
  const { readHidden, standardInput } = await import("./hidden-input.ts");
  const { vaultKey } = await import("../layers/vault/index.ts");
  for (let tries = 3; tries > 0 && daemon.vaultNeeds !== null; tries--) {
    const question = "Passphrase of vault.age (not shown; Enter alone leaves it locked): ";
    const typed = await readHidden(standardInput(), () => io.err(question), 1_024);
    io.err("\n");
    // The terminal was in raw mode, so that no signal came of it.
    if (typed === null) process.kill(process.pid, "SIGINT");
    if (typed === null || typed.length === 0) return;
    const { ok, text } = await daemon.unlockVault(vaultKey("passphrase", typed));
    if (!ok) io.err(`sanctum: ${text}\n`);
  }
}

function greet(io: Io, daemon: RunningDaemon, version: string): void {
  const there = existsSync(io.configFile) ? "" : " (not there: built-in defaults)";
  io.out(`Sanctum Cloud Proxy ${version}\n`);
  io.out(`configuration: ${io.configFile}${there}\n`);
  for (const [text, providers] of keysByState(daemon)) io.out(`keys: ${providers.join(", ")}: ${text}\n`);
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
    io.out(`See who spends what: ${url}/stats\n`);
  } else {
    io.out(`  ${curlLine(address.socketPath, "anonymous")}\n`);
    io.out("See who spends what: sanctum stats\n");
  }
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

/** The first signal lets running streams finish, the second one ends them. */
async function untilStopped(daemon: RunningDaemon, signals: Signals, report: (line: string) => void): Promise<void> {
  signals.onHangUp = () => void daemon.reload().then(({ ok, text }) => ok || report(text));
  await Promise.race([signals.first, daemon.stopRequested]);
  report("stopping: no new requests; running ones may finish");
  const gracefully = daemon.stop(graceMs);
  await Promise.race([gracefully, signals.second.then(() => daemon.stop(0))]);
  report("stopped");
  // Upstream connections kept alive for reuse must not keep the process.
  process.exit(0);
}
