import type { Candidate, Keyed } from "../request.ts";
import { promptTokens } from "../wire/usage.ts";

/** What is assumed of a model that has told nothing yet: English lies at 0.22, code at 0.3, JSON at 0.45. */
const usual = 1 / 3;
/** No text is thinner than that, whatever an upstream says (some count a cached prompt as nothing), and none is denser. */
const thinnest = 1 / 5;
const densest = 1;
/** The next prompt may be denser than all that were seen: in percent. */
const margin = 110;
/** How fast a denser prompt of the past is forgotten. */
const decay = 0.05;
/** Beneath it the frame of the request outweighs its text. */
const leastBytes = 2_048;
/** Pictures, documents and the vendor's own tools put tokens into the prompt that are no text of the body. */
const mostBesideText = 4_096;
const maxModels = 256;

/** How many tokens a byte of prompt is at each model, learnt from what the upstreams count; kept over reloads. */
export class TokenRatios {
  readonly #ratios = new Map<string, number>();

  /** Tokens of so many bytes of prompt, rather too many than too few. */
  tokens(candidate: Candidate, bytes: number): number {
    const ratio = this.#ratios.get(keyOf(candidate));
    return ratio === undefined ? Math.ceil(bytes * usual) : Math.min(bytes, Math.ceil((bytes * ratio * margin) / 100));
  }

  /** An upstream counted `tokens` in a prompt of so many bytes, all of them text. */
  learn(candidate: Candidate, bytes: number, tokens: number): void {
    if (bytes < leastBytes || tokens <= 0) return;
    const seen = Math.min(densest, Math.max(thinnest, tokens / bytes));
    const key = keyOf(candidate);
    const known = this.#ratios.get(key);
    // Taken out and put in again: the first in the map is the one that nobody used for longest.
    this.#ratios.delete(key);
    this.#ratios.set(key, known === undefined || seen > known ? seen : known + (seen - known) * decay);
    if (this.#ratios.size > maxModels) this.#ratios.delete(this.#ratios.keys().next().value!);
  }

  /** From what an upstream counted in the prompt of a request; where that is no text alone, it teaches nothing. */
  learnCount({ request, candidate }: Keyed, tokens: number): void {
    const bytes = request.record.bytesIn;
    if (Math.abs(request.facts.inputTokenBound - bytes) <= mostBesideText) this.learn(candidate, bytes, tokens);
  }

  /** The same from the usage of an answer, where it is the upstream's own. */
  learnUsage(keyed: Keyed): void {
    const { usage, usageSource } = keyed.attempt;
    if (usage === null || usageSource !== "upstream" || usage.serverTools !== undefined) return;
    if (keyed.request.operation === "generate") this.learnCount(keyed, promptTokens(usage));
  }
}

function keyOf({ provider, model }: Candidate): string {
  return `${provider.name}/${model}`;
}
