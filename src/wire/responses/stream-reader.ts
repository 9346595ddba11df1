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

interface OpenCall {
  readonly index: number;
  readonly form: "function" | "custom";
  /** A first piece of the arguments has gone out. */
  begun: boolean;
  readonly joiner: SurrogateJoiner;
}

export function createReader(): StreamReader {
  return new ResponsesReader();
}

class ResponsesReader implements StreamReader {
  /** By output index. */
  readonly #calls = new Map<number, OpenCall>();
  #callCount = 0;
  /** Output indexes of open items for which deltas came, so that their `done` repeats nothing. */
  readonly #delivered = new Set<number>();
  #anyContent = false;
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
        return this.#argument(data);
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
        return this.#ended(response);
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
    this.#delivered.add(numberAt(data, "output_index") ?? -1);
    this.#anyContent = true;
    return [{ type, text: this.#joiner.push(deltaOf(data)) }];
  }

  #added(data: JsonObject): NeutralEvent[] {
    const item = objectAt(data, "item");
    const start = item === undefined ? undefined : this.#start(item, numberAt(data, "output_index") ?? -1);
    return start === undefined ? [{ type: "other" }] : [start];
  }

  #start(item: JsonObject, outputIndex: number): NeutralEvent | undefined {
    const form = formOf(item);
    if (form === undefined || this.#calls.has(outputIndex)) return undefined;
    if (this.#calls.size >= MAX_OPEN_ITEMS) return failure(notAnAnswer("The upstream opened too many tool calls."));
    const index = this.#callCount++;
    this.#calls.set(outputIndex, { index, form, begun: false, joiner: new SurrogateJoiner() });
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
  #argument(data: JsonObject): NeutralEvent[] {
    const call = this.#calls.get(numberAt(data, "output_index") ?? -1);
    const delta = call?.joiner.push(deltaOf(data)) ?? "";
    if (call === undefined || delta === "") return [{ type: "other" }];
    const json = call.form === "custom" ? (call.begun ? "" : '{"input":"') + escaped(delta) : delta;
    call.begun = true;
    return [{ type: "tool_delta", index: call.index, json }];
  }

  #done(data: JsonObject): NeutralEvent[] {
    const item = objectAt(data, "item");
    if (item === undefined) return [{ type: "other" }];
    const outputIndex = numberAt(data, "output_index") ?? -1;
    const tool = serverToolOf(stringAt(item, "type") ?? "");
    if (tool !== undefined) {
      // Told at once: a stream that breaks off after the call has it on its bill.
      this.#serverTools[tool] = (this.#serverTools[tool] ?? 0) + 1;
      return [{ type: "usage", usage: { serverTools: { ...this.#serverTools } } }];
    }
    if (formOf(item) !== undefined) return this.#callDone(item, outputIndex);
    if (item["type"] !== "message" && item["type"] !== "reasoning") return [{ type: "other" }];
    // A server that sends whole items only: what the deltas would have said is taken from the item.
    this.#joiner.reset();
    const events = this.#delivered.delete(outputIndex) ? [] : wholeItem(item);
    if (events.length > 0) this.#anyContent = true;
    events.push({ type: "block_end" });
    return events;
  }

  #callDone(item: JsonObject, outputIndex: number): NeutralEvent[] {
    const events: NeutralEvent[] = [];
    const start = this.#start(item, outputIndex);
    if (start !== undefined) events.push(start);
    const call = this.#calls.get(outputIndex);
    if (call === undefined) return events;
    this.#calls.delete(outputIndex);
    const text = stringAt(item, call.form === "custom" ? "input" : "arguments") ?? "";
    if (!call.begun) {
      const json = call.form === "custom" ? JSON.stringify({ input: text }) : text;
      if (json !== "") events.push({ type: "tool_delta", index: call.index, json });
    } else if (call.form === "custom") events.push({ type: "tool_delta", index: call.index, json: '"}' });
    events.push({ type: "tool_end", index: call.index });
    return events;
  }

  #ended(response: JsonObject): NeutralEvent[] {
    const answer = answerToNeutral({ ...response, object: "response" });
    if ("fault" in answer) return [failure(answer.fault)];
    const events: NeutralEvent[] = [];
    // A server that streams nothing but the whole answer at the end.
    if (!this.#anyContent) for (const part of answer.parts) this.#whole(part, events);
    const calls = this.#callCount > 0 && answer.stop === "end";
    events.push(...this.#usage(response));
    events.push({ type: "stop", reason: calls ? "tool_calls" : answer.stop, stopSequence: undefined });
    events.push({ type: "end" });
    return events;
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
