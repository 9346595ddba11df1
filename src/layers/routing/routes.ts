import type { Understood } from "../../request.ts";
import { promptBound } from "../../wire/prompt-bound.ts";
import { compileGlob } from "./glob.ts";

interface Range {
  readonly below: number | undefined;
  readonly above: number | undefined;
}

/** One rule of `routes` as the configuration holds it. */
export interface RouteRule {
  readonly name: string;
  readonly when: {
    readonly model: string | undefined;
    readonly agent: string | undefined;
    readonly intent: string | undefined;
    readonly dialect: string | undefined;
    readonly inputTokens: Range | undefined;
    readonly has:
      | { readonly tools?: boolean; readonly images?: boolean; readonly thinking?: boolean; readonly json?: boolean }
      | undefined;
    readonly time: { readonly from: number; readonly to: number } | undefined;
    readonly budgetUsed: Range | undefined;
    readonly header: { readonly name: string; readonly value: string } | undefined;
  };
  readonly use: readonly string[];
}

/** What a rule may ask about beside the request itself. */
export interface Surroundings {
  /** Local time of day in minutes. */
  minuteOfDay(): number;
  /** Share of the agent's daily cap that is spent or held, 0 and up. */
  budgetUsed(request: Understood): number;
}

type Test = (request: Understood, around: Surroundings) => boolean;

/** The first rule that matches, or null. Compiled once per configuration: the conditions that are absent cost nothing. */
export function compileRoutes(
  rules: readonly RouteRule[],
): (request: Understood, around: Surroundings) => { readonly name: string; readonly use: readonly string[] } | null {
  const compiled = rules.map((rule) => ({ rule, tests: testsOf(rule.when) }));
  return (request, around) => {
    for (const { rule, tests } of compiled) {
      if (tests.every((test) => test(request, around))) return rule;
    }
    return null;
  };
}

function testsOf(when: RouteRule["when"]): readonly Test[] {
  const tests: Test[] = [];
  const { model, agent, intent, dialect, inputTokens, has, time, budgetUsed, header } = when;
  if (dialect !== undefined) tests.push((r) => r.dialect === dialect);
  if (agent !== undefined) tests.push(globTest(agent, (r) => r.agent.name));
  if (model !== undefined) tests.push(globTest(model, (r) => r.facts.model));
  if (intent !== undefined) tests.push((r) => r.intent === intent);
  if (inputTokens !== undefined)
    tests.push((r) => within(inputTokens, likelyTokens(promptBound(r.facts, r.text.length))));
  if (has !== undefined) {
    if (has.tools !== undefined) tests.push((r) => r.facts.hasTools === has.tools);
    if (has.images !== undefined) tests.push((r) => r.facts.hasImages === has.images);
    if (has.thinking !== undefined) tests.push((r) => r.facts.hasThinking === has.thinking);
    if (has.json !== undefined) tests.push((r) => r.facts.hasJsonFormat === has.json);
  }
  if (header !== undefined) {
    const fits = compileGlob(header.value);
    tests.push((r) => {
      const value = r.headers.get(header.name);
      return value !== null && fits(value);
    });
  }
  if (time !== undefined) tests.push((_, around) => inTime(time, around.minuteOfDay()));
  if (budgetUsed !== undefined) tests.push((r, around) => within(budgetUsed, around.budgetUsed(r)));
  return tests;
}

function globTest(glob: string, read: (request: Understood) => string): Test {
  const fits = compileGlob(glob);
  return (request) => fits(read(request));
}

function within(range: Range, value: number): boolean {
  return (range.below === undefined || value < range.below) && (range.above === undefined || value > range.above);
}

function inTime(time: { readonly from: number; readonly to: number }, minute: number): boolean {
  return time.from <= time.to ? minute >= time.from && minute < time.to : minute >= time.from || minute < time.to;
}

/**
 * From the upper bound (one token a byte) to what a tokeniser would likely say: English text, code and JSON lie at 2.2 to
 * 4.5 bytes a token. Used for choosing, never for money.
 */
export function likelyTokens(bound: number): number {
  return Math.ceil(bound / 3.5);
}
