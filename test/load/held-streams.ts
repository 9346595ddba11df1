// Many streams that stand open and move when the test says so, all nine ways between two dialects. Afterwards each one must
// be what its provider sent, byte for byte, or, where it was translated, what an undisturbed run gave.

import { dialects, loneModels, routeOf, smallBody, type TestDialect } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import { Callers, type Heard } from "./callers.ts";

/** Which dialect the client speaks, and which one the provider. */
export interface Way {
  readonly client: TestDialect;
  readonly provider: TestDialect;
}

const allWays: readonly Way[] = dialects.flatMap((client) => dialects.map((provider) => ({ client, provider })));

export interface HeldStreamsOptions {
  /** Pieces of text in each stream: how often they can be moved on before they end. */
  readonly pieces: number;
  /** In turn; all nine where absent. */
  readonly ways?: readonly Way[];
  /** Length of each prompt; a short question where absent. */
  readonly promptBytes?: number;
}

const pieceLength = 9;
const sentence = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ";

export class HeldStreams implements AsyncDisposable {
  readonly provider: FakeProvider;
  readonly #ways: readonly Way[];
  readonly #promptBytes: number | null;
  readonly #events: Readonly<Record<TestDialect, readonly string[]>>;
  readonly #undisturbed = new Map<Way, string>();
  readonly #open: { readonly way: Way; readonly heard: Promise<Heard> }[] = [];
  #gate = new Gate();

  private constructor(provider: FakeProvider, { pieces, promptBytes, ways = allWays }: HeldStreamsOptions) {
    this.provider = provider;
    this.#ways = ways;
    this.#promptBytes = promptBytes ?? null;
    const length = pieces * pieceLength;
    const text = sentence.repeat(Math.ceil(length / sentence.length)).slice(0, length);
    const answer = { text, pieceLength };
    this.#events = {
      messages: renderMessages(answer, modelOf("messages"), 0).events,
      chat: renderChat(answer, modelOf("chat"), 0, true).events,
      responses: renderResponses(answer, modelOf("responses"), 0).events,
    };
    provider.respond = ({ target }) => {
      const dialect = target.includes("messages") ? "messages" : target.includes("responses") ? "responses" : "chat";
      return { rawBody: this.#events[dialect], gate: this.#gate };
    };
  }

  static async start(options: HeldStreamsOptions): Promise<HeldStreams> {
    return new HeldStreams(await FakeProvider.start(), options);
  }

  /** `providers` and `models` of the configuration. Aliases are what is sent, so that nothing need be changed in an answer. */
  get parts(): { readonly providers: object; readonly models: object } {
    const models = dialects.map((dialect) => ({ name: modelOf(dialect), dialect, origin: this.provider.url }));
    return loneModels(models);
  }

  /** One stream of each way from beginning to end, to compare with. */
  async runUndisturbed(url: string): Promise<void> {
    this.#gate.release(Infinity);
    for (const way of this.#ways) this.#undisturbed.set(way, comparable(await this.#ask(url, way)));
    this.#gate = new Gate();
  }

  /** Opens so many more, and waits until each one is at the provider. */
  async open(url: string, count: number): Promise<void> {
    const before = this.provider.generations.length;
    for (let at = 0; at < count; at++) {
      const way = this.#ways[this.#open.length % this.#ways.length]!;
      this.#open.push({ way, heard: this.#ask(url, way) });
    }
    await this.provider.arrived(before + count);
  }

  /** Every stream may go on by one event. */
  step(count = this.#open.length): void {
    this.#gate.release(count);
  }

  /** Lets all run to their end; what is wrong with any of them, empty where nothing is. */
  async finish(): Promise<string[]> {
    this.#gate.release(Infinity);
    const faults: string[] = [];
    for (const [at, { way, heard }] of this.#open.entries()) {
      const fault = this.#faultOf(way, await heard);
      if (fault !== null) faults.push(`stream ${at}, ${way.client} from ${way.provider}: ${fault}`);
    }
    const aborted = this.provider.requests.filter(({ state }) => state === "aborted").length;
    if (aborted > 0) faults.push(`${aborted} calls to the provider were broken off`);
    this.#open.splice(0);
    this.#gate = new Gate();
    return faults;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.provider[Symbol.asyncDispose]();
  }

  #faultOf(way: Way, heard: Heard): string | null {
    if (heard.end !== "whole" || heard.status !== 200)
      return `${heard.end}, ${heard.status}: ${heard.body.slice(-200)}`;
    if (way.client === way.provider && heard.body !== this.#events[way.provider].join("")) {
      return "not the bytes that the provider sent";
    }
    const expected = this.#undisturbed.get(way);
    return expected === undefined || comparable(heard) === expected ? null : "not what an undisturbed stream is";
  }

  /** On a connection of its own. */
  async #ask(url: string, { client, provider }: Way): Promise<Heard> {
    const options = client === "chat" ? { stream_options: { include_usage: true } } : {};
    const prompt = this.#promptBytes === null ? {} : longPrompt(client, this.#promptBytes);
    const body = smallBody(client, modelOf(provider), { stream: true, ...options, ...prompt });
    const head = `POST ${routeOf[client]} HTTP/1.1\r\nhost: ${new URL(url).host}\r\ncontent-type: application/json\r\n`;
    const request = Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    return new Callers(Number(new URL(url).port)).ask(request, { closes: true });
  }
}

/** A conversation of many turns, as agents send it again and again. */
function longPrompt(client: TestDialect, bytes: number): object {
  const turnBytes = 2_000;
  const turns = Array.from({ length: Math.ceil(bytes / turnBytes) | 1 }, (_, at) => ({
    role: at % 2 === 0 ? "user" : "assistant",
    content: sentence.repeat(Math.ceil(turnBytes / sentence.length)).slice(0, turnBytes),
  }));
  return client === "responses" ? { input: turns } : { messages: turns };
}

function modelOf(dialect: TestDialect): string {
  return `held-${dialect}`;
}

/** Translated answers carry the request's own id and the time: all else is the same in every run. */
function comparable({ requestId, body }: Heard): string {
  const own = requestId?.replace(/^req_/, "") ?? "";
  return body.replaceAll(own, "ID").replace(/"(created|created_at|completed_at)":\d+/g, '"$1":0');
}
