// The exact route table. Bun matches the raw bytes of the request target against these paths, so that `//v1/messages`,
// `/%2e%2e/` or an encoded letter is an unknown path, and no path of a client ever gets into an upstream URL.

import type { Operation } from "../request.ts";
import type { Dialect } from "../wire/neutral.ts";

export interface DataRoute {
  readonly path: string;
  readonly dialect: Dialect;
  readonly operation: Operation;
}

export const dataRoutes: readonly DataRoute[] = [
  { path: "/v1/messages", dialect: "messages", operation: "generate" },
  { path: "/v1/messages/count_tokens", dialect: "messages", operation: "count_tokens" },
  { path: "/v1/chat/completions", dialect: "chat", operation: "generate" },
  { path: "/v1/embeddings", dialect: "chat", operation: "embeddings" },
  { path: "/v1/responses", dialect: "responses", operation: "generate" },
];

export const modelsPath = "/v1/models";

/**
 * A path and what becomes of it where a client's base URL has a `/v1` too many (one SDK adds it, another wants it there) or
 * ends in a slash. All of them stand in the table: nothing is rewritten.
 */
export function spellingsOf(path: string): readonly string[] {
  return [path, `${path}/`, `/v1${path}`, `/v1${path}/`];
}

/** Where a path stands: as it is, under OpenRouter's base path, and under `/agent/{name}` (identity by endpoint). */
export const prefixes: readonly { readonly prefix: string; readonly named: boolean }[] = [
  { prefix: "", named: false },
  { prefix: "/api", named: false },
  { prefix: "/agent/:agent", named: true },
  { prefix: "/agent/:agent/api", named: true },
];

const responsesPath = /\/responses(\/|$)/;

/** The dialect that an unknown path resembles, for the shape of its 404. */
export function resembles(path: string, headers: Headers): Dialect {
  if (/\/messages(\/|$)/.test(path) || headers.has("anthropic-version")) return "messages";
  return responsesPath.test(path) ? "responses" : "chat";
}
