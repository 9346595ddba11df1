import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import { DOCUMENT_TOKENS, IMAGE_TOKENS } from "../media-ceilings.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { facts } from "./facts.ts";
import { DEFAULT_TOOL_CALLS } from "./hosted-tools.ts";
import { codexTools } from "./stream-fixtures.ts";

const factsOf = (body: JsonObject) => {
  const full: JsonObject = { model: "gpt-4.1", input: "hi", ...body };
  return facts(full, JSON.stringify(full).length);
};

/** The public message of the refusal. */
function refusal(body: JsonObject): string {
  try {
    factsOf(body);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "REQUEST_INVALID") return error.publicMessage;
    throw error;
  }
  return "accepted";
}

describe("80: state that would be kept elsewhere is refused with the field's name", () => {
  test.each([
    ["previous_response_id", "resp_1"],
    ["conversation", "conv_1"],
    ["conversation", { id: "conv_1" }],
    ["prompt", { id: "pmpt_1" }],
    ["background", true],
  ] as const)("%s", (field, value) => {
    expect(refusal({ [field]: value })).toStartWith(`${field} is not`);
  });

  test("an item_reference", () => {
    expect(
      refusal({
        input: [
          { role: "user", content: "x" },
          { type: "item_reference", id: "m" },
        ],
      }),
    ).toStartWith("input[1]");
    expect(refusal({ input: [{ id: "m" }] })).toStartWith("input[0]");
  });

  test("store may be absent, true or false, and null or false means absent", () => {
    for (const body of [{}, { store: true }, { store: false }, { background: false }, { previous_response_id: null }]) {
      expect(refusal(body)).toBe("accepted");
    }
  });
});

describe("B3, B4: max_output_tokens is an integer from 1, or absent", () => {
  const wrong: Json[] = [0, -1, 1.5, "5", true, [], {}, 2 ** 31, 1e21, Infinity, NaN];
  test("everything else is refused", () => {
    for (const value of wrong) expect(refusal({ max_output_tokens: value })).toStartWith("max_output_tokens");
  });

  test("1, 1e3 and null are taken", () => {
    expect(factsOf({ max_output_tokens: 1 }).maxOutputTokens).toBe(1);
    expect(factsOf({ max_output_tokens: 1e3 }).maxOutputTokens).toBe(1_000);
    expect(factsOf({ max_output_tokens: null }).maxOutputTokens).toBeUndefined();
    expect(factsOf({}).maxOutputTokens).toBeUndefined();
  });
});

test("B5, B6: other names of the limit and further choices are refused", () => {
  for (const field of ["max_tokens", "max_completion_tokens", "n", "best_of"]) {
    expect(refusal({ [field]: 2 })).toStartWith(field);
  }
});

test("model, input and stream have their types", () => {
  for (const model of [undefined, null, "", 5, ["x"], "m".repeat(300)] as Json[])
    expect(refusal({ model })).toStartWith("model");
  for (const input of [undefined, null, "", [], 5, {}] as Json[]) expect(refusal({ input })).toStartWith("input");
  expect(refusal({ input: ["text"] })).toStartWith("input[0]");
  expect(refusal({ stream: "true" })).toStartWith("stream");
  expect(factsOf({ stream: null }).stream).toBe(false);
  expect(factsOf({ stream: true }).stream).toBe(true);
});

describe("B9: tools", () => {
  test("77: all that Codex offers pass", () => {
    expect(factsOf({ tools: codexTools }).hasTools).toBe(true);
  });

  test("an unknown type and one without a bound are told, wherever they are offered; none at all is refused", () => {
    const unbounded = (body: JsonObject): string | undefined => factsOf(body).unbounded;
    expect(unbounded({ tools: [{ type: "mind_reading" }] })).toStartWith("tools[0].type");
    expect(unbounded({ tools: [{ type: "constructor" }] })).toStartWith("tools[0].type");
    expect(unbounded({ tools: [{ type: "mcp", server_url: "https://example.com" }] })).toStartWith("tools[0].type");
    expect(unbounded({ tools: [{ type: "namespace", name: "n", tools: [{ type: "mcp" }] }] })).toStartWith(
      "tools[0].tools[0]",
    );
    expect(unbounded({ input: [{ type: "additional_tools", tools: [{ type: "mcp" }] }] })).toStartWith(
      "input[0].tools[0]",
    );
    expect(unbounded({ tools: codexTools })).toBeUndefined();
    expect(refusal({ tools: [{}] })).toStartWith("tools[0].type");
    expect(refusal({ tools: "all" })).toStartWith("tools");
  });

  test("a paid tool counts its calls, their results, and a run over the prompt for each", () => {
    const found = factsOf({ tools: [{ type: "web_search" }], max_tool_calls: 2 });
    const text = factsOf({ tools: [{ type: "tool_search" }], max_tool_calls: 2 });
    expect(found.serverTools).toEqual({ web_search: 2 });
    expect(found.inputTokenBound).toBe((text.inputTokenBound - 1) * 3 + 32_000);
    expect(factsOf({ tools: [{ type: "file_search" }] }).serverTools).toEqual({ file_search: DEFAULT_TOOL_CALLS });
    expect(text.serverTools).toBeUndefined();
  });

  test("a limit on paid calls is an integer from 1", () => {
    for (const limit of [0, -1, 1.5, 51, "3"]) {
      expect(refusal({ tools: [{ type: "web_search" }], max_tool_calls: limit })).toStartWith("max_tool_calls");
    }
  });
});

test("thinking: asked for, or unasked by the model's family, unless it is switched off", () => {
  expect(factsOf({ reasoning: { summary: "auto" } }).hasThinking).toBe(true);
  expect(factsOf({}).hasThinking).toBe(false);
  for (const model of ["o3", "o4-mini", "gpt-5", "gpt-5.5", "openai/gpt-5-mini", "codex-mini"]) {
    expect(factsOf({ model }).hasThinking).toBe(true);
  }
  expect(factsOf({ model: "gpt-5.5", reasoning: { effort: "none" } }).hasThinking).toBe(false);
});

test("B8: the bound is the body's bytes, with a ceiling instead of each picture's characters", () => {
  const image = { type: "input_image", image_url: `data:image/png;base64,${"A".repeat(1_000_000)}` };
  const file = { type: "input_file", file_id: "file-1" };
  const found = factsOf({ input: [{ role: "user", content: [image] }] });
  expect(found.hasImages).toBe(true);
  expect(found.inputTokenBound).toBeGreaterThan(IMAGE_TOKENS);
  expect(found.inputTokenBound).toBeLessThan(IMAGE_TOKENS + 200);
  expect(factsOf({ input: [{ role: "user", content: [file] }] }).inputTokenBound).toBeGreaterThan(DOCUMENT_TOKENS);
});

test("the rest: one answer, usage in the stream, and whether JSON is asked for", () => {
  expect(factsOf({})).toMatchObject({ choices: 1, wantsUsageEvent: true, hasJsonFormat: false, hasTools: false });
  expect(factsOf({ text: { format: { type: "json_schema", schema: {} } } }).hasJsonFormat).toBe(true);
  expect(factsOf({ text: { format: { type: "text" } } }).hasJsonFormat).toBe(false);
});
