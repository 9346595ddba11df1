// Windows of local models: looked at before they are asked, and never the reason for what an agent is told of its own model.

import { expect } from "bun:test";
import { loneModels, post, startHouse, type House } from "../fakes/house.ts";
import { attemptsIn, KindsHouse } from "./kinds-house.ts";
import { rule } from "./rule.ts";

const words = (count: number): object[] => [{ role: "user", content: "word ".repeat(count) }];
const tooLong = /too long|context/i;

/** Status, `x-sanctum-error`, whether the text speaks of length, and the attempts. */
async function told(house: House, model: string, extra: object): Promise<[number, string | null, boolean, string[]]> {
  const response = await post(house.gateway, "messages", { model, extra });
  const text = await response.clone().text();
  const attempts = await attemptsIn(house, response);
  return [response.status, response.headers.get("x-sanctum-error"), tooLong.test(text), attempts];
}

rule(
  261,
  "a small window at home is passed over, and what is told is what befell the model that was asked for",
  async () => {
    const failures = [
      { step: { refuse: { status: 500 } }, status: 503, error: "UPSTREAM_FAILED", outcome: "upstream_500" },
      { step: { refuse: { status: 529 } }, status: 503, error: "UPSTREAM_FAILED", outcome: "upstream_529" },
      { step: { refuse: { status: 429 } }, status: 429, error: "LIMITS_EXHAUSTED", outcome: "upstream_429" },
    ];
    await using house = await startHouse({
      local: { models: ["qwen2.5-coder:14b"], lenient: true },
      config: ({ cloud, local }) => {
        const models = [0, 1, 2, 3, 4, 5, 8, 9].map((at) => ({
          name: `big-${at}`,
          dialect: "messages" as const,
          origin: cloud,
        }));
        const lone = loneModels(models);
        const small = { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none", retry: { attempts: 1 } };
        return {
          providers: { ...lone.providers, vllm2: small, ollama: small },
          models: { ...lone.models, small: { provider: "vllm2", model: "small", context: 8_000 } },
          routes: [
            { name: "home-first", when: { model: "big-8" }, use: ["small", "lone-6/big-8"] },
            { name: "home-alone", when: { model: "big-9" }, use: ["small"] },
          ],
        };
      },
    });
    for (const stream of [false, true]) {
      for (const [at, { step, status, error, outcome }] of failures.entries()) {
        house.cloud.script.push(step);
        // A provider that said 429 stays shut for a while: each is asked once.
        const model = `big-${stream ? at + failures.length : at}`;
        const found = await told(house, model, { messages: words(40_000), stream });
        expect(found).toEqual([status, error, false, [`${model}:${outcome}`, "coder-14b:skipped_context"]]);
      }
    }
    expect(house.local.generations).toEqual([]);
    // A fallback that is larger on paper and refuses: that is its own affair.
    const overflow = { refuse: { status: 400, body: { error: { message: "maximum context length is 4096 tokens" } } } };
    house.cloud.script.push({ refuse: { status: 500 } });
    house.local.script.push(overflow);
    expect(await told(house, "claude-sonnet-4-5", { messages: words(10) })).toEqual([
      503,
      "UPSTREAM_FAILED",
      false,
      ["anthropic/claude-sonnet-4-5:upstream_500", "coder-14b:upstream_400"],
    ]);
    // Also where a route asks it first.
    house.local.script.push(overflow, { refuse: { status: 500 } });
    house.cloud.script.push({ refuse: { status: 500 } });
    const routed = await told(house, "big-8", { messages: words(10) });
    expect([routed[0], routed[2]]).toEqual([503, false]);
    // Where nobody has a larger one, the client must hear it.
    const alone = await told(house, "big-9", { messages: words(40_000) });
    expect([alone[0], alone[2]]).toEqual([400, true]);
  },
);

rule(
  262,
  "a server that would drop the beginning of a long prompt gets none that may not fit what it holds now",
  async () => {
    const abilities = {
      "plain:7b": { capabilities: ["completion"] },
      "set:7b": { capabilities: ["completion"], numCtx: 16_384 },
      "loads-large:7b": { capabilities: ["completion"], loadsWith: 32_768 },
      "loads-small:7b": { capabilities: ["completion"], loadsWith: 4_096 },
      "running:7b": { capabilities: ["completion"], numCtx: 16_384, loaded: 2_048 },
    };
    await using kinds = await KindsHouse.start({
      local: { models: [...Object.keys(abilities), "untold:7b"], abilities },
    });
    const { house } = kinds;
    const cases: [model: string, count: number, asked: boolean][] = [
      // 4,096 tokens, unless someone sets more.
      ["ollama-1/plain:7b", 2_000, true],
      ["ollama-1/plain:7b", 4_000, false],
      ["ollama-1/untold:7b", 4_000, false],
      // What it has once it is loaded counts, and is asked for when the first long prompt comes.
      ["ollama-1/loads-large:7b", 16_000, true],
      ["ollama-1/loads-large:7b", 32_000, false],
      ["ollama-1/loads-small:7b", 4_000, false],
      ["ollama-1/set:7b", 4_000, true],
      ["ollama-1/set:7b", 16_000, false],
      ["ollama-1/running:7b", 1_000, true],
      ["ollama-1/running:7b", 2_000, false],
      // A server that refuses what is too long may be asked.
      ["vllm-1/plain:7b", 16_000, true],
      ["llamacpp-1/plain:7b", 16_000, true],
    ];
    for (const [model, count, asked] of cases) {
      const before = house.local.generations.length;
      const [status] = await told(house, model, { messages: words(count) });
      expect([model, count, status, house.local.generations.length - before]).toEqual([
        model,
        count,
        asked ? 200 : 400,
        asked ? 1 : 0,
      ]);
    }
  },
);

rule(263, "OpenRouter takes nothing out of a prompt unless the client asks for it", async () => {
  await using kinds = await KindsHouse.start();
  const { body } = await kinds.ask("openrouter", {});
  expect(body["transforms"]).toEqual([]);
  const chat = await kinds.ask("openrouter", {}, "m", "chat");
  expect(chat.body["transforms"]).toEqual([]);
  const asked = await kinds.ask("openrouter", { transforms: ["middle-out"] }, "m", "chat");
  expect(asked.body["transforms"]).toEqual(["middle-out"]);
  for (const kind of ["openai", "vllm", "elsewhere"] as const) {
    for (const dialect of ["messages", "chat"] as const) {
      expect((await kinds.ask(kind, {}, "m", dialect)).body["transforms"]).toBeUndefined();
    }
  }
});
