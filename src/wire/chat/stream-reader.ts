// A streamed answer of the Chat dialect to neutral events, from servers of every habit (wire.md F121 to F123, I, L222).

import { bareLine } from "../bare-line.ts";
import { isObject } from "../messages/request-fields.ts";
import { SurrogateJoiner } from "../messages/surrogate-joiner.ts";
import { faultInside, isErrorBody, nonsense } from "../messages/upstream-error.ts";
import type { Json, JsonObject, NeutralEvent, SseEvent, StreamReader, UpstreamFault, Usage } from "../neutral.ts";
import { fromChatFinish } from "./finish-reasons.ts";
import { reasoningOf } from "./reasoning-in-answer.ts";
import { ToolCallCollector } from "./tool-call-collector.ts";
import { chatUsageIn } from "./usage.ts";

const other: NeutralEvent[] = [{ type: "other" }];
const done = /^\s*\[done\]\s*$/i;

export class ChatReader implements StreamReader {
  readonly #tools = new ToolCallCollector();
  readonly #text = new SurrogateJoiner();
  readonly #thinking = new SurrogateJoiner();
  #started = false;
  #hasContent = false;
  #stopped = false;
  #ended = false;

  read(event: SseEvent): NeutralEvent[] {
    if (this.#ended) return other;
    const bare = bareLine(event);
    if (isObject(bare) && isErrorBody(bare)) return this.#fail(faultInside(bare));
    if (event.data === "") return other;
    if (event.data.length < 32 && done.test(event.data)) return this.#end();
    let data: Json;
    try {
      data = JSON.parse(event.data) as Json;
    } catch {
      return this.#fail(nonsense("an event that is no JSON"));
    }
    if (!isObject(data)) return this.#fail(nonsense("an event that is no JSON object"));
    if (isErrorBody(data) || event.event === "error") return this.#fail(faultInside(data));
    const choices = data["choices"];
    const usage = chatUsageIn(data);
    if (!Array.isArray(choices) && usage === undefined) return other;
    const events: NeutralEvent[] = [];
    this.#start(data, usage === undefined && Array.isArray(choices) && choices.length === 0, events);
    // Before the choices: a consumer that stops at the finish reason has the usage by then.
    if (usage !== undefined) this.#usage(usage, events);
    if (Array.isArray(choices)) {
      for (const choice of choices) {
        if (!isObject(choice)) continue;
        if (isErrorBody(choice)) return [...events, ...this.#fail(faultInside(choice))];
        this.#choice(choice, events);
      }
    }
    return events.length === 0 ? other : events;
  }

  #fail(fault: UpstreamFault): NeutralEvent[] {
    this.#ended = true;
    return [{ type: "error", fault }];
  }

  /** `empty`: nothing but the head of a chunk; Azure's first one has no names in it either. */
  #start(chunk: JsonObject, empty: boolean, events: NeutralEvent[]): void {
    if (this.#started) return;
    const { id, model } = chunk;
    if (empty && (typeof model !== "string" || model === "")) return;
    this.#started = true;
    events.push({
      type: "start",
      id: typeof id === "string" ? id : undefined,
      model: typeof model === "string" && model !== "" ? model : undefined,
    });
  }

  /** Running counts replace each other; a chunk of zeros says nothing. */
  #usage(usage: Partial<Usage>, events: NeutralEvent[]): void {
    const counts = (usage.input ?? 0) + (usage.cacheRead ?? 0) + (usage.output ?? 0) + (usage.cacheWrite5m ?? 0);
    if (counts + (usage.cacheWrite1h ?? 0) + (usage.reportedUsd ?? 0) > 0) events.push({ type: "usage", usage });
  }

  #choice(choice: JsonObject, events: NeutralEvent[]): void {
    const { delta, message } = choice;
    if (isObject(delta)) this.#delta(delta, events);
    // Some servers put the whole message of a short answer into the last chunk.
    else if (isObject(message) && !this.#hasContent) this.#delta(message, events);
    const reason = choice["finish_reason"];
    if (typeof reason !== "string" || reason === "" || this.#stopped) return;
    if (reason === "error") {
      for (const event of this.#fail(nonsense("an answer that broke off"))) events.push(event);
      return;
    }
    const matched = choice["stop_reason"];
    this.#stop(reason, typeof matched === "string" ? matched.toWellFormed() : undefined, events);
  }

  #delta(delta: JsonObject, events: NeutralEvent[]): void {
    const before = events.length;
    this.#piece("thinking", reasoningOf(delta), this.#thinking, events);
    const content = delta["content"];
    this.#piece("text", Array.isArray(content) ? joined(content) : content, this.#text, events);
    if (typeof delta["refusal"] === "string" && delta["refusal"] !== "") {
      events.push({ type: "refusal", text: delta["refusal"].toWellFormed() });
    }
    if (Array.isArray(delta["tool_calls"])) {
      for (const call of delta["tool_calls"]) {
        if (isObject(call)) this.#tools.add(call, events);
      }
    } else if (isObject(delta["function_call"]))
      this.#tools.add({ index: 0, function: delta["function_call"] }, events);
    if (events.length > before) this.#hasContent = true;
  }

  #piece(type: "text" | "thinking", value: Json | undefined, joiner: SurrogateJoiner, events: NeutralEvent[]): void {
    if (typeof value !== "string" || value === "") return;
    const text = joiner.push(value);
    if (text !== "") events.push({ type, text });
  }

  #stop(reason: string | null, matched: string | undefined, events: NeutralEvent[]): void {
    this.#stopped = true;
    this.#tools.end(events);
    const stop = fromChatFinish(reason, this.#tools.count > 0);
    const bySequence = stop === "end" && matched !== undefined;
    events.push({ type: "stop", reason: bySequence ? "stop_sequence" : stop, stopSequence: matched });
  }

  /** Some servers never give a reason: what was said is then the whole of it. */
  #end(): NeutralEvent[] {
    const events: NeutralEvent[] = [];
    if (!this.#stopped && this.#hasContent) this.#stop(null, undefined, events);
    this.#ended = true;
    events.push({ type: "end" });
    return events;
  }
}

function joined(parts: Json[]): string {
  return parts.map((part) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : "")).join("");
}
