// A prompt's bytes bound its tokens at four times what they mostly are. Where they do not fit into what is left and the
// tokens would, the vendor that bills them is asked for their number, which is free of charge (Anthropic, docs "Token
// counting"; OpenAI, reference "Get input token counts").

import { AttemptError } from "../../errors.ts";
import type { AttemptRecord, Funded, Handler, Paced } from "../../request.ts";
import type { Json } from "../../wire/neutral.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import { readCount } from "../../wire/usage.ts";
import { freeAllowance } from "./allowance.ts";

/** Smaller prompts are not what a budget fails at. */
const leastTokens = 2_048;
/** No prose has more bytes a token: what does not fit at this rate is not asked about. */
const mostBytesPerToken = 6;
/** The vendors call their count an estimate that may be off by a little. */
const marginPercent = 105;
const marginTokens = 512;

/**
 * Prompt tokens that the vendor will not bill beyond; undefined: it was not asked, or did not answer, and the bytes stay
 * the bound. `fits`: whether so many are covered.
 */
export async function countPrompt(
  paced: Paced,
  next: Handler<Funded>,
  fits: (tokens: number) => boolean,
): Promise<number | undefined> {
  const { request, candidate } = paced;
  const { facts, operation } = request;
  const kind = serverKindOf(candidate.provider);
  if (operation !== "generate" || (kind !== "anthropic" && kind !== "openai")) return undefined;
  // What a tool at the vendor, or another model, reads later is not in the count.
  if (facts.serverTools !== undefined || facts.alternates !== undefined) return undefined;
  const { inputTokenBound: bound } = facts;
  if (bound < leastTokens || !fits(bound / mostBytesPerToken)) return undefined;
  try {
    const attempt: AttemptRecord = { ...paced.attempt };
    const counting = { ...request, operation: "count_tokens" as const };
    const response = await next({ ...paced, request: counting, attempt, allowance: freeAllowance });
    if (response.status !== 200 || typeof response.body !== "string") return undefined;
    const tokens = readCount((JSON.parse(response.body) as { input_tokens?: Json }).input_tokens);
    if (tokens === undefined || tokens === 0) return undefined;
    return Math.ceil((tokens * marginPercent) / 100) + marginTokens;
  } catch (error) {
    if (error instanceof AttemptError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
