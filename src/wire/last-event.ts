// What stood behind the last event when a stream ended. By the standard an event without its closing blank line is cut;
// servers of the Chat dialect leave that line out all the same.

import type { Dialect, SseEvent } from "./neutral.ts";
import type { LastSseEvent } from "./sse.ts";

/** The events behind which nothing can be missing. Chat names none: there every whole event counts. */
const finalTypes: Readonly<Record<Dialect, ReadonlySet<unknown> | null>> = {
  messages: new Set(["message_stop", "error"]),
  chat: null,
  responses: new Set(["response.completed", "response.incomplete", "response.failed", "error"]),
};

/**
 * The event that is to be read, with the line ends that it lacks, so that what is written behind it begins a new one.
 * Null where it is only a part of one: the stream was cut, which is no fault of what the part says.
 */
export function lastEvent(dialect: Dialect, tail: LastSseEvent): SseEvent | null {
  const { event, data, raw, terminated } = tail;
  if (terminated) return { event, data, raw };
  if (data !== "" && !isWhole(dialect, tail)) return null;
  return { event, data, raw: raw + (raw.endsWith("\n") ? "\n" : "\n\n") };
}

function isWhole(dialect: Dialect, { event, data }: LastSseEvent): boolean {
  const types = finalTypes[dialect];
  if (types === null && /^\s*\[done\]\s*$/i.test(data)) return true;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return false;
  }
  if (types === null) return true;
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : event;
  return types.has(type);
}
