// A turn that a local model answered comes back with its thinking, which nobody signed. Anthropic refuses such blocks
// ("thinking.signature: Field required"), so a conversation that was once answered at home could never return to the cloud.

import { elementSpans, entrySpan, topLevelSpans, type Span } from "../json-edit.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { isObject } from "./request-fields.ts";

/**
 * The request without the thinking blocks that have no signature, and without the turns that consist of nothing else. All
 * other elements stay byte for byte: signed thinking is bound to everything before it (Anthropic docs "Preserved thinking"),
 * and the same history gives the same text each time. Returns the very same string where there is nothing to take out.
 */
export function withoutUnsignedThinking(text: string, body: JsonObject): string {
  const messages = body["messages"];
  // The walk is shallow, and a turn is found out by its blocks' types alone: cheap also for a long history.
  if (!Array.isArray(messages) || !messages.some(holdsUnsigned)) return text;
  const list = topLevelSpans(text, ["messages"]).get("messages");
  if (list === undefined) return text;
  const kept: string[] = [];
  elementSpans(text, list.start).forEach((span, index) => {
    const message = messages[index];
    const left = holdsUnsigned(message) ? messageWithout(text, span, message) : text.slice(span.start, span.end);
    if (left !== null) kept.push(left);
  });
  return `${text.slice(0, list.start)}[${kept.join(",")}]${text.slice(list.end)}`;
}

/** Null where nothing is left of it. */
function messageWithout(text: string, span: Span, message: Turn): string | null {
  const list = entrySpan(text, span.start, "content");
  if (list === null) return text.slice(span.start, span.end);
  const kept = elementSpans(text, list.start).filter((_, index) => !isUnsigned(message.content[index]));
  if (kept.length === 0) return null;
  const blocks = kept.map(({ start, end }) => text.slice(start, end)).join(",");
  return `${text.slice(span.start, list.start)}[${blocks}]${text.slice(list.end, span.end)}`;
}

type Turn = JsonObject & { readonly content: readonly Json[] };

function holdsUnsigned(message: Json | undefined): message is Turn {
  if (!isObject(message) || message["role"] !== "assistant") return false;
  const content = message["content"];
  return Array.isArray(content) && content.some(isUnsigned);
}

function isUnsigned(block: Json | undefined): boolean {
  if (!isObject(block) || block["type"] !== "thinking") return false;
  const signature = block["signature"];
  return signature === undefined || signature === null || signature === "";
}
