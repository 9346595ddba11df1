// Which models share their limits. Vendors count by model, or by family of models; what is told about one says nothing
// about another, and one that is used up must not stop the others.

import type { Provider } from "../../request.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";

/** Models that nobody has asked for in a while are looked up anew. */
const MOST_KNOWN = 1_024;
const known = new Map<string, string>();

/**
 * Under which name the limits of this model are counted at its provider. `fast`: the request asks for Anthropic's fast mode,
 * which has limits of its own.
 */
export function limitScopeOf(provider: Provider, model: string, fast = false): string {
  const kind = serverKindOf(provider);
  const key = `${kind}${fast ? "!" : ":"}${model}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const scope = fast ? `${scopeOf(kind, model)}:fast` : scopeOf(kind, model);
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(key, scope);
  return scope;
}

function scopeOf(kind: string, model: string): string {
  switch (kind) {
    case "anthropic":
      return anthropicFamily(model);
    case "openai":
      return withoutDate(model);
    case "openrouter":
      // One limit for all models without a price (docs "Limits"); the others have those of the vendor behind them.
      return model.endsWith(":free") ? ":free" : model;
    default:
      return model;
  }
}

/** `claude-sonnet-4-5-20250929`, `claude-3-5-haiku-latest` */
const named = /^claude-(?:(?<tier>[a-z]+)-(?<major>\d+)(?:[-.]|$)|(?<old>\d+(?:-\d{1,2})?-[a-z]+)(?:-|$))/;

/**
 * Since the fourth generation one limit holds for a tier's whole generation: Sonnet 4 and 4.5 together, Opus 4 and 4.1
 * ("Rate limits", the notes below the tables). Older models have one each.
 */
function anthropicFamily(model: string): string {
  const groups = named.exec(model)?.groups;
  if (groups === undefined) return withoutDate(model);
  const { tier, major, old } = groups;
  return tier === undefined ? `claude-${old}` : `claude-${tier}-${major}`;
}

/** `gpt-4o-2024-08-06` counts as `gpt-4o`. */
function withoutDate(model: string): string {
  return model.replace(/-(?:\d{4}-\d\d-\d\d|20\d{6}|latest)$/, "");
}
