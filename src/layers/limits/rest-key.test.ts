import { describe, expect, test } from "bun:test";
import { limitGroupOf, modelRestKey, modelsOf } from "./rest-key.ts";
import { providerNamed } from "./sample-request.ts";

describe("what is limited together", () => {
  test.each([
    ["anthropic", "claude-opus-4-1-20250805", "claude-opus"],
    ["anthropic", "claude-opus-5", "claude-opus"],
    ["anthropic", "claude-3-5-haiku-20241022", "claude-haiku"],
    ["anthropic", "claude-sonnet-4-5", "claude-sonnet"],
    ["anthropic", "fable", "fable"],
    ["openai", "gpt-4o-2024-08-06", "gpt-4o"],
    ["openai", "gpt-4o-mini", "gpt-4o-mini"],
    ["openrouter", "anthropic/claude-opus-4.1", "anthropic/claude-opus-4.1"],
    ["desk", "claude-opus-4-1", "claude-opus-4-1"],
  ])("%s: %s counts as %s", (provider, model, group) => {
    expect(limitGroupOf(providerNamed(provider), model)).toBe(group);
  });
});

test("an account, its callers and its models never share a name", () => {
  const provider = providerNamed("desk");
  const keys = [
    "desk",
    "desk\nwindu",
    modelRestKey("desk", provider, "windu"),
    modelRestKey("desk\nwindu", provider, "m"),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(modelRestKey("desk", provider, "m").startsWith(modelsOf("desk"))).toBeTrue();
  expect("desk\nwindu".startsWith(modelsOf("desk"))).toBeFalse();
});
