// Upstreams echo what they were sent, keys included, in error texts. What goes on to a client is scrubbed of every key that
// is in memory, in the forms in which such texts carry it.

import type { Secret } from "../../secret.ts";

const placeholder = "[redacted]";
const MIN_KEY_LENGTH = 8;

/**
 * A function that replaces every known key in a text: as it is, URL-escaped, JSON-escaped, in hex, in Base64 and Base64url
 * (also in the middle of a longer encoded value). `secrets` may be a function, where keys change. The forms are built on
 * every call and not kept: strings cannot be wiped.
 */
export function createRedactor(secrets: readonly Secret[] | (() => readonly Secret[])): (text: string) => string {
  return (text) => {
    let clean = text;
    for (const secret of typeof secrets === "function" ? secrets() : secrets) {
      if (secret.wiped) continue;
      const key = secret.reveal();
      // Shorter is no key, and would shred the text.
      if (key.length < MIN_KEY_LENGTH) continue;
      for (const form of formsOf(key)) clean = clean.replaceAll(form, placeholder);
    }
    return clean;
  };
}

function formsOf(key: string): Set<string> {
  const bytes = new TextEncoder().encode(key);
  const escaped = encodeURIComponent(key);
  const forms = new Set([
    key,
    escaped,
    lowerEscapes(escaped),
    escapeAll(bytes),
    lowerEscapes(escapeAll(bytes)),
    JSON.stringify(key).slice(1, -1),
    bytes.toHex(),
    bytes.toHex().toUpperCase(),
  ]);
  for (let offset = 0; offset < 3; offset++) {
    const form = base64Inside(bytes, offset);
    forms.add(form);
    forms.add(form.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return forms;
}

/** `encodeURIComponent` leaves `-_.!~*'()` alone; other encoders do not. */
function escapeAll(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    text += /[A-Za-z0-9]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}

function lowerEscapes(text: string): string {
  return text.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
}

/**
 * The characters that the key alone decides where `offset` bytes (modulo 3) stand before it in the encoded value, as in the
 * `Basic` scheme's `name:key`. Base64 turns 3 bytes into 4 characters, so at either end one character is shared.
 */
function base64Inside(bytes: Uint8Array, offset: number): string {
  const padded = new Uint8Array(offset + bytes.length);
  padded.set(bytes, offset);
  const first = Math.ceil((offset * 8) / 6);
  const end = Math.floor((padded.length * 8) / 6);
  return padded.toBase64().slice(first, end);
}
