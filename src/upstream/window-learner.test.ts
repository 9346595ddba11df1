import { afterAll, beforeEach, expect, test } from "bun:test";
import type { Clock } from "../clock.ts";
import type { Candidate } from "../request.ts";
import { providerAt } from "./sample-keyed.ts";
import { WindowLearner } from "./window-learner.ts";

/** Answers as Ollama does; what it was asked for, in order. */
const asked: string[] = [];
let loads = true;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    if (pathname === "/api/generate") return loads ? Response.json({ done: true }) : new Response("", { status: 500 });
    if (pathname === "/api/ps") return Response.json({ models: [{ name: "m", context_length: 32_768 }] });
    return Response.json({ parameters: "num_ctx 1000", capabilities: ["completion"] });
  },
});
afterAll(() => server.stop(true));
beforeEach(() => {
  asked.length = 0;
  loads = true;
});

class ManualClock implements Clock {
  ms = 0;
  now(): number {
    return this.ms;
  }
  monotonic(): number {
    return this.ms;
  }
}

function candidate(): Candidate {
  return {
    name: "ollama/m",
    provider: providerAt(`http://127.0.0.1:${server.port}/v1`, { name: "ollama", local: true }),
    model: "m",
    dialect: "chat",
    local: true,
    price: null,
    context: 4_096,
    contextAssumed: true,
    maxOutput: undefined,
    hiddenReasoning: false,
    reason: "fallback",
  };
}

test("a model is loaded once for all who ask, and its window is what it runs with then", async () => {
  const learner = new WindowLearner(new ManualClock());
  expect(await Promise.all([1, 2, 3].map(async () => learner.learn(candidate())))).toEqual([32_768, 32_768, 32_768]);
  expect(asked.filter((path) => path === "/api/generate")).toHaveLength(1);
});

test("a server that can't load it is not asked again for a while, and then it is", async () => {
  const clock = new ManualClock();
  const learner = new WindowLearner(clock);
  loads = false;
  expect(await learner.learn(candidate())).toBeUndefined();
  loads = true;
  expect(await learner.learn(candidate())).toBeUndefined();
  clock.ms += 600_000;
  expect(await learner.learn(candidate())).toBe(32_768);
});
