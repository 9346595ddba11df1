// What a client makes of a stream, by a parser that is not ours.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { TestDialect } from "../fakes/house.ts";
import { referenceEvents } from "../fuzz/sse.ts";

export interface StreamView {
  readonly text: string;
  /** The messages of the errors told; by the dialect's own error event. */
  readonly errors: readonly string[];
  /** The dialect's last event came, and nothing behind it. */
  readonly complete: boolean;
  /** The JSON of every event. */
  readonly data: readonly JsonObject[];
}

/** Throws where an event is neither JSON nor the end of a Chat stream. */
export function viewOf(dialect: TestDialect, sse: string): StreamView {
  const events = referenceEvents(sse);
  const data = events.filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data) as JsonObject);
  const text = data.map((one) => deltaOf(dialect, one)).join("");
  const errors = data.map((one) => errorOf(dialect, one)).filter((message) => message !== null);
  const last = events.at(-1);
  const ends = { messages: '"message_stop"', chat: "[DONE]", responses: '"response.completed"' } as const;
  return { text, errors, complete: last?.data.includes(ends[dialect]) === true, data };
}

function deltaOf(dialect: TestDialect, data: JsonObject): string {
  switch (dialect) {
    case "messages":
      return objectOf(data["delta"])?.["type"] === "text_delta" ? textOf(objectOf(data["delta"])?.["text"]) : "";
    case "chat":
      return objectsOf(data["choices"])
        .map((choice) => textOf(objectOf(choice["delta"])?.["content"]))
        .join("");
    case "responses":
      return data["type"] === "response.output_text.delta" ? textOf(data["delta"]) : "";
    default:
      return dialect satisfies never;
  }
}

function errorOf(dialect: TestDialect, data: JsonObject): string | null {
  let error: Json | undefined;
  if (dialect === "messages") error = data["type"] === "error" ? data["error"] : undefined;
  else if (dialect === "chat") error = data["error"];
  else error = data["type"] === "response.failed" ? objectOf(data["response"])?.["error"] : undefined;
  const message = objectOf(error)?.["message"];
  return typeof message === "string" ? message : null;
}
