// Reading a stream piece by piece: what came so far, as events, and waiting for the next keep-alive.

import { codecs } from "../../src/wire/codecs.ts";
import { AnswerCollector } from "../../src/wire/answer-collector.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import type { TestDialect } from "../fakes/house.ts";
import { objectOf } from "../fakes/json-access.ts";

export interface StreamEvent {
  readonly name: string | undefined;
  /** Null for a comment and for `[DONE]`. */
  readonly data: JsonObject | null;
  readonly text: string;
}

/** Throws where the text is no sequence of whole events, each of them readable by itself. */
export function eventsOf(text: string): StreamEvent[] {
  if (text !== "" && !text.endsWith("\n\n")) throw new Error(`an event is cut: ${text.slice(-80)}`);
  return text
    .split("\n\n")
    .slice(0, -1)
    .map((block) => {
      const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      const data = field("data");
      const isJson = data !== undefined && data !== "[DONE]";
      return { name: field("event"), data: isJson ? objectOf(JSON.parse(data) as Json)! : null, text: block };
    });
}

/** The signs of life of a dialect, as they are written. */
export function isKeepAlive(dialect: TestDialect, event: StreamEvent): boolean {
  if (dialect === "messages") return event.name === "ping" && event.data?.["type"] === "ping";
  if (dialect === "chat") return event.text.startsWith(":");
  return event.name === "response.in_progress";
}

export class StreamReading {
  text = "";
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();

  constructor(response: Response) {
    if (response.body === null) throw new Error("no body");
    this.#reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  }

  get events(): StreamEvent[] {
    return eventsOf(this.text);
  }

  /** Reads on until `fits` holds; throws where the stream ends before. */
  async until(fits: (events: readonly StreamEvent[]) => boolean): Promise<void> {
    while (!(this.text.endsWith("\n\n") && fits(this.events))) {
      if (!(await this.#step())) throw new Error(`the stream ended: ${this.text}`);
    }
  }

  async keepAlives(dialect: TestDialect, count: number): Promise<void> {
    await this.until((events) => events.filter((event) => isKeepAlive(dialect, event)).length >= count);
  }

  async toEnd(): Promise<string> {
    while (await this.#step());
    return this.text;
  }

  async leave(): Promise<void> {
    await this.#reader.cancel();
  }

  async #step(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    if (!done) this.text += this.#decoder.decode(value, { stream: true });
    return !done;
  }
}

/** The visible text of a streamed answer, as the dialect's own reader makes it out. */
export function answerText(dialect: TestDialect, text: string): string {
  const reader = codecs[dialect].createReader();
  const collector = new AnswerCollector();
  for (const { name, text: block } of eventsOf(text)) {
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (data === undefined) continue;
    for (const event of reader.read({ event: name, data, raw: `${block}\n\n` })) collector.add(event);
  }
  return collector
    .answer()
    .parts.map((part) => (part.type === "text" ? part.text : ""))
    .join("");
}

/** One beginning, one end, numbers without a gap, and one id: what a Responses client relies on. */
export function expectOneResponse(events: readonly StreamEvent[]): void {
  const named = events.filter((event) => event.data !== null);
  const numbers = named.map((event) => event.data?.["sequence_number"]);
  if (numbers.some((number, index) => number !== index)) throw new Error(`numbers: ${JSON.stringify(numbers)}`);
  if (named[0]?.name !== "response.created") throw new Error("it does not begin with response.created");
  if (named.filter((event) => event.name === "response.created").length !== 1) throw new Error("it begins twice");
  const ids = new Set(named.flatMap((event) => objectOf(event.data?.["response"])?.["id"] ?? []));
  if (ids.size !== 1) throw new Error(`ids: ${JSON.stringify([...ids])}`);
}
