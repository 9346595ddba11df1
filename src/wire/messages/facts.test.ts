import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { messagesFacts } from "./facts.ts";

const hello: JsonObject = { model: "claude-sonnet-4-5", max_tokens: 100, messages: [{ role: "user", content: "hi" }] };

function facts(changes: JsonObject): ReturnType<typeof messagesFacts> {
  const body = { ...hello, ...changes };
  return messagesFacts(body, Buffer.byteLength(JSON.stringify(body)));
}

function refusal(changes: JsonObject): string {
  try {
    facts(changes);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "REQUEST_INVALID") return error.publicMessage;
    throw error;
  }
  return "accepted";
}

describe("facts of a Messages request", () => {
  test("tell what is asked for", () => {
    expect(
      facts({ stream: true, thinking: { type: "adaptive" }, output_config: { format: { type: "json_schema" } } }),
    ).toEqual({
      model: "claude-sonnet-4-5",
      stream: true,
      maxOutputTokens: 100,
      choices: 1,
      hasTools: false,
      hasImages: false,
      hasThinking: true,
      hasJsonFormat: true,
      wantsUsageEvent: false,
      inputTokenBound: expect.any(Number),
    });
    expect(facts({ thinking: { type: "disabled" } }).hasThinking).toBe(false);
  });

  test("B3 and B4: only plain integers are a limit", () => {
    const wrong: Json[] = [-1, 1.5, "5", true, [], {}, 1e10, Number.POSITIVE_INFINITY, -0];
    for (const value of wrong) expect(refusal({ max_tokens: value })).toStartWith("max_tokens: expected");
    expect(facts({ max_tokens: 1e3 }).maxOutputTokens).toBe(1000);
    expect(facts({ max_tokens: null }).maxOutputTokens).toBeUndefined();
    expect(facts({ max_tokens: 0 }).maxOutputTokens).toBe(0);
  });

  test("a complaint names the field", () => {
    expect(refusal({ model: "" })).toBe("model: expected the name of a model");
    expect(refusal({ model: "x".repeat(257) })).toBe("model: expected at most 256 characters");
    expect(refusal({ messages: [] })).toBe("messages: expected an array with at least one message");
    expect(refusal({ messages: [{ role: "user", content: "a" }, "b"] })).toBe("messages.1: expected an object");
    expect(refusal({ messages: [{ role: "tool", content: "a" }] })).toBe(
      "messages.0.role: expected user, assistant or system",
    );
    expect(refusal({ stream: "yes" })).toBe("stream: expected true or false");
  });

  test("B8: an image counts a ceiling, neither its base64 nor nothing", () => {
    const data = "A".repeat(8_000_000);
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data } };
    const found = facts({ messages: [{ role: "user", content: [image] }] });
    expect(found.hasImages).toBe(true);
    expect(found.inputTokenBound).toBeGreaterThan(8_000);
    expect(found.inputTokenBound).toBeLessThan(9_000);
  });

  test("what cannot be bounded is refused by name", () => {
    const wrong: [string, Json][] = [
      ["container", "c_1"],
      ["mcp_servers", [{ url: "https://x" }]],
      ["speed", "ludicrous"],
      ["inference_geo", "moon"],
      ["service_tier", "priority"],
      ["fallbacks", "mine"],
      ["fallbacks", Array.from({ length: 4 }, () => ({ model: "claude-opus-5" }))],
    ];
    for (const [field, value] of wrong) expect(refusal({ [field]: value })).toStartWith(`${field}: `);
    expect(refusal({ context_management: { edits: [{ type: "compact_20260112" }] } })).toStartWith(
      "context_management.edits.0.type: ",
    );
    for (const type of ["code_execution_20250825", "advisor_20260301", "mcp_toolset", "web_search"]) {
      expect(refusal({ tools: [{ type, name: "x", max_uses: 1 }] })).toStartWith("tools.0.type: ");
    }
  });

  test("the models that the vendor may ask instead are named, an unnamed choice of its own too", () => {
    const fallbacks = [{ model: "claude-opus-5" }, { model: "claude-haiku-4-5", max_tokens: 10 }];
    expect(facts({ max_tokens: 10, fallbacks }).alternates).toEqual(["claude-opus-5", "claude-haiku-4-5"]);
    expect(facts({ fallbacks: "default" }).alternates).toEqual(["", "", ""]);
    expect(facts({ fallbacks: [] }).alternates).toBeUndefined();
    expect(refusal({ max_tokens: 9, fallbacks })).toStartWith("fallbacks.1.max_tokens: ");
    expect(refusal({ fallbacks: [{}] })).toStartWith("fallbacks.0.model: ");
  });

  test("harmless values of the same fields pass", () => {
    const harmless: JsonObject = {
      container: null,
      mcp_servers: [],
      speed: "standard",
      inference_geo: "global",
      service_tier: "auto",
      context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    };
    expect(refusal(harmless)).toBe("accepted");
  });

  test("Claude Code's requests pass", () => {
    const body: JsonObject = {
      model: "claude-opus-5-5",
      messages: [
        { role: "user", content: [{ type: "text", text: "say pong" }] },
        { role: "system", content: [{ type: "text", text: "# Environment" }], output_config: { effort: "medium" } },
      ],
      system: [{ type: "text", text: "x-anthropic-billing-header: cc_version=2.1.330.269;" }],
      tools: [
        { name: "Bash", input_schema: { type: "object" } },
        { name: "DeferredToolPlaceholder", input_schema: { type: "object" }, defer_loading: true },
      ],
      metadata: { user_id: "{}" },
      max_tokens: 128_000,
      thinking: { type: "adaptive", display: "omitted" },
      context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
      safeguards: [{ type: "dangerous_tool_use" }],
      output_config: { effort: "medium" },
      stream: true,
    };
    expect(messagesFacts(body, 900)).toMatchObject({ hasTools: true, hasThinking: true, maxOutputTokens: 128_000 });
  });

  test("B9: Claude Code's search side call passes, with its searches in the worst case", () => {
    const tools = [{ type: "web_search_20250305", name: "web_search", max_uses: 8 }];
    const found = facts({ tools, tool_choice: { type: "auto" } });
    expect(found.serverTools).toEqual({ web_search: 8 });
    expect(found.inputTokenBound).toBeGreaterThan(8 * 25_000);
    expect(refusal({ tools: [{ type: "web_search_20250305", name: "web_search" }] })).toStartWith("tools.0.max_uses: ");
    expect(refusal({ tools: [{ ...tools[0], max_uses: 1e9 }] })).toStartWith("tools.0.max_uses: ");
  });

  test("a web_fetch with a larger limit of its own counts that limit", () => {
    const tools = [{ type: "web_fetch_20250910", name: "web_fetch", max_uses: 2, max_content_tokens: 100_000 }];
    expect(facts({ tools }).inputTokenBound).toBeGreaterThan(200_000);
  });
});
