import type { Operation, Provider } from "../request.ts";
import type { Dialect } from "../wire/neutral.ts";

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
