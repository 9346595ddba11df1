// The processes of a run: none outlives it, however it ends.

import { connect } from "node:net";
import { treeOf } from "./process-usage.ts";

const startDeadlineMs = 20_000;
const stopDeadlineMs = 5_000;

const running = new Set<Child>();
process.on("exit", () => {
  for (const child of running) child.killNow();
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));

export interface ChildOptions {
  readonly command: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** A server as a child process, ready when its port takes connections. */
export class Child {
  readonly #process: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #errors: Promise<string>;

  private constructor(options: ChildOptions) {
    const { command, env, cwd } = options;
    this.#process = Bun.spawn([...command], { env, cwd, stdio: ["ignore", "ignore", "pipe"] });
    this.#errors = new Response(this.#process.stderr).text();
    running.add(this);
  }

  /** Throws, with what it wrote to stderr, where it ends or does not listen in time. */
  static async start(options: ChildOptions, port: number): Promise<Child> {
    const child = new Child(options);
    const until = performance.now() + startDeadlineMs;
    while (!(await isOpen(port))) {
      if (child.#process.exitCode === null && performance.now() < until) {
        await Bun.sleep(10);
        continue;
      }
      await child.stop();
      throw new Error(`${command0(options)} did not start: ${(await child.#errors).trim().slice(-500)}`);
    }
    return child;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Asks it to end; kills what is left of it after a while. */
  async stop(): Promise<void> {
    const tree = treeOf(this.pid);
    this.#process.kill("SIGTERM");
    const late = Bun.sleep(stopDeadlineMs).then(() => "late");
    if ((await Promise.race([this.#process.exited, late])) === "late") {
      killAll(tree);
      await this.#process.exited;
    }
    running.delete(this);
  }

  killNow(): void {
    if (this.#process.exitCode === null) killAll(treeOf(this.pid));
  }
}

function command0({ command }: ChildOptions): string {
  return command.find((word) => word !== "sh" && !word.startsWith("-"))?.replace(/.*\//, "") ?? "";
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      // It has ended by itself between the look and the kill.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
    }
  }
}

async function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  socket.on("connect", () => resolve(true));
  socket.on("error", () => resolve(false));
  const open = await promise;
  socket.destroy();
  return open;
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
