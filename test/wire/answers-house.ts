// Clients of every dialect in front of servers of every dialect, and what the clients make of the answers.

import { objectOf, objectsOf, parseObject, textOf } from "../fakes/json-access.ts";
import { neverContinuing } from "../fakes/continuing-model.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, loneModels, post, readThenOpen, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import type { FakeProvider } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf } from "../harness.ts";
import { faultOfStream, type WireEvent } from "../fuzz/legal-streams.ts";
import { referenceEvents } from "../fuzz/sse.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";

/** Which server answers: one of a vendor's, by its dialect, or a local one, whose answers are always translated. */
export type Server = TestDialect | "home" | "home-messages";

export interface Asking {
  readonly stream?: boolean;
  /** Fields of the request beside the smallest ones. */
  readonly extra?: object;
  /** The server goes on after so many events only when the client has its first byte. */
  readonly opened?: number;
  readonly model?: string;
  /** The answer is going to fail, or the request is to be found in the audit by its model. */
  readonly alone?: true;
}

export interface Told {
  readonly status: number;
  readonly model: string;
  /** As it came. */
  readonly body: string;
  /** The answer in one piece, put together where it was streamed. */
  readonly answer: JsonObject;
  readonly events: readonly WireEvent[];
  /** JSON of each event, without `[DONE]`. */
  readonly data: readonly JsonObject[];
  /** What a strict client would find wrong with the stream. */
  readonly fault: string | null;
}

/** Words of the model that answers where another one failed. */
export const FALLBACK_TEXT = "From the house.";

/** Each answer that fails has a model and a provider of its own: a breaker that it opens is not seen by the next. */
const counts: Readonly<Record<Server, number>> = {
  messages: 40,
  chat: 64,
  responses: 12,
  home: 24,
  "home-messages": 24,
};

export class AnswersHouse implements AsyncDisposable {
  readonly house: House;
  readonly #used = new Map<Server, number>();

  constructor(house: House) {
    this.house = house;
  }

  static async start(config: object = {}): Promise<AnswersHouse> {
    const house = await startHouse({
      local: { respond: neverContinuing(FALLBACK_TEXT) },
      config: ({ cloud }) => {
        const numbered = (server: Server): string[] =>
          Array.from({ length: counts[server] }, (_, number) => `${server}-${number}`);
        const vendors = loneModels(
          dialects.flatMap((dialect) => numbered(dialect).map((name) => ({ name, dialect, origin: cloud }))),
        );
        const local = { local: true, key: "none" };
        const homes = [
          ...numbered("home").map((name) => [name, { url: `${cloud}/v1`, dialects: ["chat"], ...local }] as const),
          ...numbered("home-messages").map((name) => [name, { url: cloud, dialects: ["messages"], ...local }] as const),
        ];
        const models = homes.map(([name]) => [`${name}-model`, { provider: name, model: name, context: 1_000_000 }]);
        // Asked for by a route, not by name: so the client's own dialect is translated too.
        const routes = homes.map(([name]) => ({ name, when: { model: name }, use: [`${name}-model`] }));
        return {
          providers: { ...vendors.providers, ...Object.fromEntries(homes) },
          models: { ...vendors.models, ...Object.fromEntries(models) },
          routes: [...routes, { name: "none", when: { model: "unused" }, use: ["coder-14b"] }],
          ...config,
        };
      },
    });
    return new AnswersHouse(house);
  }

  get upstream(): FakeProvider {
    return this.house.cloud;
  }

  /** A request of `client` that `server` answers by `step`. */
  async ask(client: TestDialect, server: Server, step: Step, asking: Asking = {}): Promise<Told> {
    const model = asking.model ?? `${server}-${asking.alone === true ? this.#fresh(server) : 0}`;
    const gate = new Gate();
    gate.release(asking.opened ?? Infinity);
    this.upstream.script.push({ ...step, gate });
    const stream = asking.stream === true;
    const response = await post(this.house.gateway, client, { model, extra: { stream, ...asking.extra } });
    const body = await readThenOpen(response, gate);
    if (!stream) return { ...empty, status: response.status, model, body, answer: parseObject(body) };
    const events = referenceEvents(body);
    const data = events.filter((event) => event.data !== "[DONE]").map((event) => parseObject(event.data));
    const usage = JSON.stringify(asking.extra ?? {}).includes('"include_usage":true');
    const fault = faultOfStream(client, events, usage);
    const answer = assembled(client, data);
    return { status: response.status, model, body, answer, events, data, fault };
  }

  #fresh(server: Server): number {
    const number = (this.#used.get(server) ?? 0) + 1;
    if (number >= counts[server]) throw new Error(`all ${counts[server]} models of ${server} are used`);
    this.#used.set(server, number);
    return number;
  }

  /** The same answer in both ways, one after the other. */
  async both(client: TestDialect, server: Server, step: Step, asking: Asking = {}): Promise<Told[]> {
    return [
      await this.ask(client, server, step, { ...asking, stream: false }),
      await this.ask(client, server, step, { ...asking, stream: true }),
    ];
  }

  /** Outcomes of the attempts at the request for `model`, which nothing else asked for. */
  async outcomes(model: string): Promise<string[]> {
    const line = await this.house.gateway.auditLine((one) => one["requested_model"] === model);
    return attemptsOf(line).map((attempt) => attempt.slice(attempt.lastIndexOf(":") + 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.house[Symbol.asyncDispose]();
  }
}

const empty = { events: [], data: [], fault: null } as const;

function assembled(client: TestDialect, data: readonly JsonObject[]): JsonObject {
  if (client === "messages") return assembledMessage(data);
  if (client === "chat") return assembledCompletion(data);
  const last = data.at(-1);
  return objectOf(last?.["response"]) ?? {};
}

/** As Anthropic's own client does it: blocks by index, the last counts win. */
export function assembledMessage(data: readonly JsonObject[]): JsonObject {
  let message: JsonObject = {};
  const content: JsonObject[] = [];
  const inputs = new Map<JsonObject, string>();
  for (const event of data) {
    const block = content[Number(event["index"])];
    const delta = objectOf(event["delta"]) ?? {};
    switch (textOf(event["type"])) {
      case "message_start":
        message = { ...objectOf(event["message"]) };
        break;
      case "content_block_start":
        content[Number(event["index"])] = { ...objectOf(event["content_block"]) };
        break;
      case "content_block_delta":
        if (block === undefined) throw new Error("a delta without its block");
        for (const field of ["text", "thinking", "signature"]) {
          if (delta[field] !== undefined) block[field] = textOf(block[field]) + textOf(delta[field]);
        }
        if (delta["partial_json"] !== undefined) {
          inputs.set(block, (inputs.get(block) ?? "") + textOf(delta["partial_json"]));
        }
        break;
      case "message_delta":
        message = { ...message, ...delta, usage: { ...objectOf(message["usage"]), ...objectOf(event["usage"]) } };
        break;
    }
  }
  for (const [block, text] of inputs) block["input"] = parseObject(text);
  return { ...message, content };
}

/** As OpenAI's own client does it: pieces of calls by index. */
export function assembledCompletion(data: readonly JsonObject[]): JsonObject {
  const message: JsonObject = {};
  const calls: JsonObject[] = [];
  let finish_reason: string | null = null;
  let rest: JsonObject = {};
  for (const chunk of data) {
    rest = { ...rest, ...chunk };
    for (const choice of objectsOf(chunk["choices"])) {
      const delta = objectOf(choice["delta"]) ?? {};
      for (const field of ["role", "content", "refusal", "reasoning_content", "reasoning"]) {
        if (typeof delta[field] === "string") message[field] = textOf(message[field]) + textOf(delta[field]);
      }
      for (const piece of objectsOf(delta["tool_calls"])) {
        const known = (calls[Number(piece["index"])] ??= { ...piece, function: { arguments: "" } });
        const fn = objectOf(piece["function"]) ?? {};
        const before = objectOf(known["function"]) ?? {};
        known["function"] = { ...before, ...fn, arguments: textOf(before["arguments"]) + textOf(fn["arguments"]) };
      }
      if (typeof choice["finish_reason"] === "string") finish_reason = choice["finish_reason"];
    }
  }
  for (const call of calls) delete call["index"];
  if (calls.length > 0) message["tool_calls"] = calls;
  return { ...rest, choices: [{ index: 0, message, finish_reason }] };
}

/** The blocks of a Messages answer. */
export function blocksOf(told: Told): JsonObject[] {
  return objectsOf(told.answer["content"]);
}

/** The one choice of a Chat answer. */
export function choiceOf(told: Told): { message: JsonObject; finish: unknown } {
  const [choice] = objectsOf(told.answer["choices"]);
  return { message: objectOf(choice?.["message"]) ?? {}, finish: choice?.["finish_reason"] };
}

/** The output items of a Responses answer. */
export function itemsOf(told: Told): JsonObject[] {
  return objectsOf(told.answer["output"]);
}

/** One chunk of a Chat stream. */
export function chunk(delta: JsonObject, finish_reason: string | null = null, more: JsonObject = {}): string {
  const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "served-model" };
  return `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, finish_reason, ...more }] })}\n\n`;
}

/** A chunk of pieces of tool calls. */
export function calls(...tool_calls: JsonObject[]): string {
  return chunk({ tool_calls });
}

export const done = "data: [DONE]\n\n";

/** One event of a Messages stream. */
export function event(type: string, fields: JsonObject = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

export const messageStart = event("message_start", {
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "served-model",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 11, output_tokens: 1 },
  },
});

/** The last two events of a Messages stream. */
export function messageEnd(stop_reason: string, more: JsonObject = {}): string[] {
  const delta = { stop_reason, stop_sequence: null, ...more };
  return [event("message_delta", { delta, usage: { input_tokens: 11, output_tokens: 5 } }), event("message_stop")];
}

export function blockStart(index: number, content_block: JsonObject): string {
  return event("content_block_start", { index, content_block });
}

export function blockDelta(index: number, delta: JsonObject): string {
  return event("content_block_delta", { index, delta });
}

export function blockStop(index: number): string {
  return event("content_block_stop", { index });
}

/** A Chat answer in one piece. */
export function completion(message: JsonObject, finish_reason: string, more: JsonObject = {}): string {
  const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
  const choices = [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason }];
  return JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "served-model",
    choices,
    usage,
    ...more,
  });
}

/** A Messages answer in one piece. */
export function message(content: JsonObject[], stop_reason: string, more: JsonObject = {}): string {
  const usage = { input_tokens: 11, output_tokens: 5 };
  const head = { id: "msg_1", type: "message", role: "assistant", model: "served-model" };
  return JSON.stringify({ ...head, content, stop_reason, stop_sequence: null, usage, ...more });
}
