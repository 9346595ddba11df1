// Finds what looks like a secret. The configuration is committed to git, so none may be in it: not as a value, not as a
// key, not in a comment.

import { keyForms } from "../key-forms.ts";

const patterns = keyForms.map(({ pattern }) => pattern);

const secret = new RegExp(`(?<![A-Za-z0-9])(?:${patterns.join("|")})`, "g");

/** Offsets in UTF-16 units of whatever looks like a key, a token or a private key. */
export function findSecrets(text: string): number[] {
  const found: number[] = [];
  // Almost every configuration has none: a search without captures is the cheap way to know.
  for (const match of text.matchAll(secret)) found.push(match.index);
  return found;
}

const secretName =
  /(?:^|[_.-])(?:api_?-?key|access_?-?key|key|token|secret|password|passwd|pwd|credentials?|bearer|auth)s?$/i;

/** True for names under which people put secrets: `api_key`, `client-secret`, `PASSWORD`. */
export function isSecretName(name: string): boolean {
  return secretName.test(name.replace(/([a-z0-9])([A-Z])/g, "$1_$2"));
}

/** Random-looking: long, of one token alphabet, and as varied as a random string of its length. Paths and hashes of tokens are not. */
export function looksRandom(value: string): boolean {
  if (!/^[A-Za-z0-9+/=_.~-]{20,500}$/.test(value)) return false;
  if (value.startsWith("/") || value.startsWith("./") || value.startsWith("../")) return false;
  if (!/[0-9]/.test(value) || !/[A-Za-z]/.test(value)) return false;
  return entropyBits(value) >= 3;
}

/** Shannon entropy per character. */
function entropyBits(value: string): number {
  const counts = new Map<string, number>();
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length);
  return bits;
}
