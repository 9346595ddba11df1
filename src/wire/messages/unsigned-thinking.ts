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
  const head = text.slice(0, list.start);
  return (
    head + listWithout(text, list, (span, index) => messageWithout(text, span, messages[index])) + text.slice(list.end)
  );
}

/** Null where nothing is left of it. */
function messageWithout(text: string, span: Span, message: Json | undefined): string | null {
  const list = holdsUnsigned(message) ? entrySpan(text, span.start, "content") : null;
  if (list === null || !holdsUnsigned(message)) return text.slice(span.start, span.end);
  if (message.content.every(isUnsigned)) return null;
  const blocks = listWithout(text, list, (block, index) =>
    isUnsigned(message.content[index]) ? null : text.slice(block.start, block.end),
  );
  return text.slice(span.start, list.start) + blocks + text.slice(list.end, span.end);
}

/** The array at `list` with what `change` makes of each element; null takes it out, with one comma and the space behind it. */
function listWithout(text: string, list: Span, change: (element: Span, index: number) => string | null): string {
  const elements = elementSpans(text, list.start);
  let out = "";
  let keptLength = 1;
  let done = list.start;
  elements.forEach((element, index) => {
    const next = elements[index + 1];
    const changed = change(element, index);
    out += text.slice(done, element.start);
    if (changed !== null) {
      out += changed;
      keptLength = out.length;
      done = element.end;
    } else if (next === undefined) {
      // The comma before it would be one too many.
      out = out.slice(0, keptLength);
      done = element.end;
    } else done = next.start;
  });
  return out + text.slice(done, list.end);
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
