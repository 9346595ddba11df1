// Why a model stopped, in the words of the Chat dialect and back (wire.md 99, 100).

import type { Json, StopReason } from "../neutral.ts";

const fromWire: Readonly<Record<string, StopReason>> = {
  stop: "end",
  length: "length",
  tool_calls: "tool_calls",
  function_call: "tool_calls",
  content_filter: "filtered",
};

const toWire: Readonly<Record<StopReason, string>> = {
  end: "stop",
  stop_sequence: "stop",
  pause: "stop",
  length: "length",
  tool_calls: "tool_calls",
  filtered: "content_filter",
};

/** Unknown values are an ordinary end; an answer that calls a tool ends with it, whatever the server says. */
export function fromChatFinish(reason: Json | undefined, hasToolCall: boolean): StopReason {
  const stop = typeof reason === "string" && Object.hasOwn(fromWire, reason) ? fromWire[reason]! : "end";
  return stop === "end" && hasToolCall ? "tool_calls" : stop;
}

/** `legacy`: the client knows the older name alone. */
export function toChatFinish(reason: StopReason, hasToolCall: boolean, legacy = false): string {
  const finish = hasToolCall && toWire[reason] === "stop" ? "tool_calls" : toWire[reason];
  return legacy && finish === "tool_calls" ? "function_call" : finish;
}
