// A scripted provider on raw TCP: it speaks all three dialects, does what a test tells it (answer, refuse, stall, cut,
// lie, split), and keeps what it got, byte for byte.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Dialect, JsonObject } from "../../src/wire/neutral.ts";
import { begun } from "../../src/upstream/continuation-probe.ts";
import { Connection } from "./connection.ts";
import { RequestParser, type RawRequest } from "./http-parser.ts";
import { parseObject } from "./json-access.ts";
import { faultsOfChat, faultsOfMessages, faultsOfResponses } from "./legal.ts";
import { embeddingsAnswer, errorBody, modelsAnswer, ollamaAbilities, ollamaTags } from "./small-answers.ts";
import type { FakeAbilities } from "./small-answers.ts";
import { play } from "./play.ts";
import type { Step } from "./script.ts";

export interface ProviderOptions {
  /** What the server speaks; the others' paths are 404. All where absent. */
  readonly dialects?: readonly Dialect[];
  /** A local model's server: chat only, with a strict chat template. */
  readonly local?: boolean;
  /** For `/v1/models` and `/api/tags`; where absent, that of the houses of the tests, or a made-up one in the cloud. */
  readonly models?: readonly string[];
  /** What Ollama's own door tells of its models, by name. */
  readonly abilities?: Readonly<Record<string, FakeAbilities>>;
  /** Its models go on with an answer that was begun; otherwise they begin anew. */
  readonly goesOn?: boolean;
  /** What to do where the queue is empty: one step for all, or by request. A plain answer where absent. */
  readonly respond?: Step | ((request: RecordedRequest) => Step);
  /** The keys that it takes; another one gets the vendor's 401, which repeats it. Every key, and none, where absent. */
  readonly keys?: readonly string[];
  /** Illegal requests are played like legal ones; otherwise they get the vendor's 400. */
  readonly lenient?: boolean;
  /** 0, the default: the system chooses. */
  readonly port?: number;
  /** Speaks TLS; PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface RecordedRequest extends RawRequest {
  /** From 0, in order of completion of the request's bytes. */
  readonly index: number;
  /** Which TCP connection it came on, from 0. */
  readonly connection: number;
  /** The body as text. */
  readonly text: string;
  /** First value of a header, whatever its case. */
  header(name: string): string | undefined;
  /** Throws where the body is no JSON object. */
  json(): JsonObject;
  /** What a vendor would complain about; those requests got a 400. */
  readonly faults: readonly string[];
  /** Resolves when the other side closed before it had the whole answer; never, where it did not. */
  readonly aborted: Promise<void>;
  readonly state: "answering" | "answered" | "cut" | "aborted";
}

interface Recording extends RecordedRequest {
  state: RecordedRequest["state"];
}

export class FakeProvider implements AsyncDisposable {
  /** Steps for the next requests to generate, first in first out; then `respond` decides. */
  readonly script: Step[] = [];
  respond: Step | ((request: RecordedRequest) => Step);
  /** All requests, `GET`s too. */
  readonly requests: RecordedRequest[] = [];
  readonly #options: ProviderOptions;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  /** Beside those of the options. */
  readonly #offered = new Set<string>();
  readonly #waiters: { count: number; resolve: () => void }[] = [];
  /** Models that Ollama's door has loaded. */
  readonly #loaded = new Set<string>();
  #connectionCount = 0;

  private constructor(options: ProviderOptions) {
    this.#options = options;
    this.respond = options.respond ?? {};
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server =
      options.tls === undefined ? createServer({ noDelay: true }, accept) : createTlsServer({ ...options.tls }, accept);
    // A handshake that the other side gives up is what a test wants to see there.
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(options: ProviderOptions = {}): Promise<FakeProvider> {
    const provider = new FakeProvider(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    provider.#server.once("error", reject);
    provider.#server.listen(options.port ?? 0, "127.0.0.1", resolve);
    await promise;
    return provider;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Without a path: the base for Anthropic's SDK; `${url}/v1` is the one for OpenAI's. */
  get url(): string {
    return `${this.#options.tls === undefined ? "http" : "https"}://127.0.0.1:${this.port}`;
  }

  /** TCP connections so far. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  get openConnections(): number {
    return this.#connections.size;
  }

  /** The requests that ask for an answer of a model (those that cost); not the gateway's own question how it continues one. */
  get generations(): RecordedRequest[] {
    return this.requests.filter(isGeneration);
  }

  /** Resolves once `count` requests that ask for a model's answer have arrived in all. */
  async arrived(count: number): Promise<void> {
    if (this.generations.length >= count) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ count, resolve });
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    for (const connection of this.#connections) connection.destroy();
    await promise;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#connectionCount++);
    this.#connections.add(connection);
    const parser = new RequestParser();
    // One after the other: a pipelined request waits for the answer before it.
    let turn: Promise<void> = Promise.resolve();
    socket.on("data", (bytes: Buffer) => {
      try {
        for (const raw of parser.push(bytes)) {
          const request = this.#record(raw, connection);
          turn = turn.then(() => this.#serve(request, connection));
        }
      } catch {
        connection.destroy();
      }
    });
    connection.closed.addEventListener("abort", () => this.#connections.delete(connection), { once: true });
  }

  #record(raw: RawRequest, connection: Connection): Recording {
    const text = Buffer.from(raw.body).toString("utf8");
    const aborted = Promise.withResolvers<void>();
    const request: Recording = {
      ...raw,
      index: this.requests.length,
      connection: connection.id,
      text,
      header: (name) => raw.headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1],
      json: () => parseObject(text),
      faults: this.#faultsOf(raw, text),
      aborted: aborted.promise,
      state: "answering",
    };
    connection.closed.addEventListener(
      "abort",
      () => {
        if (request.state !== "answering") return;
        request.state = "aborted";
        aborted.resolve();
      },
      { once: true },
    );
    this.requests.push(request);
    this.#wake();
    return request;
  }

  #wake(): void {
    // Counting takes a while where thousands have come.
    if (this.#waiters.length === 0) return;
    const count = this.generations.length;
    for (const waiter of this.#waiters.splice(0)) {
      if (waiter.count <= count) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  async #serve(request: Recording, connection: Connection): Promise<void> {
    if (connection.closed.aborted) return;
    const ended = await this.#answer(request, connection);
    if (request.state === "answering") request.state = ended;
  }

  async #answer(request: RecordedRequest, connection: Connection): Promise<"answered" | "cut"> {
    const path = pathOf(request);
    const shown = request.header("x-api-key") ?? request.header("authorization")?.replace(/^Bearer /, "") ?? "";
    if (this.#options.keys?.includes(shown) === false) {
      const body = errorBody(dialectOf(path) ?? "messages", "authentication_error", `invalid x-api-key: ${shown}`);
      return connection.sendJson(401, body);
    }
    if (request.method === "GET" && path === "/models") {
      return connection.sendJson(200, modelsAnswer(this.#models(), request.header("anthropic-version") !== undefined));
    }
    const told = ollamaAbilities(this.#options.abilities ?? {}, this.#loaded, path, request.text);
    if (told !== null) return connection.sendJson(200, told);
    if (request.method === "GET" && path === "/api/tags") return connection.sendJson(200, ollamaTags(this.#models()));
    const dialect = dialectOf(path);
    if (request.method !== "POST" || dialect === null || !this.#speaks(dialect)) {
      return connection.sendJson(404, errorBody(dialect ?? "chat", "not_found_error", "no such path"));
    }
    if (request.faults.length > 0 && this.#options.lenient !== true) {
      return connection.sendJson(400, errorBody(dialect, "invalid_request_error", request.faults.join("; ")));
    }
    if (path === "/messages/count_tokens") {
      return connection.sendJson(200, { input_tokens: Math.ceil(request.text.length / 4) });
    }
    // No test's script is about that.
    if (isProbe(request)) {
      const text = this.#options.goesOn === true ? " five, six" : "One, two, three.";
      return play({ answer: { text } }, request, dialect, connection);
    }
    const step = this.#nextStep(request);
    if (path === "/embeddings" && step.refuse === undefined && step.stall === undefined) {
      return connection.sendJson(200, embeddingsAnswer(request.json(), step.answer?.usage));
    }
    return play(step, request, dialect, connection);
  }

  #nextStep(request: RecordedRequest): Step {
    const queued = this.script.shift();
    if (queued !== undefined) return queued;
    return typeof this.respond === "function" ? this.respond(request) : this.respond;
  }

  /** Lists these, too. */
  offer(models: Iterable<string>): void {
    for (const model of models) this.#offered.add(model);
  }

  #models(): readonly string[] {
    return [
      ...new Set([
        ...(this.#options.models ?? [this.#options.local === true ? "qwen2.5-coder:14b" : "fake-model"]),
        ...this.#offered,
      ]),
    ];
  }

  #speaks(dialect: Dialect): boolean {
    const spoken = this.#options.dialects ?? (this.#options.local === true ? ["chat"] : undefined);
    return spoken === undefined || spoken.includes(dialect);
  }

  #faultsOf(raw: RawRequest, text: string): string[] {
    const path = pathOf(raw);
    const dialect = dialectOf(path);
    if (raw.method !== "POST" || dialect === null) return [];
    let body: JsonObject;
    try {
      body = parseObject(text);
    } catch {
      return ["the body is not a JSON object"];
    }
    if (path === "/embeddings") return body["input"] === undefined ? ["input: required"] : [];
    if (path === "/messages/count_tokens") return faultsOfMessages({ max_tokens: 1, ...body });
    if (dialect === "messages") return faultsOfMessages(body);
    if (dialect === "responses") return faultsOfResponses(body);
    return faultsOfChat(body, { strictTemplate: this.#options.local === true });
  }
}

/** Without query and without `/v1`, so that both kinds of base URL work. */
function pathOf(request: RawRequest): string {
  return request.target.replace(/\?.*$/, "").replace(/^(\/api)?\/v1(?=\/)/, "");
}

function dialectOf(path: string): Dialect | null {
  switch (path) {
    case "/messages":
    case "/messages/count_tokens":
      return "messages";
    case "/chat/completions":
    case "/embeddings":
      return "chat";
    case "/responses":
      return "responses";
    default:
      return null;
  }
}

function isGeneration(request: RecordedRequest): boolean {
  const path = pathOf(request);
  const asks = request.method === "POST" && path !== "/messages/count_tokens" && dialectOf(path) !== null;
  return asks && !isProbe(request);
}

/** The gateway's own question whether a local model goes on with an answer that was begun. */
function isProbe({ text }: RecordedRequest): boolean {
  return text.includes(begun);
}
