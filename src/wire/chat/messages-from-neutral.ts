// Neutral messages to the messages of the Chat dialect, as the target's profile takes them (wire.md A2 to A24, A38 to A40).

import { AttemptError } from "../../errors.ts";
import { USER_BEGINS } from "../filler-turns.ts";
import type { JsonObject, NeutralMessage, NeutralPart, NeutralRequest } from "../neutral.ts";
import { pairedResults } from "../paired-results.ts";
import { fitCallId } from "../responses/tools.ts";
import { wellFormedJson } from "../well-formed.ts";
import type { ServerProfile } from "../profiles/server-profiles.ts";

/** OpenAI's Chat door takes ids of 40 characters, and others stand in front of it. */
const MAX_CALL_ID = 40;
/** The dialect has no field for it (A18). */
const ERROR_MARK = "[tool error] ";

/** Throws AttemptError `skipped_policy` where the target can't take a part. */
export function messagesFromNeutral(request: NeutralRequest, profile: ServerProfile): JsonObject[] {
  const out: JsonObject[] = [];
  const system = request.system.map(({ text }) => text).join("\n\n");
  if (system !== "") out.push({ role: "system", content: system });
  /** Images in tool results: they follow as user content after the last result of the turn (A20). */
  let held: JsonObject[] = [];
  for (const message of pairedResults(request.messages)) {
    if (message.role !== "tool" && held.length > 0) {
      addUser(out, held, profile);
      held = [];
    }
    for (const part of addMessage(message, profile, out)) held.push(part);
  }
  if (held.length > 0) addUser(out, held, profile);
  const first = system === "" ? 0 : 1;
  if (profile.mergeTurns && out[first]?.["role"] === "assistant") {
    out.splice(first, 0, { role: "user", content: [{ type: "text", text: USER_BEGINS }] });
  }
  for (const message of out) {
    if (message["role"] === "user") message["content"] = simplest(message["content"] as JsonObject[]);
  }
  return out;
}

/** Returns what must wait until the tool results are over. */
function addMessage(message: NeutralMessage, profile: ServerProfile, out: JsonObject[]): JsonObject[] {
  switch (message.role) {
    case "user":
      addUser(out, contentParts(message.parts, profile), profile);
      return [];
    case "system":
      addSystem(message.parts, profile, out);
      return [];
    case "assistant":
      addAssistant(message.parts, profile, out);
      return [];
    case "tool":
    default: {
      const text = message.parts.map((part) => ("text" in part ? part.text : "")).join("");
      const content = message.isError ? ERROR_MARK + text : text;
      const callId = fitCallId(message.callId, MAX_CALL_ID);
      out.push({ role: "tool", tool_call_id: callId, content });
      const media = contentParts(
        message.parts.filter((part) => part.type === "image" || part.type === "document"),
        profile,
      );
      if (media.length === 0) return media;
      return [{ type: "text", text: `[attached to the result of tool call ${callId}]` }, ...media];
    }
  }
}

/** Its content stays a list until the end, since a neighbour may be merged into it. */
function addUser(out: JsonObject[], parts: JsonObject[], profile: ServerProfile): void {
  if (parts.length === 0) return;
  const last = out.at(-1);
  if (profile.mergeTurns && last?.["role"] === "user") {
    const content = last["content"] as JsonObject[];
    for (const part of parts) content.push(part);
  } else {
    out.push({ role: "user", content: parts });
  }
}

/** Texts alone become one string: many chat templates take nothing else (A7). */
function simplest(parts: JsonObject[]): string | JsonObject[] {
  return parts.every((part) => part["type"] === "text")
    ? parts.map((part) => part["text"] as string).join("\n\n")
    : parts;
}

function addSystem(parts: readonly NeutralPart[], profile: ServerProfile, out: JsonObject[]): void {
  const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("\n\n");
  if (text === "") return;
  if (profile.midSystem) out.push({ role: "system", content: text });
  else addUser(out, [{ type: "text", text: `<system-reminder>\n${text}\n</system-reminder>` }], profile);
}

function addAssistant(parts: readonly NeutralPart[], profile: ServerProfile, out: JsonObject[]): void {
  let content = "";
  let thinking = "";
  const calls: JsonObject[] = [];
  for (const part of parts) {
    if (part.type === "text" || part.type === "refusal") content += part.text;
    else if (part.type === "thinking") thinking += part.text;
    else if (part.type === "tool_call") {
      const called = { name: part.name, arguments: wellFormedJson(part.raw) };
      calls.push({ id: fitCallId(part.id, MAX_CALL_ID), type: "function", function: called });
    }
  }
  if (content === "" && calls.length === 0) return;
  const last = out.at(-1);
  if (profile.mergeTurns && last?.["role"] === "assistant") {
    const before = (last["content"] as string | null) ?? "";
    last["content"] = [before, content].filter((text) => text !== "").join("\n\n") || null;
    if (calls.length > 0) last["tool_calls"] = calls;
    return;
  }
  const message: JsonObject = { role: "assistant", content: content === "" ? null : content };
  if (profile.reasoningHistory && thinking !== "") message["reasoning_content"] = thinking;
  if (calls.length > 0) message["tool_calls"] = calls;
  out.push(message);
}

function contentParts(parts: readonly NeutralPart[], profile: ServerProfile): JsonObject[] {
  const content: JsonObject[] = [];
  for (const part of parts) {
    if (part.type === "text" || part.type === "refusal") {
      if (part.text !== "") content.push({ type: "text", text: part.text });
    } else if (part.type === "image") content.push(imagePart(part, profile));
    else if (part.type === "document") content.push(documentPart(part, profile));
  }
  return content;
}

function imagePart(part: Extract<NeutralPart, { type: "image" }>, profile: ServerProfile): JsonObject {
  const source = part.source;
  if (source.kind === "file") throw unsendable("a file id of another vendor");
  if (source.kind === "url" && !profile.imageUrls) throw unsendable("an image by URL");
  const url = source.kind === "url" ? source.url : `data:${source.mediaType};base64,${source.data}`;
  const detail = part.detail === undefined ? undefined : { detail: part.detail };
  return { type: "image_url", image_url: { url, ...detail } };
}

function documentPart(part: Extract<NeutralPart, { type: "document" }>, profile: ServerProfile): JsonObject {
  const source = part.source;
  if (source.kind !== "base64") throw unsendable("a document that is not in the request");
  if (source.mediaType.startsWith("text/")) {
    const text = Buffer.from(source.data, "base64").toString("utf8");
    return { type: "text", text: part.name === undefined ? text : `# ${part.name}\n\n${text}` };
  }
  if (!profile.pdf) throw unsendable("a document that this server can't read");
  const data = `data:${source.mediaType};base64,${source.data}`;
  return { type: "file", file: { filename: part.name ?? "document.pdf", file_data: data } };
}

function unsendable(what: string): AttemptError {
  return new AttemptError("skipped_policy", { note: `the request holds ${what}` });
}
