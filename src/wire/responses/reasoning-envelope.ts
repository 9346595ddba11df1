// Thinking that must come back byte for byte (Anthropic's signed and redacted blocks) travels to a Responses client in
// `encrypted_content` of a reasoning item, which clients replay verbatim. The content is no secret: the client is shown
// the same thinking. The prefix tells our envelopes from a vendor's, so that neither is sent to the wrong place.

import type { NeutralPart } from "../neutral.ts";
import { isObject, parseJson, stringAt } from "./json-fields.ts";

type Thinking = Extract<NeutralPart, { type: "thinking" | "redacted_thinking" }>;

/** Never the start of a vendor's own `encrypted_content` (those are base64 and have no dot). */
export const ENVELOPE_PREFIX = "sanctum1.";

/** Unsigned thinking gets an envelope too, so that the item can be told from a vendor's on replay. */
export function sealThinking(part: Thinking): string {
  if (part.type === "redacted_thinking") return seal({ data: part.data });
  return part.signature === undefined ? seal({}) : seal({ text: part.text, signature: part.signature });
}

export function isEnvelope(text: string): boolean {
  return text.startsWith(ENVELOPE_PREFIX);
}

/**
 * The thinking of a replayed reasoning item. `summary` stands in where the envelope has no text of its own; a foreign or
 * broken envelope yields unsigned thinking, or undefined where there is no summary either.
 */
export function openThinking(envelope: string | undefined, summary: string): Thinking | undefined {
  const content = envelope === undefined ? undefined : unseal(envelope);
  if (content?.data !== undefined) return { type: "redacted_thinking", data: content.data };
  if (content?.signature !== undefined) {
    return { type: "thinking", text: content.text ?? summary, signature: content.signature };
  }
  return summary === "" ? undefined : { type: "thinking", text: summary, signature: undefined };
}

interface Envelope {
  readonly text?: string | undefined;
  readonly signature?: string | undefined;
  readonly data?: string | undefined;
}

function seal(content: Envelope): string {
  return ENVELOPE_PREFIX + Buffer.from(JSON.stringify(content)).toString("base64url");
}

function unseal(envelope: string): Envelope | undefined {
  if (!isEnvelope(envelope)) return undefined;
  const content = parseJson(Buffer.from(envelope.slice(ENVELOPE_PREFIX.length), "base64url").toString());
  if (!isObject(content)) return undefined;
  return {
    text: stringAt(content, "text"),
    signature: stringAt(content, "signature"),
    data: stringAt(content, "data"),
  };
}
