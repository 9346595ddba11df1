import type { WireFacts } from "./neutral.ts";

/**
 * Upper bound of the tokens that the client itself sends. `inputTokenBound` is for money: with a provider's own tools it
 * counts the prompt once more for each call, and their results. A window has to hold the text alone.
 */
export function promptBound(facts: WireFacts, bodyLength: number): number {
  return facts.serverTools === undefined ? facts.inputTokenBound : Math.min(facts.inputTokenBound, bodyLength);
}
