// Upstream error texts on their way to a client.

import type { JsonObject } from "./neutral.ts";

/** Longer texts are cut before anything is looked for in them. */
const MAX_LENGTH = 1_000;

/** What a text of an upstream may hold that is the house's business: addresses, keys, accounts, paths, persons. */
const hidden: readonly (readonly [RegExp, string])[] = [
  [/\b[a-z][a-z0-9+.-]{1,15}:\/\/[^\s"'<>]+/gi, "(address)"],
  [/\b[a-z0-9._%+-]{1,64}@[a-z0-9-]{1,64}\.[a-z0-9.-]{1,64}/gi, "(account)"],
  [/\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b/g, "(address)"],
  [/\[[0-9a-f]{0,4}:[0-9a-f:]+\](?::\d{1,5})?/gi, "(address)"],
  [/\blocalhost(?::\d{1,5})?\b|\b[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}:\d{4,5}\b/gi, "(address)"],
  [/\b(?:sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_*.-]{6,}|\bAIza[A-Za-z0-9_-]{8,}|\bbearer\s+[^\s"']{8,}/gi, "(key)"],
  [/\b(?:org|proj|acct|wrkspc|user)[-_][A-Za-z0-9]{10,}/g, "(account)"],
  [/[A-Za-z0-9_+/=-]{32,}/g, "(hidden)"],
  [/\/(?:home|Users|root|var|opt|tmp|usr|mnt|srv|data|models|etc)\/[^\s"']+/g, "(path)"],
  [/\b[A-Za-z]:\\[^\s"']+/g, "(path)"],
];

/**
 * An upstream's message without addresses, keys, account names and paths, in one line, at most 1,000 characters.
 * It errs on the side of hiding too much.
 */
export function publicText(message: string): string {
  let text = message
    .slice(0, MAX_LENGTH)
    .toWellFormed()
    .replace(/\p{Cc}+/gu, " ");
  for (const [pattern, word] of hidden) text = text.replace(pattern, word);
  return text.trim().slice(0, MAX_LENGTH).toWellFormed();
}

/** True where `publicText` would hide nothing of the text. Longer texts than it reads are not looked through: false. */
export function isPublic(text: string): boolean {
  return text.length <= MAX_LENGTH && hidden.every(([pattern]) => text.search(pattern) < 0);
}

/**
 * An error body of OpenRouter (docs "Errors") without the account and the provider behind it, which are the house's
 * business; undefined where it tells neither.
 */
export function withoutAccount(body: JsonObject): JsonObject | undefined {
  const { user_id: account, ...rest } = body;
  const error = objectOf(body["error"]);
  const metadata = objectOf(error?.["metadata"]);
  if (account === undefined && metadata?.["provider_name"] === undefined) return undefined;
  if (error === undefined || metadata === undefined) return rest;
  const { provider_name: _, ...kept } = metadata;
  return { ...rest, error: { ...error, metadata: kept } };
}

function objectOf(value: JsonObject[string] | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}
