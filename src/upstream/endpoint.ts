import type { Operation, Provider } from "../request.ts";
import type { Dialect } from "../wire/neutral.ts";
import type { ServerProfile } from "../wire/profiles/server-profiles.ts";
import { profileOf } from "./profile.ts";

const paths: Readonly<Record<Dialect, string>> = {
  messages: "/messages",
  chat: "/chat/completions",
  responses: "/responses",
};

/**
 * Where a provider is asked. Built from the configuration alone: no byte of a client's request gets into an upstream
 * URL, so no path trick can leave the provider's origin. `url` is the base that the vendor's own SDK takes: Anthropic's
 * has no `/v1`, OpenAI's ends in it.
 */
export function endpointOf(provider: Provider, dialect: Dialect, operation: Operation): string {
  const base = provider.url;
  if (dialect === "messages") {
    const root = base.endsWith("/v1") ? base : `${base}/v1`;
    return operation === "count_tokens" ? `${root}/messages/count_tokens` : `${root}/messages`;
  }
  return operation === "embeddings" ? `${base}/embeddings` : `${base}${paths[dialect]}`;
}

/**
 * Where a server counts the tokens of a prompt: Anthropic (docs "Token counting"), OpenAI (reference "Get input token
 * counts"), llama.cpp (tools/server/README.md) and vLLM (docs "Tokenizer API", beside `/v1`).
 */
export function countEndpointOf(provider: Provider, counting: NonNullable<ServerProfile["counting"]>): string {
  switch (counting) {
    case "messages":
      return endpointOf(provider, "messages", "count_tokens");
    case "responses":
      return `${provider.url}/responses/input_tokens`;
    case "llamacpp":
      return `${provider.url}/chat/completions/input_tokens`;
    case "vllm":
      return `${provider.url.replace(/\/v1$/, "")}/tokenize`;
    default:
      return counting satisfies never;
  }
}

/**
 * Where a key can be shown without costs: the list of models (Anthropic's reference "List Models", OpenAI's "List models",
 * and every server that speaks like one of them); at OpenRouter, whose list is public, what it knows of the key itself
 * (reference "Get current API key").
 */
export function keyEndpointOf(provider: Provider): string {
  const messages = provider.dialects[0] === "messages";
  const root = messages && !provider.url.endsWith("/v1") ? `${provider.url}/v1` : provider.url;
  if (profileOf(provider) === "openrouter") return `${root}/key`;
  return messages ? `${root}/models?limit=1` : `${root}/models`;
}
