// What a Claude model takes, told by the generation in its name (wire.md B49, B60, B63). Names of other makers, behind a
// server that speaks this dialect, have no generation and get the plain request.

import type { JsonObject, NeutralReasoning } from "../neutral.ts";

/** Effort levels as thinking budgets for models from before adaptive thinking. Anthropic asks for 1,024 at least. */
const budgets: Readonly<Record<string, number>> = {
  minimal: 1_024,
  low: 4_096,
  medium: 10_240,
  high: 24_576,
  xhigh: 32_768,
  max: 48_000,
};
const LEAST_BUDGET = 1_024;

const CLAUDE = /claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/;

/** E.g. 4.6 for `claude-opus-4-6`, 4 for `claude-sonnet-4-20250514`; undefined where the name tells none. */
export function claudeGeneration(model: string): number | undefined {
  const found = CLAUDE.exec(model);
  if (found === null) return undefined;
  return Number(found[1]) + Number(found[2] ?? 0) / 10;
}

/** From 4.6 on a conversation that ends with the assistant is a 400. Unknown servers continue it or take it as it is. */
export function takesPrefill(model: string): boolean {
  const generation = claudeGeneration(model);
  return generation === undefined || generation < 4.6;
}

/** The first generation of each family that takes `role: "system"` among the messages (Anthropic docs "What's new"). */
const midSystemSince: ReadonlyMap<string, number> = new Map([
  ["opus", 4.8],
  ["fable", 5],
  ["mythos", 5],
  ["sonnet", 5.5],
  ["haiku", 5.5],
]);
const FAMILY = /claude-([a-z]+)-\d/;

/** Instructions in the middle of a conversation keep their role; for all other models they become user text. */
export function takesMidSystem(model: string): boolean {
  const since = midSystemSince.get(FAMILY.exec(model)?.[1] ?? "");
  const generation = claudeGeneration(model);
  return since !== undefined && generation !== undefined && generation >= since;
}

/** From 4.5 on a schema binds the answer, and `strict` the input of a tool (docs "Structured outputs"). */
export function takesSchemas(model: string): boolean {
  const generation = claudeGeneration(model);
  return generation !== undefined && generation >= 4.5;
}

/** Strict tools that one request may hold (docs "Structured outputs", limits). */
export const MAX_STRICT_TOOLS = 20;

/** From 4.7 on sampling parameters other than the default are a 400. */
export function takesSampling(model: string): boolean {
  const generation = claudeGeneration(model);
  return generation === undefined || generation < 4.7;
}

/** The fields `thinking` and `output_config.effort` of a request. */
export interface ThinkingFields {
  readonly thinking: JsonObject | undefined;
  readonly effort: string | undefined;
}

const nothing: ThinkingFields = { thinking: undefined, effort: undefined };

/**
 * `canThink` is false where the history forbids a thinking budget: the turn under way began without thinking.
 * `maxTokens` is the whole output, which a budget must stay below.
 */
export function thinkingFields(
  reasoning: NeutralReasoning | undefined,
  model: string,
  maxTokens: number,
  canThink: boolean,
): ThinkingFields {
  const generation = claudeGeneration(model);
  if (reasoning === undefined || generation === undefined || generation < 3.7) return nothing;
  if (reasoning.effort === "off") return { thinking: { type: "disabled" }, effort: undefined };
  if (generation >= 4.6)
    return { thinking: { type: "adaptive" }, effort: adaptiveEffort(reasoning.effort, generation) };
  const wanted = reasoning.budgetTokens ?? budgets[reasoning.effort ?? "medium"] ?? 0;
  // Half of the output is left for the answer itself.
  const budget = Math.min(wanted, Math.floor(maxTokens / 2));
  if (!canThink || budget < LEAST_BUDGET) return nothing;
  return { thinking: { type: "enabled", budget_tokens: budget }, effort: undefined };
}

function adaptiveEffort(effort: string | undefined, generation: number): string | undefined {
  switch (effort ?? "") {
    case "minimal":
      return "low";
    case "xhigh":
      return generation >= 4.7 ? "xhigh" : "high";
    case "low":
    case "medium":
    case "high":
    case "max":
      return effort;
    default:
      return undefined;
  }
}
