// The fake provider as a child process, seen from a test.

import { fileURLToPath } from "node:url";
import type { ProcessOptions, SeenRequest } from "./provider-main.ts";
import type { Step } from "./script.ts";

export class RemoteProvider implements AsyncDisposable {
  readonly url: string;
  readonly #control: string;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">, url: string, control: string) {
    this.#child = child;
    this.url = url;
    this.#control = control;
  }

  static async start(options: ProcessOptions = {}): Promise<RemoteProvider> {
    const main = fileURLToPath(new URL("./provider-main.ts", import.meta.url));
    const child = Bun.spawn([process.execPath, main, JSON.stringify(options)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    const line = await firstLine(child.stdout);
    const { url, control } = JSON.parse(line) as { url: string; control: string };
    return new RemoteProvider(child, url, control);
  }

  async requests(): Promise<SeenRequest[]> {
    const response = await fetch(`${this.#control}/requests`);
    return (await response.json()) as SeenRequest[];
  }

  /** Resolves once `count` requests that ask for a model's answer have arrived in all. */
  async arrived(count: number): Promise<void> {
    await fetch(`${this.#control}/arrived?count=${count}`);
  }

  async setCycle(steps: readonly Step[]): Promise<void> {
    await fetch(`${this.#control}/cycle`, { method: "PUT", body: JSON.stringify(steps) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the fake provider ended before it told its address");
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text.slice(0, text.indexOf("\n"));
}
