// Thinking that must come back byte for byte (Anthropic's signed and redacted blocks) travels to a Responses client in
// `encrypted_content` of a reasoning item, which clients replay verbatim. The content is no secret: the client is shown
// the same thinking. The prefix tells our envelopes from a vendor's, so that neither is sent to the wrong place.
//
//   sanctum1.<base64url of {"origin":"5e884898da280471","text":"…","signature":"…"}>

import type { NeutralPart } from "../neutral.ts";
import { isObject, parseJson, stringAt } from "./json-fields.ts";

type Thinking = Extract<NeutralPart, { type: "thinking" | "redacted_thinking" }>;

/** Never the start of a vendor's own `encrypted_content` (those are base64 and have no dot). */
export const ENVELOPE_PREFIX = "sanctum1.";

/**
 * Unsigned thinking gets an envelope too, so that the item can be told from a vendor's on replay. `origin` names account
 * and model that signed: the block is worth nothing to others.
 */
export function sealThinking(part: Thinking, origin?: string): string {
  if (part.type === "redacted_thinking") return seal({ origin, data: part.data });
  return part.signature === undefined ? seal({}) : seal({ origin, text: part.text, signature: part.signature });
}

export function isEnvelope(text: string): boolean {
  return text.startsWith(ENVELOPE_PREFIX);
}

/**
 * The thinking of a replayed reasoning item. `summary` stands in where the envelope has no text of its own. A vendor's
 * envelope yields unsigned thinking, or undefined where there is no summary either; one of ours that can't be read yields
 * unsigned thinking that is marked as lost.
 */
export function openThinking(envelope: string | undefined, summary: string): Thinking | undefined {
  const ours = envelope !== undefined && isEnvelope(envelope);
  const content = ours ? unseal(envelope) : undefined;
  if (ours && content === undefined) return { type: "thinking", text: summary, signature: undefined, lost: true };
  const from = content?.origin === undefined ? undefined : { origin: content.origin };
  if (content?.data !== undefined) return { type: "redacted_thinking", data: content.data, ...from };
  if (content?.signature !== undefined) {
    return { type: "thinking", text: content.text ?? summary, signature: content.signature, ...from };
  }
  return summary === "" ? undefined : { type: "thinking", text: summary, signature: undefined };
}

interface Envelope {
  readonly origin?: string | undefined;
  readonly text?: string | undefined;
  readonly signature?: string | undefined;
  readonly data?: string | undefined;
}

function seal(content: Envelope): string {
  return ENVELOPE_PREFIX + Buffer.from(JSON.stringify(content)).toString("base64url");
}

/** Undefined where it was cut or changed on its way. */
function unseal(envelope: string): Envelope | undefined {
  const content = parseJson(Buffer.from(envelope.slice(ENVELOPE_PREFIX.length), "base64url").toString());
  if (!isObject(content)) return undefined;
  return {
    origin: stringAt(content, "origin"),
    text: stringAt(content, "text"),
    signature: stringAt(content, "signature"),
    data: stringAt(content, "data"),
  };
}
