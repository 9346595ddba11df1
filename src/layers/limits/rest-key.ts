// Under which names accounts and models are left alone.

import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import type { Provider } from "../../request.ts";

/** What follows an account's name before that of a model: no agent and no provider is called so. */
const between = "\n/";

/** An account's model, or what the provider limits together with it. */
export function modelRestKey(account: string, provider: Provider, model: string): string {
  return `${account}${between}${limitGroupOf(provider, model)}`;
}

/** Prefix of the models of a provider's own account. */
export function modelsOf(account: string): string {
  return `${account}${between}`;
}

/**
 * Anthropic counts the versions of a family together ("Rate limits": Opus 4.x, Sonnet 4.x), OpenAI the dated versions of a
 * model; what others do is not known.
 */
export function limitGroupOf(provider: Provider, model: string): string {
  const kind = serverKindOf(provider);
  if (kind === "anthropic")
    return /^claude-(?:\d[\d-]*-)?([a-z]+)/.exec(model)?.[0].replace(/-\d[\d-]*(?=-)/, "") ?? model;
  return kind === "openai" ? model.replace(/-\d{4}-\d\d-\d\d$/, "") : model;
}
