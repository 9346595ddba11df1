import { expect, test } from "bun:test";
import { limitScopeOf } from "./limit-scope.ts";
import { providerNamed } from "./sample-request.ts";

test.each([
  ["anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4"],
  ["anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4"],
  ["anthropic", "claude-opus-4-1", "claude-opus-4"],
  ["anthropic", "claude-opus-5", "claude-opus-5"],
  ["anthropic", "claude-haiku-4-5", "claude-haiku-4"],
  ["anthropic", "claude-3-5-haiku-latest", "claude-3-5-haiku"],
  ["anthropic", "claude-3-opus-20240229", "claude-3-opus"],
  ["anthropic", "something-new-20270101", "something-new"],
  ["openai", "gpt-4o-2024-08-06", "gpt-4o"],
  ["openai", "gpt-4o-mini", "gpt-4o-mini"],
  ["openai", "o3", "o3"],
  ["openrouter", "qwen/qwen3:free", ":free"],
  ["openrouter", "meta/llama:free", ":free"],
  ["openrouter", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"],
  ["mistral", "mistral-large-latest", "mistral-large-latest"],
])("at %s, %s counts as %s", (provider, model, scope) => {
  expect(limitScopeOf(providerNamed(provider), model)).toBe(scope);
  // And again, from memory.
  expect(limitScopeOf(providerNamed(provider), model)).toBe(scope);
});

test("Anthropic's fast mode has limits of its own", () => {
  const provider = providerNamed("anthropic");
  expect(limitScopeOf(provider, "claude-opus-4-6", true)).toBe("claude-opus-4:fast");
  expect(limitScopeOf(provider, "claude-opus-4-6")).toBe("claude-opus-4");
});
