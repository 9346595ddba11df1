import type { NeutralEvent } from "./neutral.ts";

/** Something of it is an answer. */
export function isContent(event: NeutralEvent): boolean {
  switch (event.type) {
    case "text":
    case "refusal":
    case "thinking":
      return event.text !== "";
    case "thinking_signature":
    case "redacted_thinking":
    case "tool_start":
      return true;
    case "stop":
      // A refusal or a full window without a word is an answer; a plain stop without one is a failure.
      return event.reason === "filtered" || event.reason === "length" || event.reason === "pause";
    case "start":
    case "tool_delta":
    case "tool_end":
    case "block_end":
    case "usage":
    case "end":
    case "error":
    case "other":
      return false;
    default:
      return event satisfies never;
  }
}
