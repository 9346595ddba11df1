import type { Socket } from "bun";
import { HttpMessageReader } from "./http-message.ts";
import type { Target } from "./jobs.ts";

type OnEnd = (failure: string | null) => void;

/** One kept-alive connection that sends the same request again and again, one at a time. */
export class HttpClient {
  readonly #request: Buffer;
  readonly #reader: HttpMessageReader;
  readonly #connected: Promise<unknown>;
  #socket: Socket | null = null;
  #sent = 0;
  #onEnd: OnEnd | null = null;
  /** What ended the connection. */
  #failure: string | null = null;

  constructor(target: Target, onBody: ((part: Buffer) => void) | null = null) {
    this.#request = requestBytes(target);
    this.#sent = this.#request.length;
    this.#reader = new HttpMessageReader(onBody);
    this.#connected = Bun.connect({
      hostname: "127.0.0.1",
      port: target.port,
      socket: {
        open: (socket) => {
          socket.setNoDelay(true);
          this.#socket = socket;
          this.#write();
        },
        data: (_, bytes) => this.#read(bytes),
        drain: () => this.#write(),
        close: () => this.#fail("the connection was closed"),
        error: (_, error) => this.#fail(error.message),
        connectError: (_, error) => this.#fail(error.message),
      },
    }).catch((error: unknown) => this.#fail(error instanceof Error ? error.message : String(error)));
  }

  /** Connects all before the first request, so that no job measures connecting. Throws where one cannot connect. */
  static async openMany(target: Target, count: number): Promise<HttpClient[]> {
    const clients = Array.from({ length: count }, () => new HttpClient(target));
    await Promise.all(clients.map((client) => client.#connected));
    const failed = clients.find((client) => client.#failure !== null);
    if (failed === undefined) return clients;
    for (const client of clients) client.close();
    throw new Error(failed.#failure ?? "");
  }

  /** Sends the request; `onEnd` is called once, with null where a whole answer with status 200 came. */
  send(onEnd: OnEnd): void {
    this.#onEnd = onEnd;
    this.#sent = 0;
    if (this.#failure === null) this.#write();
    else this.#end(this.#failure);
  }

  close(): void {
    this.#onEnd = null;
    this.#socket?.terminate();
  }

  #write(): void {
    const request = this.#request;
    if (this.#socket === null || this.#sent === request.length) return;
    this.#sent += Math.max(0, this.#socket.write(request, this.#sent));
  }

  #read(bytes: Buffer): void {
    let whole: boolean;
    try {
      whole = this.#reader.push(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
      this.#socket?.terminate();
      return;
    }
    if (!whole) return;
    const { head } = this.#reader;
    this.#end(head.startsWith("HTTP/1.1 200") ? null : head.slice(0, head.indexOf("\r")));
  }

  #fail(why: string): void {
    this.#failure ??= why;
    this.#end(why);
  }

  #end(failure: string | null): void {
    const onEnd = this.#onEnd;
    this.#onEnd = null;
    onEnd?.(failure);
  }
}

/** Requests for the same target are the same bytes; a megabyte of them is not built once a connection. */
const built = new WeakMap<Target, Buffer>();

function requestBytes(target: Target): Buffer {
  let bytes = built.get(target);
  if (bytes === undefined) {
    const headers = { host: `127.0.0.1:${target.port}`, "content-type": "application/json", ...target.headers };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const length = Buffer.byteLength(target.body);
    bytes = Buffer.from(
      `POST ${target.path} HTTP/1.1\r\n${lines.join("")}content-length: ${length}\r\n\r\n${target.body}`,
    );
    built.set(target, bytes);
  }
  return bytes;
}
