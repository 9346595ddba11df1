// A server that counts tokens, and nothing else, in the way of whoever it is taken for.

import type { JsonObject } from "../../src/wire/neutral.ts";
import { parseObject } from "../fakes/json-access.ts";

export interface Counted {
  readonly path: string;
  readonly headers: Headers;
  readonly text: string;
  readonly body: JsonObject;
}

export class CountingServer implements Disposable {
  readonly requests: Counted[] = [];
  /** What each question gets. */
  answer: () => Response | Promise<Response> = () => Response.json({ input_tokens: 4321 });
  readonly #server: Bun.Server<undefined>;

  constructor() {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        if (request.method !== "POST") return new Response("", { status: 404 });
        const text = await request.text();
        const { pathname } = new URL(request.url);
        this.requests.push({ path: pathname, headers: request.headers, text, body: parseObject(text) });
        return this.answer();
      },
    });
  }

  /** Without a path. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}
