// Why a model stopped, in the words of the Messages dialect and back (wire.md 99, 100).

import type { Json, StopReason } from "../neutral.ts";

const fromWire: Readonly<Record<string, StopReason>> = {
  end_turn: "end",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  stop_sequence: "stop_sequence",
  tool_use: "tool_calls",
  refusal: "filtered",
  pause_turn: "pause",
};

const toWire: Readonly<Record<StopReason, string>> = {
  end: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  stop_sequence: "stop_sequence",
  filtered: "refusal",
  pause: "pause_turn",
};

/** Values that a later API version may add are an ordinary end. */
export function fromMessagesStop(reason: Json | undefined): StopReason {
  return typeof reason === "string" && Object.hasOwn(fromWire, reason) ? fromWire[reason]! : "end";
}

/** A message that holds a tool call ends with `tool_use` even where the upstream said `stop`: clients run tools by it. */
export function toMessagesStop(reason: StopReason, hasToolCall: boolean): string {
  return hasToolCall && (reason === "end" || reason === "stop_sequence") ? "tool_use" : toWire[reason];
}
