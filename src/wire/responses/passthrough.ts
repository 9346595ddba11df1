// Responses on both sides: the client's and the upstream's bytes go on as they are, but for what must differ.

import { replaceAt, setTopLevel } from "../json-edit.ts";
import type { JsonObject, RequestPatch, SseEvent } from "../neutral.ts";
import { formatEvent } from "../sse.ts";
import { DEFAULT_TOOL_CALLS, lacksCallLimit } from "./hosted-tools.ts";
import { arrayAt, isObject, stringAt } from "./json-fields.ts";
import { ENVELOPE_PREFIX, isEnvelope } from "./reasoning-envelope.ts";

/** Tiers that cost a multiple of the price that the hold is made at (OpenAI docs "Priority processing"). */
const dearTiers: ReadonlySet<unknown> = new Set(["priority", "fast", "scale"]);

/**
 * The client's request with another model or a lower output limit. Beside that, what the hold does not cover is put
 * right: an absent limit on paid tool calls is set, a dearer service tier becomes the default one. Reasoning items that
 * carry our own envelope come from another vendor's turn and are taken out: this one would refuse them.
 */
export function patchRequest(text: string, body: JsonObject, patch: RequestPatch): string {
  const edits: Record<string, string | undefined> = {};
  if (patch.model !== undefined && patch.model !== body["model"]) edits["model"] = JSON.stringify(patch.model);
  if (patch.maxOutputTokens !== undefined && patch.maxOutputTokens !== body["max_output_tokens"]) {
    edits["max_output_tokens"] = String(patch.maxOutputTokens);
  }
  if (lacksCallLimit(body)) edits["max_tool_calls"] = String(DEFAULT_TOOL_CALLS);
  if (dearTiers.has(body["service_tier"])) edits["service_tier"] = '"default"';
  if (text.includes(ENVELOPE_PREFIX)) {
    const input = arrayAt(body, "input");
    const own = input.filter((item) => !isObject(item) || !isEnvelope(stringAt(item, "encrypted_content") ?? ""));
    if (own.length < input.length) edits["input"] = JSON.stringify(own);
  }
  return Object.keys(edits).length === 0 ? text : setTopLevel(text, edits);
}

/** Lifecycle events name the model; every other event goes on byte for byte. Nothing is hidden in this dialect. */
export function patchEvent(event: SseEvent, context: { model: string; includeUsage: boolean }): string | null {
  // Inside a JSON string a quote is escaped, so this finds the word as a string of its own only: mostly the key.
  if (!event.data.includes('"model"')) return event.raw;
  const data = replaceAt(event.data, ["response", "model"], JSON.stringify(context.model));
  return data === event.data ? event.raw : formatEvent(event.event, data);
}

/** The upstream's answer under the name that the client asked for. */
export function patchAnswer(text: string, model: string): string {
  return replaceAt(text, ["model"], JSON.stringify(model));
}
