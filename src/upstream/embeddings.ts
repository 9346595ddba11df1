// Vectors as numbers or as base64 of little-endian float32: OpenAI's SDK asks for base64 unless it is told otherwise, and
// many servers know only numbers, whatever they are asked for.

import { AttemptError } from "../errors.ts";
import type { Keyed } from "../request.ts";
import { setTopLevel } from "../wire/json-edit.ts";
import type { Json, JsonObject } from "../wire/neutral.ts";
import { serverProfiles } from "../wire/profiles/server-profiles.ts";
import { profileOf } from "./profile.ts";

/** The client's text, asking for numbers where the server knows nothing else. The same string where nothing changes. */
export function embeddingsRequest(text: string, { request, candidate }: Keyed): string {
  const knows = serverProfiles[profileOf(candidate.provider)].base64Embeddings;
  return knows || !wantsBase64(request.body) ? text : setTopLevel(text, { encoding_format: '"float"' });
}

/** The answer's text with its vectors as the client wants them. Throws AttemptError `error_event` where they are none. */
export function embeddingsAnswer(text: string, answer: JsonObject, { request }: Keyed): string {
  const items = answer["data"];
  if (!Array.isArray(items)) return text;
  const base64 = wantsBase64(request.body);
  let changed = false;
  const data = items.map((item) => {
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    const { embedding } = item;
    if (base64 ? !Array.isArray(embedding) : typeof embedding !== "string") return item;
    changed = true;
    return { ...item, embedding: typeof embedding === "string" ? numbersOf(embedding) : packed(embedding as Json[]) };
  });
  return changed ? JSON.stringify({ ...answer, data }) : text;
}

function wantsBase64(body: JsonObject): boolean {
  return body["encoding_format"] === "base64";
}

function packed(numbers: readonly Json[]): string {
  const bytes = new DataView(new ArrayBuffer(numbers.length * 4));
  numbers.forEach((number, index) => {
    if (typeof number !== "number") throw noVector();
    bytes.setFloat32(index * 4, number, true);
  });
  return Buffer.from(bytes.buffer).toString("base64");
}

function numbersOf(base64: string): number[] {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length === 0 || bytes.length % 4 !== 0) throw noVector();
  const numbers: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const number = bytes.readFloatLE(at);
    if (!Number.isFinite(number)) throw noVector();
    numbers.push(number);
  }
  return numbers;
}

function noVector(): AttemptError {
  return new AttemptError("error_event", { status: 200, billed: "unknown", note: "the vectors can't be read" });
}
