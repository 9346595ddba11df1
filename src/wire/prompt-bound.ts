import { DOCUMENT_TOKENS } from "./media-ceilings.ts";
import type { WireFacts } from "./neutral.ts";

/**
 * Upper bound of the tokens that the client itself sends. `inputTokenBound` is for money: with a provider's own tools it
 * counts the prompt once more for each call, and their results. A window has to hold the text alone. A document's ceiling
 * is beyond most windows, though most documents are not: whether one fits is for its vendor to say.
 */
export function promptBound(facts: WireFacts, bodyLength: number): number {
  const bound = Math.max(0, facts.inputTokenBound - (facts.documents ?? 0) * DOCUMENT_TOKENS);
  return facts.serverTools === undefined ? bound : Math.min(bound, bodyLength);
}
