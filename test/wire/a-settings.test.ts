// Limits, sampling, thinking and formats of a Messages client, as servers of the chat dialect get them.

import { afterAll, beforeAll, expect } from "bun:test";
import { codecs } from "../../src/wire/codecs.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { post, startHouse } from "../fakes/house.ts";
import { objectOf, objectsOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import { allKinds, attemptsIn, KindsHouse, relayIn, type Kind } from "./kinds-house.ts";
import { rule } from "./rule.ts";

let kinds: KindsHouse;
beforeAll(async () => {
  kinds = await KindsHouse.start({
    cloud: { lenient: true },
    config: {
      models: {
        short: { provider: "vllm-1", model: "m", context: 8_000, max_output: 3_000 },
        narrow: { provider: "vllm-1", model: "m", context: 2_000 },
        "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 },
      },
      fallback: ["coder-14b"],
    },
  });
});
afterAll(async () => kinds[Symbol.asyncDispose]());

const user = (content: Json): JsonObject => ({ role: "user", content });
/** 500 once: unlike a 429 it does not keep the provider shut. */
const failing: Step = { refuse: { status: 500 } };

rule(
  23,
  "earlier thinking never becomes visible text; it goes along only where the server's template knows it",
  async () => {
    const messages = [
      user("a"),
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "SECRETLY", signature: "c2ln" },
          { type: "redacted_thinking", data: "ENCRYPTED" },
          { type: "text", text: "b" },
        ],
      },
      user("c"),
      { role: "assistant", content: [{ type: "thinking", thinking: "SECRETLY", signature: "" }] },
      user("d"),
    ];
    for (const kind of allKinds) {
      const { messages: sent, request } = await kinds.ask(kind, { messages });
      const thought = kind === "llamacpp" ? { reasoning_content: "SECRETLY" } : {};
      expect(sent[1]).toEqual({ role: "assistant", content: "b", ...thought });
      expect(sent.filter(({ role }) => role === "assistant")).toHaveLength(1);
      expect(request.text).not.toContain("ENCRYPTED");
      expect(request.text).not.toContain("c2ln");
      expect(request.text.split("SECRETLY")).toHaveLength(kind === "llamacpp" ? 2 : 1);
    }
  },
);

rule(
  29,
  "the limit of the output has one name: the newer one for OpenAI's reasoning models, the older for all others",
  async () => {
    const names = (body: JsonObject): Json[] => [body["max_tokens"] ?? null, body["max_completion_tokens"] ?? null];
    for (const model of ["gpt-5.5", "o3-mini", "gpt-4o"]) {
      for (const kind of allKinds) {
        const { body } = await kinds.ask(kind, { max_tokens: 77 }, model);
        const newer = kind === "openai" && model !== "gpt-4o";
        expect([kind, model, names(body)]).toEqual([kind, model, newer ? [null, 77] : [77, null]]);
      }
    }
  },
);

rule(30, "no more output is asked for than the model gives, and than its window leaves beside the prompt", async () => {
  const asked = async (model: string, words: number): Promise<number> => {
    const before = kinds.house.local.generations.length;
    const extra = { max_tokens: 128_000, messages: [user("word ".repeat(words))] };
    expect((await post(kinds.house.gateway, "messages", { model, extra })).status).toBe(200);
    return Number(kinds.house.local.generations[before]!.json()["max_tokens"]);
  };
  expect(await asked("short", 1)).toBe(3_000);
  const beside = await asked("narrow", 300);
  expect(beside).toBeGreaterThanOrEqual(256);
  expect(beside + 300).toBeLessThan(2_000);
  expect(await asked("narrow", 100)).toBeGreaterThan(beside);
});

rule(
  31,
  "a warm-up of Anthropic's cache goes to nobody else; where Anthropic is not asked its answer is empty",
  async () => {
    const { house } = kinds;
    const warmUp = { max_tokens: 0, messages: [user("Read all of this.")] };
    expect((await post(house.gateway, "messages", { extra: warmUp })).status).toBe(200);
    expect(house.cloud.generations.at(-1)!.json()["max_tokens"]).toBe(0);
    const before = house.local.generations.length;
    for (const model of ["claude-sonnet-4-5", "vllm-1/m", "openai-1/m"]) {
      for (const stream of [false, true]) {
        house.cloud.script.length = 0;
        if (model.startsWith("claude")) house.cloud.script.push(failing);
        const clouds = house.cloud.generations.length;
        const response = await post(house.gateway, "messages", { model, extra: { ...warmUp, stream } });
        expect([model, response.status]).toEqual([model, 200]);
        const answer = await response.text();
        if (stream) expect(answer).not.toContain("content_block");
        else
          expect(JSON.parse(answer)).toMatchObject({ type: "message", model, content: [], stop_reason: "max_tokens" });
        expect(house.cloud.generations.length - clouds).toBe(model.startsWith("claude") ? 1 : 0);
      }
    }
    expect(house.local.generations).toHaveLength(before);
  },
);

rule(
  32,
  "stop sequences go along, as many as the server takes, and the one that ended the answer is told",
  async () => {
    const stops = ["A", "B", "END", "D", "E", "F"];
    for (const kind of allKinds) {
      const { body } = await kinds.ask(kind, { stop_sequences: stops });
      expect(body["stop"]).toEqual(["openai", "openrouter"].includes(kind) ? stops.slice(0, 4) : stops);
    }
    const none = await kinds.ask("vllm", { stop_sequences: [] });
    expect(none.body["stop"]).toBeUndefined();
    // A number there is a token of the model's own, which ended nothing that the client named.
    const cases = [
      { stop: "END", told: /"stop_reason":"stop_sequence","stop_sequence":"END"/ },
      { stop: 128_009, told: /"stop_reason":"end_turn","stop_sequence":null/ },
    ];
    for (const { stop, told } of cases) {
      const bodies: Step[] = [{ rawBody: streamedWith(stop) }, { rawBody: wholeWith(stop), jsonForStream: true }];
      for (const body of bodies) {
        for (const stream of [false, true]) {
          kinds.house.local.script.push(body);
          const { response } = await kinds.ask("vllm", { stop_sequences: stops, stream });
          expect(await response.text()).toMatch(told);
        }
      }
    }
  },
);

/** As vLLM tells what stopped it, beside the reason. */
function wholeWith(stop: Json): string {
  const usage = { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 };
  const message = { role: "assistant", content: "So" };
  const choices = [{ index: 0, message, finish_reason: "stop", stop_reason: stop }];
  return JSON.stringify({ id: "c", object: "chat.completion", model: "m", usage, choices });
}

function streamedWith(stop: Json): string[] {
  const chunk = (choice: JsonObject): string =>
    `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: "m", choices: [{ index: 0, ...choice }] })}\n\n`;
  return [
    chunk({ delta: { role: "assistant", content: "So" }, finish_reason: null }),
    chunk({ delta: {}, finish_reason: "stop", stop_reason: stop }),
    "data: [DONE]\n\n",
  ];
}

rule(
  33,
  "sampling goes along, `top_k` only to servers that know it, nothing of it to OpenAI's reasoning models",
  async () => {
    const knows: readonly Kind[] = ["ollama", "llamacpp", "lmstudio", "vllm", "mlx", "openrouter"];
    for (const kind of allKinds) {
      const { body } = await kinds.ask(kind, { temperature: 0, top_p: 0.9, top_k: 40 });
      expect([body["temperature"], body["top_p"]]).toEqual([0, 0.9]);
      expect([kind, body["top_k"]]).toEqual([kind, knows.includes(kind) ? 40 : undefined]);
    }
    const { body } = await kinds.ask("openai", { temperature: 0, top_p: 0.9, top_k: 40 }, "o3");
    expect([body["temperature"], body["top_p"], body["top_k"]]).toEqual([undefined, undefined, undefined]);
  },
);

rule(
  34,
  "thinking and effort become what the server has for them, and an unknown kind of thinking is its default",
  async () => {
    const off = { thinking: { type: "disabled" } };
    const budget = { thinking: { type: "enabled", budget_tokens: 20_000 } };
    const adaptive = { thinking: { type: "adaptive", display: "omitted" }, output_config: { effort: "low" } };
    const unknown = [{ thinking: { type: "between_tools" } }, { thinking: { type: "of_a_later_version", x: 1 } }];
    const fields = (body: JsonObject): Json[] =>
      [body["reasoning_effort"], body["reasoning"], body["chat_template_kwargs"]].map((value) => value ?? null);
    const template = { enable_thinking: false };
    const expected: Readonly<Record<Kind, readonly [Json[], Json[], Json[], Json[]]>> = {
      openai: [
        ["none", null, null],
        ["high", null, null],
        ["low", null, null],
        [null, null, null],
      ],
      openrouter: [
        [null, { enabled: false }, null],
        [null, { max_tokens: 20_000 }, null],
        [null, { effort: "low" }, null],
        [null, { enabled: true }, null],
      ],
      // It knows on and off, and "on" is a 400 for models that can't.
      ollama: [
        ["none", null, null],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
      llamacpp: [
        [null, null, template],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
      vllm: [
        [null, null, template],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
      lmstudio: [
        [null, null, null],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
      mlx: [
        [null, null, null],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
      home: [
        [null, null, null],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
      elsewhere: [
        [null, null, null],
        [null, null, null],
        [null, null, null],
        [null, null, null],
      ],
    };
    for (const kind of allKinds) {
      const found: Json[][] = [];
      for (const extra of [off, budget, adaptive, unknown[0]!])
        found.push(fields((await kinds.ask(kind, extra, "gpt-5.1")).body));
      expect([kind, ...found]).toEqual([kind, ...expected[kind]]);
      const later = await kinds.ask(kind, unknown[1]!, "gpt-5.1");
      expect(later.response.status).toBe(200);
      expect(fields(later.body)).toEqual(expected[kind][3]);
      expect(later.body["thinking"]).toBeUndefined();
    }
  },
);

rule(
  35,
  "a format for the answer becomes the server's own, and an answer that does not keep to it is not handed on",
  async () => {
    const schema = {
      type: "object",
      properties: { n: { type: "integer", minimum: 0, maximum: 9 } },
      required: ["n"],
      additionalProperties: false,
    };
    const output_config = { format: { type: "json_schema", schema } };
    for (const kind of allKinds) {
      const good: Step = { answer: { text: '{"n":4}' } };
      kinds.house.local.respond = good;
      kinds.house.cloud.respond = good;
      const { body, response } = await kinds.ask(kind, { output_config });
      const format = objectOf(body["response_format"]);
      expect([format?.["type"], objectOf(format?.["json_schema"])?.["schema"]]).toEqual(["json_schema", schema]);
      expect(await response.text()).toContain('{\\"n\\":4}');
    }
    kinds.house.cloud.respond = {};
    // Grammars that the server could not build are left out there without a word.
    for (const stream of [false, true]) {
      kinds.house.local.respond = { answer: { text: '{"n":40}' } };
      const response = await post(kinds.house.gateway, "messages", {
        model: "llamacpp-1/m",
        extra: { output_config, stream },
      });
      // The number with its member: a request id of its own may hold the digits.
      expect([response.status, await response.text()]).toEqual([503, expect.not.stringMatching(/n\W+40/)]);
    }
    // What the server then gets right is handed on.
    for (const stream of [false, true]) {
      kinds.house.local.respond = { answer: { text: '{"n":4}' } };
      kinds.house.local.script.push({ answer: { text: "Four, I would say." } });
      const { response } = await kinds.ask("llamacpp", { output_config, stream });
      const answer = await response.text();
      expect(answer).toContain('{\\"n\\":4}');
      expect(answer).not.toContain("I would say");
    }
    kinds.house.local.respond = {};
  },
);

rule(36, "who the user is goes to no other vendor", async () => {
  const user_id = '{"device_id":"0f0f0f0f","account_uuid":"acc-1","session_id":"ses-1"}';
  for (const kind of allKinds) {
    const { request } = await kinds.ask(kind, { metadata: { user_id } });
    for (const secret of ["0f0f0f0f", "acc-1", "ses-1", "metadata", '"user"']) {
      expect(request.text.includes(secret === '"user"' ? '"user":' : secret)).toBe(false);
    }
    const all = request.headers.map(([name, value]) => `${name}: ${value}`).join("\n");
    expect(all).not.toMatch(/acc-1|ses-1|0f0f0f0f/);
  }
});

rule(
  37,
  "what only Anthropic has goes there whole, field and beta flag together, and stays behind everywhere else",
  async () => {
    await using house = await startHouse({
      config: ({ cloud }) => ({ ...relayIn(cloud, "messages"), fallback: ["coder-14b", "relay/other-9"] }),
    });
    const own: JsonObject = {
      context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
      diagnostics: { level: "basic" },
      safeguards: [{ type: "dangerous_tool_use" }],
      fallbacks: [],
      fallback_credit_token: "token-1",
      speed: "standard",
      inference_geo: "global",
      service_tier: "auto",
      mcp_servers: [],
      cache_control: { type: "ephemeral" },
    };
    const headers = {
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "context-management-2025-06-27,novel-2026-11-01",
    };
    const extra = { ...own, messages: [user([{ type: "text", text: "hi", cache_control: { type: "ephemeral" } }])] };
    house.cloud.script.push({}, failing);
    for (const served of [
      ["anthropic/claude-sonnet-4-5:ok"],
      ["anthropic/claude-sonnet-4-5:upstream_500", "coder-14b:ok"],
    ]) {
      const response = await post(house.gateway, "messages", { extra, headers });
      expect(response.status).toBe(200);
      expect(await attemptsIn(house, response)).toEqual(served);
      const atHome = house.cloud.generations.at(-1)!;
      expect(atHome.json()).toMatchObject(own);
      expect(atHome.header("anthropic-beta")).toBe(headers["anthropic-beta"]);
    }
    const away = house.local.generations.at(-1)!;
    expect(Object.keys(own).filter((name) => away.text.includes(`"${name}"`))).toEqual([]);
    expect(away.headers.filter(([name]) => name.toLowerCase().startsWith("anthropic"))).toEqual([]);
    expect(objectsOf(away.json()["messages"])).toEqual([{ role: "user", content: "hi" }]);
    // Another vendor may speak the dialect: it gets what is said, and the marks of what to keep in its cache.
    house.cloud.script.push(failing);
    house.local.script.push(failing);
    const attribution = { type: "text", text: "x-anthropic-billing-header: cc_version=2;" };
    const told = { ...extra, system: [attribution], metadata: { user_id: "device-1" } };
    const answer = await post(house.gateway, "messages", { extra: told, headers });
    const failed = ["anthropic/claude-sonnet-4-5:upstream_500", "coder-14b:upstream_500"];
    expect(await attemptsIn(house, answer)).toEqual([...failed, "relay/other-9:ok"]);
    const got = house.cloud.generations.at(-1)!;
    expect(Object.keys(got.json()).sort()).toEqual(["max_tokens", "messages", "metadata", "model"]);
    expect(got.json()["messages"]).toEqual(extra.messages as Json);
    expect(got.text).not.toContain("device-1");
    expect(got.header("anthropic-beta")).toBeUndefined();
    // Of these some are refused, since nobody knows what they cost; a translation carries none of them.
    const dear = { container: "container_1", mcp_servers: [{ type: "url", name: "m", url: "https://mcp.example" }] };
    const neutral = codecs.messages.toNeutral({ model: "m", max_tokens: 9, ...own, ...dear, messages: extra.messages });
    for (const dialect of ["chat", "responses", "messages"] as const) {
      const body = codecs[dialect].fromNeutral(neutral, { profile: "generic", model: "m", maxOutputTokens: 9 });
      const kept = Object.keys({ ...own, ...dear }).filter((name) => name !== "cache_control" && name in body);
      expect([dialect, kept]).toEqual([dialect, []]);
    }
  },
);
