import type { Clock } from "../clock.ts";
import type { Keyed } from "../request.ts";
import type { AnswerContext, NeutralRequest } from "../wire/neutral.ts";
import { originOf } from "./origin.ts";

/** What an answer that is written here, and not passed on, carries of its request. */
export function answerContext({ request, candidate }: Keyed, neutral: NeutralRequest, clock: Clock): AnswerContext {
  return {
    model: request.facts.model,
    id: request.id.replace(/^req_/, ""),
    createdAt: Math.floor(clock.now() / 1_000),
    includeUsage: request.facts.wantsUsageEvent,
    request: neutral,
    // Only that dialect has a place for it.
    ...(request.dialect === "responses" ? { origin: originOf(candidate) } : undefined),
  };
}
