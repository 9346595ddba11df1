// The whole gateway as a child process, as a user starts it, with a home of its own.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { objectOf, objectsOf, textOf } from "./fakes/json-access.ts";
import type { Json, JsonObject } from "../src/wire/neutral.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const startDeadlineMs = 20_000;
const stopDeadlineMs = 15_000;

export interface GatewayOptions {
  /** YAML text, or an object to be written as JSON. */
  readonly config: string | object;
  /** A folder that stays; a fresh one, removed at the end, where absent. */
  readonly home?: string;
  /** Beside PATH, HOME and SANCTUM_HOME nothing is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command: a tracer that lets the gateway keep its process id. */
  readonly wrap?: readonly string[];
  /** After `start --config FILE`. */
  readonly args?: readonly string[];
  /** In place of `sh bin/sanctum`. */
  readonly program?: readonly string[];
}

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

/** No daemon outlives its test run, whatever happens to the run. */
const alive = new Set<Child>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export class Gateway implements AsyncDisposable {
  readonly home: string;
  readonly configFile: string;
  readonly #options: GatewayOptions;
  #child: Child;
  #url: string;
  readonly #output: string[];
  /** It was told to end. */
  #ended = false;

  constructor(options: GatewayOptions, home: string, configFile: string, run: Run) {
    this.#options = options;
    this.home = home;
    this.configFile = configFile;
    this.#child = run.child;
    this.#url = run.url;
    this.#output = run.output;
  }

  /** `http://127.0.0.1:PORT`; another one after `restart`. */
  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Everything it printed so far, both streams, restarts included. */
  output(): string {
    return this.#output.join("");
  }

  async stats(): Promise<Stats> {
    const response = await fetch(`${this.#url}/stats`);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`/stats is ${response.status}: ${text}`);
    return JSON.parse(text) as Stats;
  }

  /** The raw lines of the audit file, without newlines; none where there is no file yet. */
  auditText(): string[] {
    let text: string;
    try {
      text = readFileSync(join(this.home, "logs", "cloud-proxy-audit.jsonl"), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
    // The last piece is empty, or a line that is being written.
    return text.split("\n").slice(0, -1);
  }

  auditLines(): AuditLine[] {
    return this.auditText().map((line) => JSON.parse(line) as AuditLine);
  }

  /** Waits for the one line of which `fits` holds. */
  async auditLine(fits: (line: AuditLine) => boolean): Promise<AuditLine> {
    return eventually(() => {
      const found = this.auditLines().filter(fits);
      if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} audit lines fit, not 1`);
      return found[0];
    });
  }

  writeConfig(config: string | object): void {
    writeFileSync(this.configFile, configText(config), { mode: 0o600 });
  }

  /** SIGTERM; the exit code. A daemon that does not end in time is killed, and that is an error. */
  async stop(): Promise<number> {
    this.#ended = true;
    this.#child.kill("SIGTERM");
    const code = await Promise.race([this.#child.exited, deadline(stopDeadlineMs)]);
    if (code === undefined) {
      await this.kill9();
      throw new Error(`the gateway did not stop on SIGTERM:\n${this.output()}`);
    }
    return code;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits until it has ended by what the test did; the signal or the exit code. */
  async ended(): Promise<string | number | null> {
    this.#ended = true;
    await this.#child.exited;
    return this.#child.signalCode ?? this.#child.exitCode;
  }

  async kill9(): Promise<void> {
    this.#ended = true;
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  /** Starts it again on the same home; stops it first where it still runs. */
  async restart(): Promise<void> {
    if (this.#isRunning()) await this.stop();
    const run = await launch(this.#options, this.home, this.configFile, this.#output);
    this.#child = run.child;
    this.#url = run.url;
    this.#ended = false;
  }

  /** Throws where the daemon ended although nobody asked it to. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    const died = !this.#ended && !this.#isRunning();
    if (this.#isRunning()) await this.kill9();
    if (this.#options.home === undefined) rmSync(this.home, { recursive: true, force: true });
    if (died) throw new Error(`the gateway ended by itself (${exitCode ?? signalCode}):\n${this.output()}`);
  }

  #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }
}

/** Rejects with all output where the gateway ends instead of starting, or does not start in time. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "sanctum-test-"));
  chmodSync(home, 0o700);
  const configFile = join(home, "sanctum-proxy", "config.yaml");
  mkdirSync(dirname(configFile), { recursive: true, mode: 0o700 });
  writeFileSync(configFile, configText(options.config), { mode: 0o600 });
  try {
    return new Gateway(options, home, configFile, await launch(options, home, configFile, []));
  } catch (error) {
    if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

/** Starts it expecting that it refuses to; what it printed and its exit code. */
export async function refusedStart(options: GatewayOptions): Promise<{ code: number; output: string }> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  const configFile = join(home, "config.yaml");
  writeFileSync(configFile, configText(options.config), { mode: 0o600 });
  const child = spawn(options, home, configFile);
  const output: string[] = [];
  const read = Promise.all([collect(child.stdout, output), collect(child.stderr, output)]);
  const code = await Promise.race([child.exited, deadline(startDeadlineMs)]);
  if (code === undefined) child.kill("SIGKILL");
  await Promise.all([child.exited, read]);
  rmSync(home, { recursive: true, force: true });
  if (code === undefined) throw new Error(`the gateway runs, although it should refuse to:\n${output.join("")}`);
  return { code, output: output.join("") };
}

interface Run {
  readonly child: Child;
  readonly url: string;
  readonly output: string[];
}

async function launch(options: GatewayOptions, home: string, configFile: string, output: string[]): Promise<Run> {
  const child = spawn(options, home, configFile);
  const listening = Promise.withResolvers<string>();
  let seen = "";
  const look = (text: string): void => {
    seen += text;
    const found = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(seen);
    if (found?.[1] !== undefined) listening.resolve(found[1]);
  };
  const read = Promise.all([collect(child.stdout, output, look), collect(child.stderr, output)]);
  const url = await Promise.race([listening.promise, child.exited.then(() => null), deadline(startDeadlineMs)]);
  if (typeof url === "string") return { child, url, output };
  child.kill("SIGKILL");
  await Promise.all([child.exited, read]);
  throw new Error(`the gateway did not start (exit code ${child.exitCode}):\n${output.join("")}`);
}

function spawn(options: GatewayOptions, home: string, configFile: string): Child {
  const child = Bun.spawn(
    [
      ...(options.wrap ?? []),
      ...(options.program ?? ["sh", join(root, "bin", "sanctum")]),
      "start",
      "--config",
      configFile,
      ...(options.args ?? []),
    ],
    {
      cwd: home,
      env: {
        PATH: process.env["PATH"] ?? "/usr/bin:/bin",
        HOME: home,
        SANCTUM_HOME: home,
        // Tests store nothing in the keychain of whoever runs them.
        SANCTUM_KEYCHAIN: "off",
        ...options.env,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  alive.add(child);
  void child.exited.then(() => alive.delete(child));
  return child;
}

async function collect(
  stream: ReadableStream<Uint8Array>,
  into: string[],
  look: (text: string) => void = () => undefined,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const text = decoder.decode(bytes, { stream: true });
    into.push(text);
    look(text);
  }
}

function configText(config: string | object): string {
  return typeof config === "string" ? config : JSON.stringify(config, null, 2);
}

async function deadline(ms: number): Promise<undefined> {
  await Bun.sleep(ms);
  return undefined;
}

/** Repeats `check` until it does not throw; its last error where the time is up. */
export async function eventually<T>(check: () => T | Promise<T>, deadlineMs = 5_000): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await Bun.sleep(10);
  }
}

/** An agent's token, the same in every run, and how the configuration names it. */
export function tokenOf(agent: string): { token: string; hash: string } {
  const token = `sk-sanctum-${agent}-${createHash("sha256").update(agent).digest("base64url")}`;
  return { token, hash: `sha256:${createHash("sha256").update(token).digest("hex")}` };
}

/** What is wrong with a chain of audit lines, verified without any code of the gateway; empty where it holds. */
export function faultsOfChain(lines: readonly string[]): string[] {
  const faults: string[] = [];
  let previous: { seq: number; hash: string } | null = null;
  for (const line of lines) {
    const entry = objectOf(JSON.parse(line) as Json);
    const seq = Number(entry?.["seq"]);
    if (previous !== null && seq !== previous.seq + 1) faults.push(`seq ${seq} follows ${previous.seq}`);
    if (previous !== null && entry?.["prev"] !== previous.hash)
      faults.push(`prev of seq ${seq} is not the line before`);
    previous = { seq, hash: `sha256:${createHash("sha256").update(line).digest("hex")}` };
  }
  return faults;
}

export interface AuditLine extends JsonObject {
  seq: number;
  id: string;
  agent: string;
  outcome: string;
  status: number;
  usd: number;
}

/** The attempts of an audit line as `candidate:outcome`. */
export function attemptsOf(line: AuditLine): string[] {
  return objectsOf(line["attempts"]).map((attempt) => `${textOf(attempt["candidate"])}:${textOf(attempt["outcome"])}`);
}

/** The parts of `/stats` that tests read. */
export interface Stats {
  readonly in_flight: number;
  readonly config: { readonly generation: number; readonly loaded_at: string; readonly fault: unknown };
  readonly agents: Readonly<Record<string, AgentStats>>;
  readonly providers: Readonly<
    Record<string, { readonly state: string; readonly requests: number; readonly key: string }>
  >;
  readonly audit: { readonly entries: number; readonly head: string; readonly fault: unknown };
  readonly totals: { readonly requests: number; readonly spent_usd: number };
  readonly ledger: { readonly fault: string | null; readonly exceeded: number; readonly notes: readonly string[] };
}

export interface AgentStats {
  readonly daily_usd: number;
  readonly spent_usd: number;
  readonly held_usd: number;
  readonly remaining_usd: number;
  readonly requests: number;
  readonly cloud: number;
  readonly local: number;
  readonly refused: number;
  readonly errors: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
}
