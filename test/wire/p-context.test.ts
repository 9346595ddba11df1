// Prompts that do not fit: told by upstreams in many ways, and to each client in the one that it acts on.

import { afterAll, beforeAll, beforeEach, expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { loneModels, post, readThenOpen, type TestDialect } from "../fakes/house.ts";
import { objectOf, parseObject, textOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import { KindsHouse } from "./kinds-house.ts";
import { rule } from "./rule.ts";

let kinds: KindsHouse;
beforeAll(async () => {
  kinds = await KindsHouse.start({
    local: { models: ["m"], lenient: true },
    config: ({ cloud }) => {
      const lone = loneModels([
        { name: "kin", dialect: "messages", origin: cloud, provider: { local: true, key: "none" } },
        { name: "vendor", dialect: "messages", origin: cloud },
      ]);
      return { providers: lone.providers, models: { vendor: { provider: "lone-1", model: "vendor" } } };
    },
  });
});
afterAll(async () => kinds[Symbol.asyncDispose]());
beforeEach(() => {
  kinds.house.cloud.script.length = 0;
  kinds.house.local.script.length = 0;
});

function refusal(message: string, more: JsonObject = {}, status = 400): Step {
  return { refuse: { status, body: { error: { message, type: "invalid_request_error", ...more } } } };
}

async function answerTo(
  step: Step,
  model: string,
  dialect: TestDialect = "messages",
  extra: object = {},
): Promise<{ status: number; text: string; error: JsonObject | null }> {
  // The other server's step would stay in its queue.
  const server = model.startsWith("vllm") ? kinds.house.local : kinds.house.cloud;
  server.script.push(step);
  const response = await post(kinds.house.gateway, dialect, { model, extra });
  const text = await response.text();
  return {
    status: response.status,
    text,
    error: text.startsWith("{") ? objectOf(parseObject(text)["error"] ?? null) : null,
  };
}

rule(
  257,
  "that a prompt is too long is understood in the words of every upstream, and nothing else is taken for it",
  async () => {
    const code = (value: string): JsonObject => ({ code: value });
    const said: Step[] = [
      refusal("prompt is too long: 215000 tokens > 200000 maximum"),
      refusal("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length"),
      refusal("Your input exceeds something.", code("context_length_exceeded")),
      refusal("whatever", { type: "model_context_window_exceeded" }),
      refusal("whatever", { type: "exceed_context_size_error", code: 400, n_prompt_tokens: 9, n_ctx: 8 }),
      refusal("request (5120 tokens) exceeds the available context size (4096 tokens), try increasing it"),
      refusal("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens"),
      refusal("The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
      refusal("This prompt is longer than the model's context length."),
      refusal("prompt token count of 130000 exceeds the limit of 128000", code("model_max_prompt_tokens_exceeded")),
      refusal(
        "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with 4096",
      ),
      refusal("The number of tokens to keep from the initial prompt is greater than the context length."),
      refusal("Reached context length of 4096 tokens with this prompt"),
      refusal("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."),
      refusal("This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
      refusal("Input is too long for requested model."),
      { refuse: { status: 400, body: { error: "Prompt too long: 9000 tokens exceeds the max context window" } } },
      { refuse: { status: 413, body: { object: "error", message: "context window exceeded", code: 413 } } },
      refusal("the request exceeds the available context size", {}, 500),
      // Inside of a 200, as LM Studio and resellers tell it.
      { rawBody: ['data: {"error":{"message":"This model\'s maximum context length is 8192 tokens"}}\n\n'] },
      { rawBody: '{"error":{"code":"context_length_exceeded","message":"too many"}}', jsonForStream: true },
    ];
    for (const [index, step] of said.entries()) {
      for (const stream of [false, true]) {
        const { status, error } = await answerTo(step, "vllm-1/m", "messages", { stream });
        expect([index, stream, status, error?.["message"]]).toEqual([
          index,
          stream,
          400,
          expect.stringMatching(/prompt is too long|exceed context limit/),
        ]);
      }
    }
    const others: [Step, number][] = [
      [refusal("max_tokens is too large: 99999. This model supports at most 4096 completion tokens"), 400],
      [refusal("messages.0.content: the length of the context field is wrong"), 400],
      [refusal("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000", {}, 429), 429],
    ];
    for (const [step, status] of others) {
      const answer = await answerTo(step, "elsewhere/m", "messages");
      expect(answer.status).toBe(status);
      expect(answer.text).not.toMatch(/prompt is too long|context_length_exceeded/);
    }
    // Told at the end of an answer, it is an answer that was cut for length.
    const full = { type: "message", id: "m", role: "assistant", model: "m", content: [{ type: "text", text: "So" }] };
    const ended: JsonObject = {
      ...full,
      stop_reason: "model_context_window_exceeded",
      usage: { input_tokens: 5, output_tokens: 2 },
    };
    const { text } = await answerTo({ rawBody: JSON.stringify(ended) }, "vendor", "chat");
    expect(text).toContain('"finish_reason":"length"');
  },
);

rule(
  258,
  "Messages clients read `prompt is too long` with the figures; Anthropic's own wording reaches them byte for byte",
  async () => {
    const own =
      '{"type":"error","error":{"type":"invalid_request_error",  "message":"prompt is too long: 9 tokens > 8 maximum"}}';
    for (const stream of [false, true]) {
      const same = await answerTo({ refuse: { status: 400, body: own } }, "vendor", "messages", { stream });
      expect([same.status, same.text]).toEqual([400, own]);
      const told = refusal("request (5120 tokens) exceeds the available context size (4096 tokens), try increasing it");
      const { status, error } = await answerTo(told, "vllm-1/m", "messages", { stream });
      expect([status, error?.["type"], error?.["message"]]).toEqual([
        400,
        "invalid_request_error",
        "prompt is too long: 5120 tokens > 4096 maximum",
      ]);
      // A server at home that speaks the dialect, but not Anthropic's words.
      const body: JsonObject = {
        type: "error",
        error: { type: "exceed_context_size_error", message: "it exceeds the available context size" },
      };
      const kin = await answerTo({ refuse: { status: 400, body } }, "lone-0/kin", "messages", { stream });
      expect([kin.status, textOf(kin.error?.["message"])]).toEqual([
        400,
        expect.stringContaining("prompt is too long"),
      ]);
    }
  },
);

rule(
  259,
  "`A + B > C` is told only where it is true and leaves room, since agents ask again at once for the rest",
  async () => {
    const window = (limit: number, prompt: number, output: number): Step =>
      refusal(
        `This model's maximum context length is ${limit} tokens. However, you requested ${prompt + output} tokens ` +
          `(${prompt} in the messages, ${output} in the completion). Please reduce the length.`,
      );
    const cases: [Step, string][] = [
      [window(32_768, 20_000, 13_000), "exceed context limit: 20000 + 13000 > 32768"],
      // Without the output it would not fit either, or hardly.
      [window(32_768, 40_000, 13_000), "prompt is too long: 53000 tokens > 32768 maximum"],
      [window(32_768, 32_000, 13_000), "prompt is too long: 45000 tokens > 32768 maximum"],
      // What is not true is not told.
      [window(32_768, 10, 5), "prompt is too long: it exceeds the context window of the model"],
      [refusal("maximum context length"), "prompt is too long: it exceeds the context window of the model"],
      [
        refusal("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"),
        "exceed context limit: 190000 + 32000 > 200000",
      ],
    ];
    for (const [step, expected] of cases) {
      const { status, error } = await answerTo(step, "vllm-1/m");
      const message = textOf(error?.["message"]);
      expect([status, message]).toEqual([400, expect.stringContaining(expected)]);
      expect(message.includes("+")).toBe(expected.includes("+"));
    }
  },
);

rule(
  260,
  "OpenAI's clients get its code: as a 400, and where the answer has begun in the event that ends it",
  async () => {
    const told = "prompt is too long: 215000 tokens > 200000 maximum";
    const refused: JsonObject = { type: "error", error: { type: "invalid_request_error", message: told } };
    const before: Step = { rawBody: [`event: error\ndata: ${JSON.stringify(refused)}\n\n`] };
    const after: Step = { errorEvent: { afterEvents: 5, type: "invalid_request_error", message: told } };
    for (const dialect of ["chat", "responses"] as const) {
      for (const stream of [false, true]) {
        const { status, error } = await answerTo({ refuse: { status: 400, body: refused } }, "vendor", dialect, {
          stream,
        });
        expect([status, error?.["code"], error?.["type"]]).toEqual([
          400,
          "context_length_exceeded",
          "invalid_request_error",
        ]);
      }
      const early = await answerTo(before, "vendor", dialect, { stream: true });
      expect([early.status, early.error?.["code"]]).toEqual([400, "context_length_exceeded"]);
      const gate = new Gate();
      gate.release(5);
      kinds.house.cloud.script.push({ ...after, gate });
      const late = await post(kinds.house.gateway, dialect, { model: "vendor", extra: { stream: true } });
      expect(late.status).toBe(200);
      const last = lastEvent(await readThenOpen(late, gate));
      if (dialect === "chat") expect(objectOf(last["error"])?.["code"]).toBe("context_length_exceeded");
      else {
        expect(last["type"]).toBe("response.failed");
        expect(objectOf(objectOf(last["response"])?.["error"])?.["code"]).toBe("context_length_exceeded");
      }
    }
  },
);

function lastEvent(stream: string): JsonObject {
  const data = stream.split("\n").filter((line) => line.startsWith("data: {"));
  return parseObject(data.at(-1)!.slice("data: ".length));
}

rule(
  264,
  "the output that is asked for leaves the prompt its place in the window, in whatever dialect it is asked",
  async () => {
    const window = 8_000;
    await using tight = await KindsHouse.start({
      config: { models: { short: { provider: "vllm-1", model: "m", context: window } }, fallback: ["short"] },
    });
    const { house } = tight;
    const limits = { messages: "max_tokens", chat: "max_completion_tokens", responses: "max_output_tokens" } as const;
    for (const dialect of ["messages", "chat", "responses"] as const) {
      const found: number[] = [];
      for (const words of [1, 1_000, 3_000, 5_000]) {
        const text = "word ".repeat(words);
        const content = dialect === "responses" ? { input: text } : { messages: [{ role: "user", content: text }] };
        const before = house.local.generations.length;
        // As a fallback, so that a Chat client's request is fitted to the server too.
        house.cloud.script.push({ refuse: { status: 500 } });
        const extra = { ...content, [limits[dialect]]: 128_000 };
        expect((await post(house.gateway, dialect, { extra })).status).toBe(200);
        const asked = Number(house.local.generations[before]!.json()["max_tokens"]);
        // Such text has a token a word, and each of it has five bytes.
        expect(asked + words).toBeLessThan(window);
        found.push(asked);
      }
      expect(found.toSorted((a, b) => b - a)).toEqual(found);
      expect(found.at(-1)).toBe(256);
    }
    // Of a window that nobody knows nothing can be taken.
    const { body } = await tight.ask("vllm", { max_tokens: 128_000 });
    expect(body["max_tokens"]).toBe(128_000);
  },
);
