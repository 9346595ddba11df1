// What a reader of an upstream's stream may hand on, whatever the upstream sent.

import type { NeutralEvent } from "../../src/wire/neutral.ts";
import { faultOfUsage } from "./legal-usage.ts";

/** Looks at all events that one reader gives, in order. */
export class EventJudge {
  #tools = 0;
  #over = false;

  /** What is wrong with the next event; null where nothing is. */
  see(event: NeutralEvent): string | null {
    if (this.#over && event.type !== "other") return `a ${event.type} behind the end`;
    if (event.type === "end" || event.type === "error") this.#over = true;
    return this.#faultOf(event);
  }

  #faultOf(event: NeutralEvent): string | null {
    switch (event.type) {
      case "text":
      case "refusal":
      case "thinking":
        return faultOfText(event.text, event.type);
      case "thinking_signature":
        return faultOfText(event.signature, event.type);
      case "redacted_thinking":
        return faultOfText(event.data, event.type);
      case "tool_start":
        if (event.index !== this.#tools) return "a tool index that does not count the calls";
        this.#tools += 1;
        return faultOfText(event.name, "tool name") ?? faultOfText(event.id, "tool id");
      case "tool_delta":
        if (!(event.index >= 0 && event.index < this.#tools)) return "arguments of a call that never began";
        return faultOfText(event.json, event.type);
      case "tool_end":
        return event.index >= 0 && event.index < this.#tools ? null : "the end of a call that never began";
      case "usage":
        return faultOfUsage(event.usage);
      case "stop":
        return typeof event.reason === "string" ? null : "a stop without a reason";
      case "error":
        return faultOfFault(event.fault);
      case "start":
        return [event.id, event.model].every((one) => one === undefined || typeof one === "string")
          ? null
          : "a start whose names are no text";
      case "end":
      case "block_end":
      case "other":
        return null;
      default:
        return event satisfies never;
    }
  }
}

/** Half a character is no Unicode: written as JSON and sent back, vendors refuse it. */
export function faultOfText(text: string, where: string): string | null {
  if (typeof text !== "string") return `${where} is no text`;
  return text.isWellFormed() ? null : `${where} holds half a character`;
}

/** The longest message that may be kept, logged and shown. */
const maxMessage = 5_000;

export function faultOfFault(fault: { status: number; code: string | undefined; message: string }): string | null {
  if (!Number.isInteger(fault.status) || fault.status < 400 || fault.status > 599) return "a fault without a status";
  if (typeof fault.message !== "string" || fault.message === "") return "a fault without a message";
  if (fault.message.length > maxMessage) return "a fault whose message is too long";
  return fault.code === undefined || typeof fault.code === "string" ? null : "a fault whose code is no text";
}
