import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Planned, Understood } from "../../request.ts";
import { Directory } from "./directory.ts";
import { createPlanner, plan } from "./plan.ts";
import type { RouteRule } from "./routes.ts";
import { answerOf, localOf, providerOf, understoodOf } from "./sample-request.ts";

const providers = [
  providerOf("anthropic", { dialects: ["messages"] }),
  providerOf("openai", { dialects: ["responses", "chat"] }),
  localOf("ollama"),
];
const directory = new Directory({
  providers: new Map(providers.map((provider) => [provider.name, provider])),
  aliases: new Map(),
  localModels: [
    { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 },
    { provider: "ollama", model: "gemma4:31b", context: 131_072 },
  ],
  fallback: undefined,
});

function rule(name: string, model: string, use: readonly string[]): RouteRule {
  const when = { agent: undefined, intent: undefined, dialect: undefined, inputTokens: undefined, has: undefined };
  return { name, when: { ...when, model, time: undefined, budgetUsed: undefined, header: undefined }, use };
}

const surroundings = { minuteOfDay: () => 0, budgetUsed: () => 0 };

function planOf(request: Understood, routes: readonly RouteRule[] = []): { route: string; names: string[] } {
  const { candidates, route } = createPlanner({ routes, directory: () => directory, surroundings })(request);
  return { route, names: candidates.map((candidate) => `${candidate.name} (${candidate.reason})`) };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

describe("the plan of a request", () => {
  test("is the requested model, then the fallback", () => {
    expect(planOf(understoodOf({ model: "claude-sonnet-4-5", dialect: "messages" }))).toEqual({
      route: "default",
      names: ["anthropic/claude-sonnet-4-5 (requested)", "coder-14b (fallback)", "gemma-4 (fallback)"],
    });
  });

  test("is the route's candidates in their order, then the fallback, where a rule matches", () => {
    const routes = [rule("home-first", "claude-*", ["gemma-4", "anthropic/claude-haiku-4-5"])];
    expect(planOf(understoodOf({ model: "claude-sonnet-4-5" }), routes)).toEqual({
      route: "home-first",
      names: ["gemma-4 (route home-first)", "anthropic/claude-haiku-4-5 (route home-first)", "coder-14b (fallback)"],
    });
  });

  test("never holds the same model of the same provider twice, under whatever names", () => {
    expect(planOf(understoodOf({ model: "coder-14b" })).names).toEqual(["coder-14b (requested)", "gemma-4 (fallback)"]);
    expect(planOf(understoodOf({ model: "ollama/gemma4:31b" })).names).toEqual([
      "ollama/gemma4:31b (requested)",
      "coder-14b (fallback)",
    ]);
  });

  test("may rest on a rule for a name that means nothing by itself", () => {
    const routes = [rule("auto", "sanctum/auto", ["coder-14b"])];
    expect(planOf(understoodOf({ model: "sanctum/auto" }), routes).names[0]).toBe("coder-14b (route auto)");
  });

  test("is refused where neither the name nor a rule means anything, with the code that OpenAI's clients know", () => {
    let error: unknown;
    try {
      planOf(understoodOf({ model: "no-such-model" }));
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ code: "ROUTE_MODEL_UNKNOWN", status: 404, dialectCode: "model_not_found" });
  });

  test("holds no model with a price where the request's cost has no bound, and tells one that was asked for why", () => {
    const facts = { unbounded: "tools[0].type: no bound" };
    const routes = [rule("both", "both", ["coder-14b", "anthropic/claude-haiku-4-5"])];
    expect(planOf(understoodOf({ model: "both", facts }), routes).names).toEqual([
      "coder-14b (route both)",
      "gemma-4 (fallback)",
    ]);
    expect(codeOf(() => planOf(understoodOf({ model: "claude-haiku-4-5", facts })))).toBe("REQUEST_INVALID");
  });

  test("is the same for the same request", () => {
    const request = understoodOf({ model: "gpt-4o" });
    expect(planOf(request)).toEqual(planOf(request));
  });
});

describe("an agent with a list of models", () => {
  const restricted = { models: ["claude-haiku-*", "coder-14b"] };

  test("may ask for what fits, and still falls back", () => {
    const { names } = planOf(understoodOf({ model: "claude-haiku-4-5", agent: restricted }));
    expect(names).toContain("coder-14b (fallback)");
    expect(planOf(understoodOf({ model: "coder-14b", agent: restricted })).names).not.toBeEmpty();
  });

  test("may not ask for anything else, under no spelling and by no route", () => {
    const routes = [rule("all", "*", ["coder-14b"])];
    for (const model of ["claude-sonnet-4-5", "anthropic/claude-haiku-4-5", "CLAUDE-HAIKU-4-5", "xclaude-haiku-4-5"]) {
      const request = understoodOf({ model, agent: restricted });
      expect([model, codeOf(() => planOf(request, routes))]).toEqual([model, "ROUTE_MODEL_FORBIDDEN"]);
    }
    expect(codeOf(() => planOf(understoodOf({ model: "coder-14b", agent: { models: [] } })))).toBe(
      "ROUTE_MODEL_FORBIDDEN",
    );
  });
});

describe("what generates nothing", () => {
  test("vectors come from the requested model alone: those of another one can't be compared", () => {
    const routes = [rule("all", "*", ["coder-14b"])];
    const request = understoodOf({ model: "openai/text-embedding-3-small", operation: "embeddings" });
    expect(planOf(request, routes)).toEqual({ route: "default", names: ["openai/text-embedding-3-small (requested)"] });
  });

  test("vectors are not asked for in a dialect that has none", () => {
    const request = understoodOf({ model: "claude-sonnet-4-5", operation: "embeddings" });
    expect(codeOf(() => planOf(request))).toBe("ROUTE_MODEL_UNKNOWN");
  });

  test("tokens are counted by the requested model alone, at no price", () => {
    const request = understoodOf({ model: "claude-sonnet-4-5", dialect: "messages", operation: "count_tokens" });
    expect(planOf(request).names).toEqual(["anthropic/claude-sonnet-4-5 (requested)"]);
    expect(
      createPlanner({ routes: [], directory: () => directory, surroundings })(request).candidates[0]!.price,
    ).toBeNull();
  });
});

test("the layer writes route and intent into the record and hands the plan on", async () => {
  let planned: Planned | null = null;
  const layer = plan({ routes: [rule("all", "*", ["coder-14b"])], directory: () => directory, surroundings });
  const request = understoodOf({ model: "gpt-4o", intent: "code" });
  await layer(async (next) => {
    planned = next;
    return answerOf("ok");
  })({ ...request, repeatKey: null });
  expect(planned!).toMatchObject({ route: "all" });
  expect(request.record).toMatchObject({ route: "all", intent: "code" });
});
