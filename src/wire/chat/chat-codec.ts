// The OpenAI Chat Completions dialect: all that is special about it, in one object.

import { replaceAt, setTopLevel } from "../json-edit.ts";
import { isAbsent, isObject } from "../messages/request-fields.ts";
import { parseUpstreamError } from "../messages/upstream-error.ts";
import type { Codec, Json, JsonObject, RequestPatch, SseEvent } from "../neutral.ts";
import { formatEvent } from "../sse.ts";
import { chatAnswerFromNeutral, chatAnswerToNeutral, chatUsageOf } from "./answer.ts";
import { chatFacts } from "./facts.ts";
import { chatFromNeutral } from "./from-neutral.ts";
import { ChatFollower } from "./stream-follower.ts";
import { ChatReader } from "./stream-reader.ts";
import { ChatWriter } from "./stream-writer.ts";
import { chatToNeutral } from "./to-neutral.ts";

export const chatCodec: Codec = {
  dialect: "chat",
  facts: chatFacts,
  toNeutral: chatToNeutral,
  fromNeutral: chatFromNeutral,
  answerToNeutral: chatAnswerToNeutral,
  answerFromNeutral: chatAnswerFromNeutral,
  usageOf: chatUsageOf,
  createReader: () => new ChatReader(),
  createWriter: (context) => new ChatWriter(context),
  createFollower: () => new ChatFollower(),
  patchRequest,
  patchEvent,
  patchAnswer: (text, model) => replaceAt(text, ["model"], JSON.stringify(model)),
  parseError: parseUpstreamError,
};

function patchRequest(text: string, body: JsonObject, patch: RequestPatch): string {
  const edits: Record<string, string | undefined> = {};
  if (patch.model !== undefined) edits["model"] = JSON.stringify(patch.model);
  if (patch.maxOutputTokens !== undefined) {
    const limit = String(patch.maxOutputTokens);
    // The name that the client used, which its server knows; both where it used both.
    const used = (["max_tokens", "max_completion_tokens"] as const).filter((name) => !isAbsent(body[name]));
    for (const name of used.length === 0 ? [patch.limitName ?? "max_completion_tokens"] : used) edits[name] = limit;
  }
  // Servers refuse the option where nothing is streamed.
  if (patch.includeUsage === true && body["stream"] === true) {
    const options = body["stream_options"];
    if (!isObject(options)) edits["stream_options"] = '{"include_usage":true}';
    else if (options["include_usage"] !== true) return setTopLevel(withUsage(text, options), edits);
  }
  return setTopLevel(text, edits);
}

/** The client's other stream options stay as they are. */
function withUsage(text: string, options: JsonObject): string {
  if (Object.hasOwn(options, "include_usage")) return replaceAt(text, ["stream_options", "include_usage"], "true");
  return setTopLevel(text, { stream_options: JSON.stringify({ ...options, include_usage: true }) });
}

/** Servers write it in several ways, clients read one. */
const done = /^\s*\[done\]\s*$/i;
const lastChunk = formatEvent(undefined, "[DONE]");

/** A chunk of usage alone: only clients that asked for it know how to read one. */
const emptyChoices = /"choices"\s*:\s*\[\s*\]/;

function patchEvent(event: SseEvent, context: { model: string; includeUsage: boolean }): string | null {
  if (event.data === "") return event.raw;
  if (event.data.length < 32 && done.test(event.data)) return event.data === "[DONE]" ? event.raw : lastChunk;
  if (!context.includeUsage && event.data.includes('"usage"') && emptyChoices.test(event.data)) {
    if (isUsageChunk(event.data)) return null;
  }
  const data = replaceAt(event.data, ["model"], JSON.stringify(context.model));
  return data === event.data ? event.raw : formatEvent(event.event, data);
}

function isUsageChunk(text: string): boolean {
  let chunk: Json;
  try {
    chunk = JSON.parse(text) as Json;
  } catch {
    return false;
  }
  if (!isObject(chunk) || !isObject(chunk["usage"])) return false;
  return Array.isArray(chunk["choices"]) && chunk["choices"].length === 0;
}
