/** One of the benchmark's own processes: answers each order with one reply. Ends with the runner, at the latest. */
export class Helper<Order extends object, Reply extends object> {
  readonly #process: Bun.Subprocess<"ignore", "ignore", "inherit">;
  #waiting: PromiseWithResolvers<Reply> = Promise.withResolvers();

  private constructor(script: string) {
    this.#process = Bun.spawn([process.execPath, script], {
      env: {},
      stdio: ["ignore", "ignore", "inherit"],
      serialization: "advanced",
      ipc: (reply: Reply) => this.#waiting.resolve(reply),
      onExit: (_, code) => this.#waiting.reject(new Error(`${script} ended by itself (${code})`)),
    });
  }

  /** Starts it and waits for its first word. */
  static async start<Order extends object, Reply extends object>(
    script: string,
  ): Promise<{ readonly helper: Helper<Order, Reply>; readonly first: Reply }> {
    const helper = new Helper<Order, Reply>(script);
    return { helper, first: await helper.#waiting.promise };
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** One order at a time. Rejects where the process ends. */
  async ask(order: Order): Promise<Reply> {
    this.#waiting = Promise.withResolvers();
    this.#process.send(order);
    return this.#waiting.promise;
  }

  async stop(): Promise<void> {
    this.#waiting.promise.catch(() => undefined);
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
