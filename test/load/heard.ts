// What a client makes of an answer: how it ended, and what its text is.

import type { Json } from "../../src/wire/neutral.ts";
import type { TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { Heard } from "./callers.ts";

/** `answered`: a clean end. `error_event`: the dialect's own word that it broke. `illegal`: neither. */
export type AnswerEnd = "answered" | "error_event" | "refused" | "illegal";

export function endOf(dialect: TestDialect, stream: boolean, { status, body }: Heard): AnswerEnd {
  if (status !== 200) return status >= 400 && isErrorBody(body) ? "refused" : "illegal";
  if (!stream) return parsed(body) === null ? "illegal" : "answered";
  const last = dataOf(body).at(-1) ?? "";
  if (dialect === "chat") {
    if (last === "[DONE]") return "answered";
    return objectOf(parsed(last) ?? undefined)?.["error"] === undefined ? "illegal" : "error_event";
  }
  const type = textOf(objectOf(parsed(last) ?? undefined)?.["type"]);
  if (type === "message_stop" || type === "response.completed") return "answered";
  return type === "error" || type === "response.failed" ? "error_event" : "illegal";
}

/** The text of a whole answer, put together as the dialect's own clients do. */
export function textIn(dialect: TestDialect, stream: boolean, body: string): string {
  if (!stream) return textOfWhole(dialect, parsed(body));
  let text = "";
  for (const data of dataOf(body)) {
    const event = objectOf(parsed(data) ?? undefined);
    if (dialect === "chat") text += textOf(objectOf(objectsOf(event?.["choices"])[0]?.["delta"])?.["content"]);
    else if (dialect === "messages") text += textOf(objectOf(event?.["delta"])?.["text"]);
    else if (event?.["type"] === "response.output_text.delta") text += textOf(event["delta"]);
  }
  return text;
}

function textOfWhole(dialect: TestDialect, json: Json): string {
  const answer = objectOf(json);
  if (dialect === "chat") return textOf(objectOf(objectsOf(answer?.["choices"])[0]?.["message"])?.["content"]);
  const blocks =
    dialect === "messages"
      ? objectsOf(answer?.["content"])
      : objectsOf(answer?.["output"]).flatMap((item) => objectsOf(item["content"]));
  return blocks.map((block) => textOf(block["text"])).join("");
}

function dataOf(body: string): string[] {
  return body
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => line.slice(6));
}

function isErrorBody(body: string): boolean {
  return objectOf(parsed(body) ?? undefined)?.["error"] !== undefined;
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
