// Lifecycle events of a Responses stream that is not built from an answer: kept alive before anyone has answered, or in
// the middle of one that passes through.

import type { JsonObject } from "../neutral.ts";
import { formatEvent } from "../sse.ts";

/** Which response it is, and which number its next event has. */
export interface ResponsePlace {
  /** `resp_…`. */
  readonly id: string;
  readonly model: string;
  /** Seconds since the epoch. */
  readonly createdAt: number;
  readonly sequence: number;
}

/** All required fields of a response object, and nothing of an answer: strict clients refuse less. */
export function bareResponse(
  place: ResponsePlace,
  status: "in_progress" | "failed",
  error: JsonObject | null,
): JsonObject {
  return {
    id: place.id,
    object: "response",
    created_at: place.createdAt,
    status,
    error,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: place.model,
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: "auto",
    tools: [],
    top_p: null,
    usage: null,
  };
}

export function lifecycleEvent(type: "response.created" | "response.in_progress", place: ResponsePlace): string {
  const response = bareResponse(place, "in_progress", null);
  return formatEvent(type, JSON.stringify({ type, sequence_number: place.sequence, response }));
}
