// Keys that must show up nowhere, and a search for them in all the forms in which they could. Written without any code of
// the gateway: what both overlooked would never be found.

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** How a canary was written where it was found; `part`: a stretch of it, as where it was split. */
export type CanaryForm = "raw" | "base64" | "base64url" | "hex" | "url" | "json" | "reversed" | "part";

export interface Finding {
  /** Which canary, by its name; never its value, which would be in the log of the test. */
  readonly canary: string;
  readonly form: CanaryForm;
}

/** A stretch of this length of the random part is found wherever it stands. */
export const partLength = 10;

export class Canary {
  readonly name: string;
  readonly value: string;
  /** What a text would hold, by form. */
  readonly forms: readonly (readonly [CanaryForm, string])[];
  readonly #parts: ReadonlySet<string>;

  /** `prefix` as the vendor's keys have it. */
  constructor(name: string, prefix: string) {
    const random = randomBytes(36).toString("hex");
    this.name = name;
    this.value = prefix + random;
    this.forms = formsOf(this.value);
    this.#parts = new Set(windows(random, partLength));
  }

  /** Every form in the text, each once. Letters of both sizes count as one. */
  in(text: string): CanaryForm[] {
    const low = text.toLowerCase();
    const found = new Set(this.forms.filter(([, form]) => low.includes(form.toLowerCase())).map(([form]) => form));
    if (found.has("raw") || this.#holdsPart(text)) found.add("part");
    return [...found];
  }

  /** Stretches of it are looked up in a set, not one after the other in the text: texts are large here. */
  #holdsPart(text: string): boolean {
    for (const run of text.match(/[0-9a-f]{10,}/g) ?? []) {
      for (const window of windows(run, partLength)) if (this.#parts.has(window)) return true;
    }
    return false;
  }
}

/** For `key:` of a provider: a command that prints these keys from a file, since a configuration that held one is refused. */
export function keyCommand(folder: string, ...canaries: readonly Canary[]): { readonly command: readonly string[] } {
  const file = join(folder, `${canaries.map(({ name }) => name).join("+")}.key`);
  writeFileSync(file, canaries.map(({ value }) => `${value}\n`).join(""), { mode: 0o600 });
  return { command: ["cat", file] };
}

function windows(text: string, length: number): string[] {
  return Array.from({ length: Math.max(0, text.length - length + 1) }, (_, at) => text.slice(at, at + length));
}

function formsOf(value: string): [CanaryForm, string][] {
  const bytes = Buffer.from(value);
  const escapes = (prefix: string): string => bytes.toString("hex").replaceAll(/../g, (digits) => prefix + digits);
  // In a longer value its ends depend on the neighbours: of each place the characters that it decides alone.
  const base64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .slice(before === 0 ? 0 : before + 1, Math.floor(((before + bytes.length) * 4) / 3)),
  );
  return [
    ["raw", value],
    ...base64.map((text): [CanaryForm, string] => ["base64", text]),
    ...base64.map((text): [CanaryForm, string] => ["base64url", text.replaceAll("+", "-").replaceAll("/", "_")]),
    ["hex", bytes.toString("hex")],
    ["url", encodeURIComponent(value)],
    ["url", escapes("%")],
    ["json", JSON.stringify(value).slice(1, -1)],
    ["json", escapes("\\u00")],
    ["reversed", Array.from(value).toReversed().join("")],
  ];
}

/** What of the canaries is in the text or the bytes. Bytes are looked at as one character each, and as UTF-16. */
export function findCanaries(canaries: readonly Canary[], content: string | Uint8Array): Finding[] {
  const texts =
    typeof content === "string" ? [content] : [Buffer.from(content).toString("latin1"), withoutNuls(content)];
  const found: Finding[] = [];
  for (const canary of canaries) {
    for (const form of new Set(texts.flatMap((text) => canary.in(text)))) found.push({ canary: canary.name, form });
  }
  return found;
}

/** UTF-16 of ASCII, as JavaScript engines keep some strings, has a NUL beside each character. */
function withoutNuls(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1").replaceAll("\0", "");
}

/** Throws, telling where and in which form, and not the canary itself. */
export function expectNoCanary(where: string, canaries: readonly Canary[], content: string | Uint8Array): void {
  const found = findCanaries(canaries, content);
  if (found.length === 0) return;
  throw new Error(`${where} holds ${found.map(({ canary, form }) => `${canary} (${form})`).join(", ")}`);
}
