import type { GatewayResponse, Planned } from "../request.ts";
import { inputBound } from "../wire/media-ceilings.ts";
import { jsonHeaders } from "./headers.ts";
import { countTokens } from "./meter.ts";

/**
 * The token count where no vendor can be asked: by bytes, on the high side, so that a client that trusts it does not
 * overrun a window. A missing answer would make Claude Code count even more roughly by itself.
 */
export function countLocally(request: Planned): GatewayResponse {
  const { facts, body } = request;
  const answer = JSON.stringify({ input_tokens: countTokens(inputBound(body, facts.inputTokenBound)) });
  const finished = Promise.resolve({ outcome: "ok" as const, bytesOut: answer.length });
  return { status: 200, headers: { ...jsonHeaders }, body: answer, finished };
}
