// Half of a surrogate pair in JSON text: strict parsers refuse it, lax ones read it in different ways. Such a half comes
// hidden in the text of a tool call's arguments, where the strict reading of the body does not see it.

/** An escaped backslash, a pair, or half of one (RFC 8259, section 7). */
const escapes = /\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2})/g;
const HALF = "\\ud800".length;

/**
 * JSON text with U+FFFD for each half of a surrogate pair in its strings and names. Texts without any escape of that kind
 * cost two native searches.
 */
export function wellFormedJson(text: string): string {
  if (!text.includes("\\ud") && !text.includes("\\uD")) return text;
  return text.replace(escapes, (found) => (found.length === HALF ? "\ufffd" : found));
}
