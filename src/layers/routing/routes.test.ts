import { describe, expect, test } from "bun:test";
import type { Understood } from "../../request.ts";
import { compileRoutes, likelyTokens, type RouteRule, type Surroundings } from "./routes.ts";
import { understoodOf } from "./sample-request.ts";

const nothing: RouteRule["when"] = {
  model: undefined,
  agent: undefined,
  intent: undefined,
  dialect: undefined,
  inputTokens: undefined,
  has: undefined,
  time: undefined,
  budgetUsed: undefined,
  header: undefined,
};
const noon: Surroundings = { minuteOfDay: () => 12 * 60, budgetUsed: () => 0.5 };

function ruleOf(name: string, when: Partial<RouteRule["when"]>): RouteRule {
  return { name, when: { ...nothing, ...when }, use: [name] };
}

function matches(when: Partial<RouteRule["when"]>, request: Understood, around: Partial<Surroundings> = {}): boolean {
  return compileRoutes([ruleOf("rule", when)])(request, { ...noon, ...around }) !== null;
}

describe("a rule holds where", () => {
  test("the requested name fits its glob", () => {
    expect(matches({ model: "claude-*" }, understoodOf({ model: "claude-sonnet-4-5" }))).toBe(true);
    expect(matches({ model: "claude-*" }, understoodOf({ model: "gpt-4o" }))).toBe(false);
  });

  test("the agent fits", () => {
    expect(matches({ agent: "windu" }, understoodOf())).toBe(true);
    expect(matches({ agent: "m*" }, understoodOf())).toBe(false);
  });

  test("the intent is the same; a request of which none is known has none", () => {
    expect(matches({ intent: "code" }, understoodOf({ intent: "code" }))).toBe(true);
    expect(matches({ intent: "code" }, understoodOf({ intent: "chat" }))).toBe(false);
    expect(matches({ intent: "code" }, understoodOf())).toBe(false);
  });

  test("the dialect is the same", () => {
    expect(matches({ dialect: "messages" }, understoodOf({ dialect: "messages" }))).toBe(true);
    expect(matches({ dialect: "messages" }, understoodOf({ dialect: "chat" }))).toBe(false);
  });

  test("the prompt's likely size lies in the range, its ends excluded", () => {
    const request = understoodOf({ facts: { inputTokenBound: 3_500 } });
    expect(likelyTokens(3_500)).toBe(1_000);
    expect(matches({ inputTokens: { below: 1_001, above: 999 } }, request)).toBe(true);
    expect(matches({ inputTokens: { below: 1_000, above: undefined } }, request)).toBe(false);
    expect(matches({ inputTokens: { below: undefined, above: 1_000 } }, request)).toBe(false);
  });

  test("the request has, or has not, what is named", () => {
    const facts = { tools: "hasTools", images: "hasImages", thinking: "hasThinking", json: "hasJsonFormat" } as const;
    for (const [name, fact] of Object.entries(facts)) {
      const having = understoodOf({ facts: { [fact]: true } });
      expect([name, matches({ has: { [name]: true } }, having)]).toEqual([name, true]);
      expect([name, matches({ has: { [name]: false } }, having)]).toEqual([name, false]);
      expect([name, matches({ has: { [name]: true } }, understoodOf())]).toEqual([name, false]);
      expect([name, matches({ has: { [name]: false } }, understoodOf())]).toEqual([name, true]);
    }
  });

  test("the header is there and fits, its name in any case", () => {
    const request = understoodOf({ headers: { "X-Team": "red-1" } });
    expect(matches({ header: { name: "x-team", value: "red-*" } }, request)).toBe(true);
    expect(matches({ header: { name: "x-team", value: "blue-*" } }, request)).toBe(false);
  });

  test("the header is there at all, for the glob that takes anything", () => {
    expect(matches({ header: { name: "x-team", value: "*" } }, understoodOf({ headers: { "x-team": "" } }))).toBe(true);
    expect(matches({ header: { name: "x-team", value: "*" } }, understoodOf())).toBe(false);
    expect(matches({ header: { name: "x-team", value: "" } }, understoodOf())).toBe(false);
  });

  test("the share of the cap that is used lies in the range", () => {
    expect(matches({ budgetUsed: { below: undefined, above: 0.8 } }, understoodOf(), { budgetUsed: () => 0.9 })).toBe(
      true,
    );
    expect(matches({ budgetUsed: { below: undefined, above: 0.8 } }, understoodOf(), { budgetUsed: () => 0.8 })).toBe(
      false,
    );
    expect(matches({ budgetUsed: { below: 0.8, above: undefined } }, understoodOf(), { budgetUsed: () => 0.8 })).toBe(
      false,
    );
  });

  test("all of its conditions hold, and always where it has none", () => {
    const request = understoodOf({ model: "gpt-4o", facts: { hasTools: true } });
    expect(matches({ model: "gpt-*", has: { tools: true } }, request)).toBe(true);
    expect(matches({ model: "gpt-*", has: { tools: false } }, request)).toBe(false);
    expect(matches({}, request)).toBe(true);
  });
});

describe("a time of day", () => {
  const at = (clock: string): number => Number(clock.slice(0, 2)) * 60 + Number(clock.slice(3));
  const inside = (from: string, to: string, now: string): boolean =>
    matches({ time: { from: at(from), to: at(to) } }, understoodOf(), { minuteOfDay: () => at(now) });

  test("holds from its first minute to the one before its last", () => {
    expect(inside("09:00", "17:00", "09:00")).toBe(true);
    expect(inside("09:00", "17:00", "16:59")).toBe(true);
    expect(inside("09:00", "17:00", "17:00")).toBe(false);
    expect(inside("09:00", "17:00", "08:59")).toBe(false);
  });

  test("may cross midnight", () => {
    for (const now of ["22:00", "23:59", "00:00", "05:59"])
      expect([now, inside("22:00", "06:00", now)]).toEqual([now, true]);
    for (const now of ["06:00", "12:00", "21:59"]) expect([now, inside("22:00", "06:00", now)]).toEqual([now, false]);
  });
});

test("the first rule that matches is taken, whatever the later ones say", () => {
  const match = compileRoutes([ruleOf("a", { model: "x" }), ruleOf("b", { model: "gpt-*" }), ruleOf("c", {})]);
  expect(match(understoodOf({ model: "gpt-4o" }), noon)?.name).toBe("b");
  expect(match(understoodOf({ model: "else" }), noon)?.name).toBe("c");
  expect(compileRoutes([])(understoodOf(), noon)).toBeNull();
});
