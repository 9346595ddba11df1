// A cloud (or a local server) under load: it does what the prompt orders, and keeps of each call what a vendor would
// bill for it, and nothing else. Many accounts may share one.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Dialect } from "../../src/wire/neutral.ts";
import { chatErrorEvent, renderChat } from "../fakes/chat-wire.ts";
import { Connection, headText } from "../fakes/connection.ts";
import { RequestParser, type RawRequest } from "../fakes/http-parser.ts";
import { parseObject, textOf } from "../fakes/json-access.ts";
import { faultsOfChat, faultsOfMessages, faultsOfResponses } from "../fakes/legal.ts";
import { messagesErrorEvent, renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses, responsesErrorEvent } from "../fakes/responses-wire.ts";
import type { FakeAnswer, Rendered } from "../fakes/script.ts";
import { errorBody, modelsAnswer, ollamaTags } from "../fakes/small-answers.ts";
import { answerTextOf, orderIn, type Order } from "./traffic.ts";

/** Micro-dollars a token, so that every amount is whole in the books and in the trail. */
export const microsPerToken = { input: 3, output: 15 };
const bytesPerToken = 4;
const pieceLength = 8;
const tickMs = 10;

/** How a call ended, seen from the provider. */
export type CallEnd = "answered" | "refused" | "broken" | "left";

/** One call, as the vendor's account would list it. */
export interface Bill {
  readonly n: number;
  readonly end: CallEnd;
  readonly micros: number;
  /** What a complete answer would have cost. */
  readonly fullMicros: number;
  /** Of `micros`, what the other side may never have got: a reset throws away what it had not read. */
  readonly lostMicros: number;
  /** When the other side closed the connection, monotonic milliseconds; null: it did not, or not before the end. */
  readonly closedAt: number | null;
}

export interface BillingProviderOptions {
  readonly local: boolean;
  readonly models?: readonly string[];
  /** Answers 503 whatever is ordered. */
  readonly isDown?: boolean;
}

interface Call {
  readonly serial: number;
  readonly order: Order;
  readonly dialect: Dialect;
  readonly stream: boolean;
  readonly rendered: Rendered;
  readonly connection: Connection;
  readonly promptTokens: number;
  readonly outputTokens: number;
  /** Events of the answer's text that were written. */
  written: number;
}

export class BillingProvider implements AsyncDisposable {
  /** By the id that the answer's headers tell, which the trail repeats. */
  readonly bills = new Map<string, Bill>();
  /** Requests that a vendor would refuse; of the first ones the reason. */
  readonly illegal: string[] = [];
  readonly #options: BillingProviderOptions;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  /** Orders whose fault has struck: the next candidate answers. */
  readonly #struck = new Set<number>();
  readonly #ticker: ReturnType<typeof setInterval>;
  #waiting: (() => void)[] = [];
  #serial = 0;
  #mostConnections = 0;

  private constructor(options: BillingProviderOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#ticker = setInterval(() => {
      const due = this.#waiting;
      this.#waiting = [];
      for (const go of due) go();
    }, tickMs);
  }

  static async start(options: BillingProviderOptions): Promise<BillingProvider> {
    const provider = new BillingProvider(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    provider.#server.once("error", reject);
    provider.#server.listen(0, "127.0.0.1", 1_024, resolve);
    await promise;
    return provider;
  }

  /** Without `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  get mostConnections(): number {
    return this.#mostConnections;
  }

  /** No more is heard of this order. */
  forget(n: number): void {
    this.#struck.delete(n);
  }

  /** As at a vendor's restart: idle connections of the other side close with it. */
  hangUp(): void {
    for (const connection of this.#connections) connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticker);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const connection of this.#connections) connection.destroy();
    await promise;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, 0);
    this.#connections.add(connection);
    this.#mostConnections = Math.max(this.#mostConnections, this.#connections.size);
    const parser = new RequestParser();
    socket.on("data", (bytes: Buffer) => {
      for (const request of parser.push(bytes)) void this.#serve(request, connection);
    });
    connection.closed.addEventListener("abort", () => this.#connections.delete(connection), { once: true });
  }

  async #serve(request: RawRequest, connection: Connection): Promise<void> {
    const path = request.target.replace(/^\/v1(?=\/)/, "");
    const models = this.#options.models ?? ["fake-model"];
    if (request.method === "GET") {
      if (path === "/models") await connection.sendJson(200, modelsAnswer(models, false));
      else if (path === "/api/tags") await connection.sendJson(200, ollamaTags(models));
      else await connection.sendJson(404, errorBody("chat", "not_found_error", "no such path"));
      return;
    }
    const text = Buffer.from(request.body).toString("utf8");
    const dialect = dialectOf(path);
    const order = orderIn(text);
    const wrong = dialect === null || order === null ? "no such path or order" : this.#faultOf(dialect, text);
    if (wrong !== null || dialect === null || order === null) {
      if (this.illegal.length < 20) this.illegal.push(`${path}: ${wrong}`);
      await connection.sendJson(400, errorBody(dialect ?? "chat", "invalid_request_error", wrong ?? ""));
      return;
    }
    const call = this.#callOf(order, dialect, text, connection);
    const id = `up-${call.serial}`;
    let closedAt: number | null = null;
    const onClosed = (): void => {
      closedAt = performance.now();
    };
    connection.closed.addEventListener("abort", onClosed, { once: true });
    const end = await this.#play(call, { [dialect === "messages" ? "request-id" : "x-request-id"]: id });
    connection.closed.removeEventListener("abort", onClosed);
    this.bills.set(id, billOf(call, end, closedAt));
  }

  #faultOf(dialect: Dialect, text: string): string | null {
    const body = parseObject(text);
    const found =
      dialect === "messages"
        ? faultsOfMessages(body)
        : dialect === "responses"
          ? faultsOfResponses(body)
          : faultsOfChat(body, { strictTemplate: this.#options.local });
    return found.length === 0 ? null : found.join("; ");
  }

  #callOf(order: Order, dialect: Dialect, text: string, connection: Connection): Call {
    const serial = this.#serial++;
    const body = parseObject(text);
    const words = answerTextOf(order.n, order.words);
    const promptTokens = Math.ceil(text.length / bytesPerToken);
    const outputTokens = Math.ceil(words.length / bytesPerToken);
    const answer: FakeAnswer = { text: words, pieceLength, usage: { input: promptTokens, output: outputTokens } };
    const model = textOf(body["model"]);
    const stream = body["stream"] === true;
    const rendered =
      dialect === "messages"
        ? renderMessages(answer, model, serial)
        : dialect === "responses"
          ? renderResponses(answer, model, serial)
          : renderChat(answer, model, serial, true);
    return { serial, order, dialect, stream, rendered, connection, promptTokens, outputTokens, written: 0 };
  }

  async #play(call: Call, headers: Record<string, string>): Promise<CallEnd> {
    const { order, connection, dialect } = call;
    const strikes = !this.#options.local && !this.#struck.has(order.n);
    const fault = this.#options.isDown === true ? "503" : strikes ? order.fault : "none";
    if (strikes && fault !== "none") this.#struck.add(order.n);
    switch (fault) {
      case "reset":
        connection.destroy();
        return "broken";
      case "429":
        await connection.sendJson(429, errorBody(dialect, "rate_limit_error", "slow down"), {
          ...headers,
          "retry-after-ms": "150",
        });
        return "refused";
      case "500":
      case "503":
        await connection.sendJson(Number(fault), errorBody(dialect, "api_error", "broken"), {
          ...headers,
          ...(fault === "503" && this.#options.isDown !== true ? { "retry-after-ms": "150" } : {}),
        });
        return "refused";
      default:
        return call.stream ? this.#stream(call, fault, headers) : this.#whole(call, fault, headers);
    }
  }

  async #whole(call: Call, fault: string, headers: Record<string, string>): Promise<CallEnd> {
    const { connection, order } = call;
    if (fault === "stall") return silence(connection);
    for (let tick = 0; tick < order.pace * 4; tick++) await this.#tick();
    if (connection.closed.aborted) return "left";
    const text = fault === "malformed" ? call.rendered.json.slice(0, -2) : call.rendered.json;
    const body = Buffer.from(text);
    const head = headText(200, { "content-type": "application/json", ...headers, "content-length": `${body.length}` });
    if (fault === "cut") {
      await connection.write(Buffer.concat([Buffer.from(head), body.subarray(0, body.length >> 1)]));
      connection.destroy();
      return "broken";
    }
    await connection.write(Buffer.concat([Buffer.from(head), body]));
    return "answered";
  }

  async #stream(call: Call, fault: string, headers: Record<string, string>): Promise<CallEnd> {
    const { connection, order, dialect } = call;
    const { events } = call.rendered;
    // Before the end, so that it strikes.
    const at = Math.min(order.at, events.length - 4);
    await connection.write(
      headText(200, { "content-type": "text/event-stream", ...headers, "transfer-encoding": "chunked" }),
    );
    for (let index = 0; index < events.length; index++) {
      for (let tick = 0; tick < order.pace; tick++) await this.#tick();
      if (connection.closed.aborted) return "left";
      if (index === at) {
        if (fault === "stall") return silence(connection);
        if (fault === "cut") {
          if (order.n % 2 === 0) connection.destroy();
          else connection.close();
          return "broken";
        }
        if (fault === "error_event") {
          await connection.write(`${chunked(errorEventOf(dialect, index))}0\r\n\r\n`);
          return "broken";
        }
        if (fault === "garbage") await connection.write(chunked(garbage[order.n % garbage.length]!));
      }
      call.written++;
      await connection.write(chunked(events[index]!));
    }
    await connection.write("0\r\n\r\n");
    return "answered";
  }

  async #tick(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }
}

/** What no client needs and what must not harm it: comments, unknown events, blank lines. */
const garbage = [
  ": keep-alive\n\n",
  'event: nobody.knows\ndata: {"what":[1,2,3]}\n\n',
  "\n\n\n\n",
  ":\n\n: and again\n\n",
  "id: 7\nretry: 1000\n\n",
  'event: ping\ndata: {"type":"ping"}\n\n',
];

/** A whole answer costs what it says; a broken one its prompt and what was written of it. */
function billOf(call: Call, end: CallEnd, closedAt: number | null): Bill {
  const { promptTokens, outputTokens, order } = call;
  const promptMicros = promptTokens * microsPerToken.input;
  const fullMicros = promptMicros + outputTokens * microsPerToken.output;
  const bill = { n: order.n, end, fullMicros, lostMicros: 0, closedAt };
  if (end === "refused") return { ...bill, micros: 0 };
  if (end === "answered") return { ...bill, micros: fullMicros };
  const said = call.stream ? Math.min(outputTokens, Math.ceil((call.written * pieceLength) / bytesPerToken)) : 0;
  const saidMicros = said * microsPerToken.output;
  return { ...bill, micros: promptMicros + saidMicros, lostMicros: end === "broken" ? saidMicros : 0 };
}

function chunked(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function dialectOf(path: string): Dialect | null {
  if (path === "/messages") return "messages";
  if (path === "/responses") return "responses";
  return path === "/chat/completions" ? "chat" : null;
}

function errorEventOf(dialect: Dialect, index: number): string {
  if (dialect === "messages") return messagesErrorEvent("overloaded_error", "Overloaded");
  if (dialect === "responses") return responsesErrorEvent("server_error", "Overloaded", index);
  return chatErrorEvent("server_error", "Overloaded");
}

async function silence(connection: Connection): Promise<"left"> {
  if (!connection.closed.aborted) {
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.closed.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  }
  return "left";
}
