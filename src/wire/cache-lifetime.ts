// What a request's cache marks may cost: Anthropic writes a prompt to its cache only where a mark asks for it, for five
// minutes or as long as the mark says (docs "Prompt caching").

import type { Json } from "./neutral.ts";

/** The longest lifetime that a mark asks for. `long`: an hour, or one that is not known here. */
export type CacheLifetime = "none" | "5m" | "long";

/** Looks at every object of the body: a mark in a place that no vendor reads can only raise the bound. */
export function cacheLifetimeOf(body: Json): CacheLifetime {
  if (typeof body !== "object" || body === null) return "none";
  let longest: CacheLifetime = "none";
  if (Array.isArray(body)) {
    for (const value of body) {
      const lifetime = cacheLifetimeOf(value);
      if (lifetime === "long") return lifetime;
      if (lifetime !== "none") longest = lifetime;
    }
    return longest;
  }
  for (const key in body) {
    const value = body[key]!;
    const lifetime = key === "cache_control" ? lifetimeOf(value) : cacheLifetimeOf(value);
    if (lifetime === "long") return lifetime;
    if (lifetime !== "none") longest = lifetime;
  }
  return longest;
}

function lifetimeOf(mark: Json): CacheLifetime {
  if (mark === null) return "none";
  if (typeof mark !== "object" || Array.isArray(mark)) return "long";
  const { ttl } = mark;
  return ttl === undefined || ttl === null || ttl === "5m" ? "5m" : "long";
}
