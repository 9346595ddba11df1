// What a client asked for and the server that answers has no word for: the answer's headers tell it.

import type { Candidate, GatewayResponse } from "../request.ts";
import { chatSamplingFor } from "../wire/chat/sampling-from-neutral.ts";
import type { NeutralRequest } from "../wire/neutral.ts";
import { profileOf } from "./profile.ts";

export const IGNORED_HEADER = "x-sanctum-ignored";

/** Adds the names of the fields that did not go along: of known ones alone, since nothing that a client wrote gets into a header. */
export function tellIgnored(answer: GatewayResponse, request: NeutralRequest, candidate: Candidate): GatewayResponse {
  const { chatSampling, ignored } = request;
  if (chatSampling === undefined && ignored === undefined) return answer;
  const { dialect, model, provider } = candidate;
  const sent = dialect === "chat" ? chatSamplingFor(request, { profile: profileOf(provider), model }) : {};
  const left = [...Object.keys(chatSampling ?? {}).filter((name) => sent[name] === undefined), ...(ignored ?? [])];
  if (left.length > 0) answer.headers[IGNORED_HEADER] = left.join(", ");
  return answer;
}
