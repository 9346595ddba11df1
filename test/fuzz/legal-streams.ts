// What the clients of each dialect take as a stream: written from the vendors' documentation and from what the clients
// do, without a look at our writers.

import type { JsonObject } from "../../src/wire/neutral.ts";
import type { TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { faultOfShownUsage } from "./legal-usage.ts";
import { faultOfResponsesStream } from "./legal-responses-stream.ts";

export interface WireEvent {
  readonly event: string | undefined;
  readonly data: string;
}

/** What is wrong with a whole stream; null where nothing is. `usage`: a Chat client that asked for the usage. */
export function faultOfStream(dialect: TestDialect, events: readonly WireEvent[], usage: boolean): string | null {
  if (dialect === "chat") return faultOfChatStream(events, usage);
  const parsed: JsonObject[] = [];
  for (const { event, data } of events) {
    const object = parse(data);
    if (object === null) return "an event that is no JSON object";
    if (event !== object["type"]) return "an event line that is not the type";
    parsed.push(object);
  }
  return dialect === "messages" ? faultOfMessagesStream(parsed) : faultOfResponsesStream(parsed);
}

function parse(data: string): JsonObject | null {
  try {
    return objectOf(JSON.parse(data));
  } catch {
    return null;
  }
}

/** Tool input must be one JSON object; no text at all stands for the empty one. */
export function isInput(text: string): boolean {
  return text === "" || parse(text) !== null;
}

const deltaTypes: Readonly<Record<string, readonly string[]>> = {
  text: ["text_delta"],
  thinking: ["thinking_delta", "signature_delta"],
  tool_use: ["input_json_delta"],
  redacted_thinking: [],
};

class MessagesState {
  started = false;
  stop: string | undefined;
  open: { index: number; type: string; json: string; deltas: number } | null = null;
  blocks = 0;
  readonly ids = new Set<string>();
  hasTool = false;
}

function faultOfMessagesStream(events: readonly JsonObject[]): string | null {
  const state = new MessagesState();
  for (const [at, event] of events.entries()) {
    const type = textOf(event["type"]);
    if (type === "ping") continue;
    const last = at === events.length - 1;
    if (type === "error") {
      const named = typeof objectOf(event["error"])?.["type"] === "string";
      return last ? (named ? null : "an error without a type") : "something behind the error";
    }
    if (type === "message_stop") {
      if (!last) return "something behind message_stop";
      return state.stop === undefined ? "message_stop without a message_delta" : null;
    }
    const fault = faultOfMessagesEvent(type, event, state);
    if (fault !== null) return fault;
  }
  return "no end";
}

function faultOfMessagesEvent(type: string, event: JsonObject, state: MessagesState): string | null {
  if (type === "message_start") {
    if (state.started) return "a second message_start";
    state.started = true;
    const usage = objectOf(objectOf(event["message"])?.["usage"]);
    if (usage === null) return "message_start without usage";
    return faultOfShownUsage(usage);
  }
  if (!state.started) return `${type} before message_start`;
  if (state.stop !== undefined) return `${type} behind message_delta`;
  switch (type) {
    case "content_block_start":
      return faultOfBlockStart(event, state);
    case "content_block_delta":
      return faultOfBlockDelta(event, state);
    case "content_block_stop": {
      const { open } = state;
      if (open === null || open.index !== event["index"]) return "content_block_stop of a block that is not open";
      state.open = null;
      if (open.type === "tool_use" && !isInput(open.json)) return "tool input that is no JSON object";
      return open.type === "text" && open.deltas === 0 ? "an empty text block" : null;
    }
    case "message_delta": {
      if (state.open !== null) return "message_delta inside a block";
      const stop = objectOf(event["delta"])?.["stop_reason"];
      if (typeof stop !== "string") return "message_delta without a stop_reason";
      state.stop = stop;
      if (state.hasTool && !["tool_use", "max_tokens", "refusal", "pause_turn"].includes(stop))
        return `tools but ${stop}`;
      const usage = objectOf(event["usage"]);
      return usage === null ? "message_delta without usage" : faultOfShownUsage(usage);
    }
    default:
      return `an unknown event ${type}`;
  }
}

function faultOfBlockStart(event: JsonObject, state: MessagesState): string | null {
  const block = objectOf(event["content_block"]);
  const type = textOf(block?.["type"]);
  if (state.open !== null) return "a block inside a block";
  if (event["index"] !== state.blocks) return "a block index that does not count";
  if (deltaTypes[type] === undefined) return `an unknown block ${type}`;
  state.open = { index: state.blocks, type, json: "", deltas: 0 };
  state.blocks += 1;
  if (type !== "tool_use") return null;
  state.hasTool = true;
  const id = textOf(block?.["id"]);
  if (!/^[A-Za-z0-9_-]+$/.test(id) || state.ids.has(id)) return "a tool id that is illegal or used twice";
  state.ids.add(id);
  if (textOf(block?.["name"]) === "") return "a tool without a name";
  const input = objectOf(block?.["input"]);
  return input !== null && Object.keys(input).length === 0 ? null : "input in content_block_start";
}

function faultOfBlockDelta(event: JsonObject, state: MessagesState): string | null {
  const { open } = state;
  if (open === null || open.index !== event["index"]) return "a delta of a block that is not open";
  const delta = objectOf(event["delta"]) ?? {};
  const type = textOf(delta["type"]);
  if (!deltaTypes[open.type]?.includes(type)) return `${type} in a ${open.type} block`;
  open.deltas += 1;
  open.json += textOf(delta["partial_json"]);
  return null;
}

class ChatState {
  finish: string | null = null;
  usage = false;
  identity: string | null = null;
  readonly calls: { args: string; custom: boolean }[] = [];
  readonly ids = new Set<string>();
}

function faultOfChatStream(events: readonly WireEvent[], usage: boolean): string | null {
  const state = new ChatState();
  for (const [at, { data }] of events.entries()) {
    const last = at === events.length - 1;
    if (data === "[DONE]") {
      if (!last) return "something behind [DONE]";
      if (state.finish === null) return "[DONE] without a finish_reason";
      return usage && !state.usage ? "no usage chunk" : null;
    }
    const chunk = parse(data);
    if (chunk === null) return "a chunk that is no JSON object";
    if (chunk["error"] !== undefined) return last ? null : "something behind the error";
    const fault = faultOfChunk(chunk, at === 0, state, usage);
    if (fault !== null) return fault;
  }
  return "no end";
}

function faultOfChunk(chunk: JsonObject, first: boolean, state: ChatState, usage: boolean): string | null {
  const identity = JSON.stringify([chunk["id"], chunk["model"], chunk["created"], chunk["object"]]);
  state.identity ??= identity;
  if (identity !== state.identity) return "a chunk of another answer";
  if (!Array.isArray(chunk["choices"])) return "a chunk without choices";
  const [choice] = objectsOf(chunk["choices"]);
  if (choice === undefined) {
    if (!usage || state.usage || state.finish === null) return "a usage chunk that is not wanted here";
    state.usage = true;
    const shown = objectOf(chunk["usage"]);
    return shown === null ? "a chunk of nothing" : faultOfShownUsage(shown);
  }
  if (state.finish !== null) return "a chunk behind the finish_reason";
  const delta = objectOf(choice["delta"]);
  if (delta === null) return "a choice without a delta";
  if (first && delta["role"] !== "assistant") return "no role in the first chunk";
  for (const call of objectsOf(delta["tool_calls"])) {
    const fault = faultOfCall(call, state);
    if (fault !== null) return fault;
  }
  const finish = choice["finish_reason"];
  if (finish === null) return null;
  if (typeof finish !== "string") return "a finish_reason that is no word";
  state.finish = finish;
  if (state.calls.length > 0 && finish === "stop") return "tool calls but stop";
  return state.calls.every(({ args, custom }) => custom || isInput(args)) ? null : "arguments that are no JSON object";
}

function faultOfCall(call: JsonObject, state: ChatState): string | null {
  const index = Number(call["index"]);
  const known = state.calls[index];
  const fn = objectOf(call["function"]) ?? objectOf(call["custom"]);
  if (known === undefined) {
    if (index !== state.calls.length) return "a tool call index that does not count the calls";
    const id = textOf(call["id"]);
    if (!/^[A-Za-z0-9_-]+$/.test(id) || state.ids.has(id)) return "a tool call id that is illegal or used twice";
    state.ids.add(id);
    if (textOf(fn?.["name"]) === "") return "a tool call without a name";
    state.calls.push({ args: textOf(fn?.["arguments"]), custom: call["type"] === "custom" });
    return null;
  }
  if (call["id"] !== undefined) return "a second id of a tool call";
  known.args += textOf(fn?.["arguments"]);
  return null;
}
