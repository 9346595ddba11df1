// The Responses event stream of an upstream → neutral events. Lenient: servers differ in what they send beside deltas.

import { bareLine } from "../bare-line.ts";
import { SurrogateJoiner } from "../messages/surrogate-joiner.ts";
import type { JsonObject, NeutralEvent, NeutralPart, SseEvent, StreamReader, UpstreamFault } from "../neutral.ts";
import { answerToNeutral } from "./answer.ts";
import { notAnAnswer, streamFault } from "./faults.ts";
import { serverToolOf } from "./hosted-tools.ts";
import { arrayAt, isObject, numberAt, objectAt, parseJson, stringAt } from "./json-fields.ts";
import { readUsage } from "./usage.ts";

/** More items at once than any model opens: an upstream that opens them without end is cut off. */
const MAX_OPEN_ITEMS = 1_024;

/** Characters of arguments that calls begin with, of all open ones together. */
const MAX_INITIAL = 16 * 1024 * 1024;

interface OpenCall {
  readonly index: number;
  readonly form: "function" | "custom";
  /** Some servers begin a call with all of its arguments and send no others. */
  readonly initial: string;
  /** A first piece of the arguments has gone out. */
  begun: boolean;
  readonly joiner: SurrogateJoiner;
}

/** What tells the items of an answer apart: the output index, or an id where a server has none (llama.cpp). */
type ItemKey = number | string;
type ContentKind = "text" | "thinking";

export function createReader(): StreamReader {
  return new ResponsesReader();
}

class ResponsesReader implements StreamReader {
  readonly #calls = new Map<ItemKey, OpenCall>();
  #callCount = 0;
  #initial = 0;
  /** Open items for which deltas came, so that their `done` repeats nothing. */
  readonly #delivered = new Map<ItemKey, ContentKind>();
  #anyContent = false;
  #anyText = false;
  /** One item with text is open at a time. */
  readonly #joiner = new SurrogateJoiner();
  readonly #serverTools: Record<string, number> = {};

  read(event: SseEvent): NeutralEvent[] {
    const bare = bareLine(event);
    const fault = isObject(bare) ? untypedFault(bare) : undefined;
    if (fault !== undefined) return [failure(fault)];
    if (event.data === "" || event.data === "[DONE]") return [{ type: "other" }];
    const data = parseJson(event.data);
    if (!isObject(data)) return [failure(notAnAnswer("The upstream sent an event that is no JSON object."))];
    const type = stringAt(data, "type") ?? event.event ?? "";
    switch (type) {
      case "response.output_text.delta":
        return this.#content(data, "text");
      case "response.refusal.delta":
        return this.#content(data, "refusal");
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return this.#content(data, "thinking");
      case "response.reasoning_summary_part.added":
        return (numberAt(data, "summary_index") ?? 0) > 0 ? [{ type: "thinking", text: "\n\n" }] : [{ type: "other" }];
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
        return this.#argument(data, deltaOf(data));
      case "response.function_call_arguments.done":
        return this.#allArguments(data, "arguments");
      case "response.custom_tool_call_input.done":
        return this.#allArguments(data, "input");
      case "response.output_item.added":
        return this.#added(data);
      case "response.output_item.done":
        return this.#done(data);
      default:
        return this.#lifecycle(type, data);
    }
  }

  #lifecycle(type: string, data: JsonObject): NeutralEvent[] {
    const response = objectAt(data, "response") ?? {};
    switch (type) {
      case "response.created":
        return [{ type: "start", id: stringAt(response, "id"), model: stringAt(response, "model") }];
      case "response.completed":
      case "response.incomplete":
        return this.#ended(response, type === "response.completed" ? "completed" : "incomplete");
      case "response.failed":
        return [...this.#usage(response), failure(streamFault(objectAt(response, "error") ?? {}))];
      case "error":
        return [failure(streamFault(objectAt(data, "error") ?? data))];
      default: {
        const fault = type === "" ? untypedFault(data) : undefined;
        return fault === undefined ? [{ type: "other" }] : [failure(fault)];
      }
    }
  }

  #content(data: JsonObject, type: "text" | "refusal" | "thinking"): NeutralEvent[] {
    if (this.#delivered.size >= MAX_OPEN_ITEMS) return [failure(notAnAnswer("The upstream opened too many items."))];
    const kind = type === "thinking" ? "thinking" : "text";
    this.#delivered.set(numberAt(data, "output_index") ?? stringAt(data, "item_id") ?? kind, kind);
    this.#anyContent = true;
    if (kind === "text") this.#anyText = true;
    return [{ type, text: this.#joiner.push(deltaOf(data)) }];
  }

  /** True where deltas have said what is in the item, which is done now. */
  #wasDelivered(key: ItemKey, kind: ContentKind): boolean {
    if (this.#delivered.delete(key)) return true;
    if (typeof key === "number") return false;
    // Without an index deltas and items may also have different ids, or none.
    for (const [other, otherKind] of this.#delivered) {
      if (otherKind === kind && typeof other === "string") return this.#delivered.delete(other);
    }
    return false;
  }

  #added(data: JsonObject): NeutralEvent[] {
    const item = objectAt(data, "item");
    const start = item === undefined ? undefined : this.#start(item, keyOf(data, item));
    return start === undefined ? [{ type: "other" }] : [start];
  }

  #start(item: JsonObject, key: ItemKey): NeutralEvent | undefined {
    const form = formOf(item);
    if (form === undefined || this.#calls.has(key)) return undefined;
    if (this.#calls.size >= MAX_OPEN_ITEMS) return failure(notAnAnswer("The upstream opened too many tool calls."));
    const initial = argumentsIn(item, form);
    this.#initial += initial.length;
    if (this.#initial > MAX_INITIAL) return failure(notAnAnswer("The upstream's tool calls are too large."));
    const index = this.#callCount++;
    this.#calls.set(key, { index, form, initial, begun: false, joiner: new SurrogateJoiner() });
    this.#anyContent = true;
    return {
      type: "tool_start",
      index,
      id: stringAt(item, "call_id") ?? stringAt(item, "id") ?? "",
      name: stringAt(item, "name") ?? "",
      form,
    };
  }

  /** A custom tool's free text is wrapped into `{"input":"…"}` as it streams, so that every dialect sees JSON. */
  #argument(data: JsonObject, text: string): NeutralEvent[] {
    const call = this.#callOf(data);
    const delta = call?.joiner.push(text) ?? "";
    if (call === undefined || delta === "") return [{ type: "other" }];
    const json = call.form === "custom" ? (call.begun ? "" : '{"input":"') + escaped(delta) : delta;
    call.begun = true;
    return [{ type: "tool_delta", index: call.index, json }];
  }

  /** Says nothing new, but where a server leaves the deltas out. */
  #allArguments(data: JsonObject, field: "arguments" | "input"): NeutralEvent[] {
    return this.#callOf(data)?.begun === false
      ? this.#argument(data, stringAt(data, field) ?? "")
      : [{ type: "other" }];
  }

  #callOf(data: JsonObject): OpenCall | undefined {
    const key = numberAt(data, "output_index") ?? stringAt(data, "item_id");
    return key === undefined ? [...this.#calls.values()].at(-1) : this.#calls.get(key);
  }

  #done(data: JsonObject): NeutralEvent[] {
    const item = objectAt(data, "item");
    if (item === undefined) return [{ type: "other" }];
    const key = keyOf(data, item);
    const tool = serverToolOf(stringAt(item, "type") ?? "");
    if (tool !== undefined) {
      // Told at once: a stream that breaks off after the call has it on its bill.
      this.#serverTools[tool] = (this.#serverTools[tool] ?? 0) + 1;
      return [{ type: "usage", usage: { serverTools: { ...this.#serverTools } } }];
    }
    if (formOf(item) !== undefined) return this.#callDone(item, key);
    if (item["type"] !== "message" && item["type"] !== "reasoning") return [{ type: "other" }];
    // A server that sends whole items only: what the deltas would have said is taken from the item.
    this.#joiner.reset();
    const kind = item["type"] === "message" ? "text" : "thinking";
    const events = this.#wasDelivered(key, kind) ? [] : wholeItem(item);
    if (events.length > 0) this.#anyContent = true;
    if (events.length > 0 && kind === "text") this.#anyText = true;
    events.push({ type: "block_end" });
    return events;
  }

  #callDone(item: JsonObject, key: ItemKey): NeutralEvent[] {
    const events: NeutralEvent[] = [];
    const start = this.#start(item, key);
    if (start !== undefined) events.push(start);
    const call = this.#calls.get(key);
    if (call === undefined) return events;
    this.#calls.delete(key);
    this.#end(call, argumentsIn(item, call.form), events);
    return events;
  }

  /** `text`: all of the arguments, as far as the end of the call tells them. */
  #end(call: OpenCall, text: string, events: NeutralEvent[]): void {
    this.#initial -= call.initial.length;
    if (!call.begun) {
      const all = text === "" ? call.initial : text;
      const json = call.form === "custom" ? JSON.stringify({ input: all }) : all;
      if (json !== "") events.push({ type: "tool_delta", index: call.index, json });
    } else if (call.form === "custom") events.push({ type: "tool_delta", index: call.index, json: '"}' });
    events.push({ type: "tool_end", index: call.index });
  }

  #ended(response: JsonObject, status: "completed" | "incomplete"): NeutralEvent[] {
    // Servers that have told all of it leave the output out, or the state that the event names.
    const output = Array.isArray(response["output"]) || !this.#anyContent ? response["output"] : [];
    const answer = answerToNeutral({ ...response, output: output ?? null, status: response["status"] ?? status });
    if ("fault" in answer) return [failure(answer.fault)];
    const events: NeutralEvent[] = [];
    this.#addUntold(answer.parts, events);
    // What the length cut off is no whole call.
    const whole = answer.stop === "end" || answer.stop === "tool_calls";
    if (whole) for (const call of this.#calls.values()) this.#end(call, "", events);
    const calls = this.#callCount > 0 && answer.stop === "end";
    events.push(...this.#usage(response));
    events.push({ type: "stop", reason: calls ? "tool_calls" : answer.stop, stopSequence: undefined });
    events.push({ type: "end" });
    return events;
  }

  /** What the stream has left out: all of the answer, its words or its calls. */
  #addUntold(parts: readonly NeutralPart[], events: NeutralEvent[]): void {
    const nothing = !this.#anyContent;
    const noCall = this.#callCount === 0;
    for (const part of parts) {
      const untold = part.type === "tool_call" ? noCall : part.type !== "thinking" && !this.#anyText;
      if (nothing || untold) this.#whole(part, events);
    }
  }

  #whole(part: NeutralPart, events: NeutralEvent[]): void {
    if (part.type === "text" || part.type === "refusal" || part.type === "thinking") {
      events.push({ type: part.type, text: part.text }, { type: "block_end" });
    } else if (part.type === "tool_call") {
      const index = this.#callCount++;
      events.push({ type: "tool_start", index, id: part.id, name: part.name, form: part.form });
      events.push({ type: "tool_delta", index, json: part.raw }, { type: "tool_end", index });
    }
  }

  #usage(response: JsonObject): NeutralEvent[] {
    const usage = readUsage(response);
    // Some servers leave items out of the final response.
    for (const [tool, calls] of Object.entries(this.#serverTools)) {
      if ((usage.serverTools?.[tool] ?? 0) < calls) usage.serverTools = { ...usage.serverTools, [tool]: calls };
    }
    return Object.keys(usage).length === 0 ? [] : [{ type: "usage", usage }];
  }
}

/** Some servers send an error envelope without any type. */
function untypedFault(data: JsonObject): UpstreamFault | undefined {
  const error = data["error"];
  if (isObject(error)) return streamFault(error);
  if (typeof error === "string" && error !== "") return streamFault({ message: error });
  return data["object"] === "error" ? streamFault(data) : undefined;
}

/** As it came: a character may be cut between two of them. */
function deltaOf(data: JsonObject): string {
  return typeof data["delta"] === "string" ? data["delta"] : "";
}

function keyOf(data: JsonObject, item: JsonObject): ItemKey {
  return numberAt(data, "output_index") ?? stringAt(item, "id") ?? stringAt(item, "call_id") ?? "";
}

function argumentsIn(item: JsonObject, form: "function" | "custom"): string {
  return stringAt(item, form === "custom" ? "input" : "arguments") ?? "";
}

function formOf(item: JsonObject): "function" | "custom" | undefined {
  if (item["type"] === "function_call") return "function";
  return item["type"] === "custom_tool_call" ? "custom" : undefined;
}

function wholeItem(item: JsonObject): NeutralEvent[] {
  const events: NeutralEvent[] = [];
  const reasoning = item["type"] === "reasoning";
  const summary = arrayAt(item, "summary");
  for (const part of reasoning && summary.length > 0 ? summary : arrayAt(item, "content")) {
    if (!isObject(part)) continue;
    const text = stringAt(part, "text");
    const refusal = stringAt(part, "refusal");
    if (text !== undefined && text !== "") events.push({ type: reasoning ? "thinking" : "text", text });
    else if (refusal !== undefined) events.push({ type: "refusal", text: refusal });
  }
  return events;
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function failure(fault: UpstreamFault): NeutralEvent {
  return { type: "error", fault };
}
