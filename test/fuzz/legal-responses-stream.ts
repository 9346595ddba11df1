// What the clients of the Responses dialect take as a stream (OpenAI API reference: "Streaming events"; Codex acts on
// whole items alone, the SDK's helper refuses what was not announced).

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { faultOfShownUsage } from "./legal-usage.ts";

interface OpenItem {
  readonly id: string;
  readonly type: string;
  /** The text of the part or of the arguments, as the deltas gave it. */
  text: string;
  part: "none" | "open" | "closed";
  /** `…done` said what the whole is. */
  whole: string | null;
}

class ResponsesState {
  readonly open = new Map<number, OpenItem>();
  readonly done: Json[] = [];
  readonly callIds = new Set<string>();
  items = 0;
}

export function faultOfResponsesStream(events: readonly JsonObject[]): string | null {
  const state = new ResponsesState();
  for (const [at, event] of events.entries()) {
    const type = textOf(event["type"]);
    if (event["sequence_number"] !== at) return "a sequence_number that does not count";
    if (at === 0 && type !== "response.created") return `begins with ${type}`;
    if (at === 1 && type !== "response.in_progress" && type !== "response.failed") return `goes on with ${type}`;
    if (at > 0 && type === "response.created") return "a second response.created";
    const last = at === events.length - 1;
    if (type === "response.failed" || type === "response.completed" || type === "response.incomplete") {
      return last ? faultOfFinal(type, objectOf(event["response"]) ?? {}, state) : `something behind ${type}`;
    }
    const fault = faultOfEvent(type, event, state);
    if (fault !== null) return fault;
  }
  return "no end";
}

function faultOfFinal(type: string, response: JsonObject, state: ResponsesState): string | null {
  if (response["status"] !== type.slice("response.".length)) return "a status that is not the event's";
  const usage = objectOf(response["usage"]);
  const fault = usage === null ? null : faultOfShownUsage(usage);
  if (fault !== null) return fault;
  if (type === "response.failed") {
    return typeof objectOf(response["error"])?.["code"] === "string" ? null : "a failure without a code";
  }
  const output = response["output"];
  if (!Array.isArray(output)) return "no output";
  if (type === "response.completed") {
    if (state.open.size > 0) return "an item that is never done";
    if (!Bun.deepEquals(output, state.done, true)) return "an output that is not the items that were done";
  }
  return output.length === state.items ? null : "an output with other items than were announced";
}

function faultOfEvent(type: string, event: JsonObject, state: ResponsesState): string | null {
  switch (type) {
    case "response.created":
    case "response.in_progress":
      return objectOf(event["response"])?.["status"] === "in_progress" ? null : "a response that is not in progress";
    case "response.output_item.added":
      return added(event, state);
    case "response.output_item.done":
      return done(event, state);
    default:
      return inside(type, event, state);
  }
}

function added(event: JsonObject, state: ResponsesState): string | null {
  const item = objectOf(event["item"]) ?? {};
  if (event["output_index"] !== state.items) return "an output_index that does not count";
  const id = textOf(item["id"]);
  if (id === "") return "an item without an id";
  state.open.set(state.items, { id, type: textOf(item["type"]), text: "", part: "none", whole: null });
  state.items += 1;
  if (!textOf(item["type"]).endsWith("_call")) return null;
  const callId = textOf(item["call_id"]);
  if (callId === "" || state.callIds.has(callId)) return "a call_id that is empty or used twice";
  state.callIds.add(callId);
  return textOf(item["name"]) === "" ? "a call without a name" : null;
}

function done(event: JsonObject, state: ResponsesState): string | null {
  const index = Number(event["output_index"]);
  const open = state.open.get(index);
  const item = objectOf(event["item"]) ?? {};
  if (open === undefined) return "an item that is done without being open";
  if (item["id"] !== open.id || item["type"] !== open.type) return "an item that became another one";
  if (open.part === "open") return "an item that is done with an open part";
  state.open.delete(index);
  state.done[index] = item;
  if (open.type === "function_call") {
    const text = textOf(item["arguments"]);
    if (open.whole !== text) return "arguments that differ between the events";
    return isObjectText(text) ? null : "arguments that are no JSON object";
  }
  if (open.type === "custom_tool_call") return item["input"] === open.whole ? null : "input that differs";
  const parts = objectsOf(open.type === "message" ? item["content"] : item["summary"]);
  return parts.map((part) => textOf(part["text"])).join("") === open.text ? null : "a text that differs";
}

const partTypes: Readonly<Record<string, string>> = {
  "response.content_part.added": "message",
  "response.content_part.done": "message",
  "response.output_text.delta": "message",
  "response.output_text.done": "message",
  "response.reasoning_summary_part.added": "reasoning",
  "response.reasoning_summary_part.done": "reasoning",
  "response.reasoning_summary_text.delta": "reasoning",
  "response.reasoning_summary_text.done": "reasoning",
  "response.function_call_arguments.delta": "function_call",
  "response.function_call_arguments.done": "function_call",
  "response.custom_tool_call_input.delta": "custom_tool_call",
  "response.custom_tool_call_input.done": "custom_tool_call",
};

function inside(type: string, event: JsonObject, state: ResponsesState): string | null {
  const wanted = partTypes[type];
  if (wanted === undefined) return `an unknown event ${type}`;
  const open = state.open.get(Number(event["output_index"]));
  if (open === undefined || open.id !== event["item_id"]) return `${type} of an item that is not open`;
  if (open.type !== wanted) return `${type} in a ${open.type}`;
  if (type.endsWith("part.added")) {
    if (open.part !== "none") return "a second part";
    open.part = "open";
  } else if (type.endsWith("part.done")) {
    if (open.part !== "open" || open.whole === null) return "a part that is done too early";
    open.part = "closed";
  } else if (type.endsWith(".delta")) {
    if (!wanted.endsWith("_call") && open.part !== "open") return "a delta outside a part";
    if (open.whole !== null) return "a delta behind the whole";
    open.text += textOf(event["delta"]);
  } else {
    const whole = event["text"] ?? event["arguments"] ?? event["input"];
    if (typeof whole !== "string") return `${type} without the whole`;
    open.whole = whole;
    // Arguments that were no JSON are told anew as a whole.
    if (whole !== open.text && (wanted === "message" || wanted === "reasoning")) return "deltas that are not the whole";
  }
  return null;
}

function isObjectText(text: string): boolean {
  try {
    return objectOf(JSON.parse(text) as Json) !== null;
  } catch {
    return false;
  }
}
