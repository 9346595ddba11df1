import type { Json, SseEvent } from "./neutral.ts";

const OPEN_BRACE = 0x7b;

/**
 * Some servers write a failure into a stream as a line of bare JSON, without `data:`, which by the standard is an unknown
 * field and says nothing. The JSON of such a line at the start of an event; undefined where there is none.
 */
export function bareLine({ raw }: SseEvent): Json | undefined {
  if (raw.charCodeAt(0) !== OPEN_BRACE) return undefined;
  const end = raw.search(/[\r\n]/);
  try {
    return JSON.parse(end < 0 ? raw : raw.slice(0, end)) as Json;
  } catch {
    // Not JSON either: an unknown field, which is ignored.
    return undefined;
  }
}
