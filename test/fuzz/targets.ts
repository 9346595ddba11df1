import { clientRequests } from "./client-request.ts";
import { jsonEdits } from "./json-edit.ts";
import { guardedBodies } from "./json-guard.ts";
import { roundTrips } from "./round-trip.ts";
import { sseStreams } from "./sse.ts";
import type { FuzzTarget } from "./target.ts";
import { upstreamAnswers, upstreamErrors } from "./upstream-answer.ts";
import { upstreamStreams } from "./upstream-stream.ts";

export const fuzzTargets: readonly FuzzTarget[] = [
  sseStreams,
  guardedBodies,
  jsonEdits,
  clientRequests,
  roundTrips,
  upstreamStreams,
  upstreamAnswers,
  upstreamErrors,
];
