import { expect, test } from "bun:test";
import { endpointOf } from "./endpoint.ts";
import { providerAt } from "./sample-keyed.ts";

test("the paths of each dialect stand behind the base that the vendor's own SDK takes", () => {
  const anthropic = providerAt("https://api.anthropic.com");
  const openai = providerAt("https://api.openai.com/v1");
  expect(endpointOf(anthropic, "messages", "generate")).toBe("https://api.anthropic.com/v1/messages");
  expect(endpointOf(anthropic, "messages", "count_tokens")).toBe("https://api.anthropic.com/v1/messages/count_tokens");
  expect(endpointOf(openai, "chat", "generate")).toBe("https://api.openai.com/v1/chat/completions");
  expect(endpointOf(openai, "responses", "generate")).toBe("https://api.openai.com/v1/responses");
  expect(endpointOf(openai, "chat", "embeddings")).toBe("https://api.openai.com/v1/embeddings");
});

test("a base for Messages may end in /v1 already, and a path before it stays", () => {
  const deep = providerAt("https://proxy.example/anthropic/v1");
  expect(endpointOf(deep, "messages", "generate")).toBe("https://proxy.example/anthropic/v1/messages");
  expect(endpointOf(providerAt("https://proxy.example/a"), "messages", "generate")).toBe(
    "https://proxy.example/a/v1/messages",
  );
});
