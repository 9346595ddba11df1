// Whether a setting is a provider's key, and whose.

import { isSecretName, looksRandom } from "../../config/secret-scan.ts";
import { formOf, hostOf, vendorAt, vendors, type Vendor } from "../../key-forms.ts";
import type { Entry } from "./read-entries.ts";

export interface Judged {
  readonly key: string;
  /** Null: it looks like a key, and nothing tells whose. */
  readonly vendor: Vendor | null;
  readonly kind: "key" | "login" | "admin";
  /** The host to which it is sent, where that is no vendor that is known. */
  readonly otherHost: string | null;
}

/** Doors that take another vendor's name and other keys. */
const otherDoors: ReadonlySet<string> = new Set(["azure", "vertex", "bedrock", "aws", "firebase", "maps", "youtube"]);
const placeholder =
  /your|example|placeholder|change-?me|dummy|xxxx|\.\.\.|^[<${]|^(?:os\.environ|op|env|file|keyring)[:/]/i;
const addressName = /url|base|endpoint|host/i;
const tellingNames: readonly string[] = ["provider", "name", "type", "id", "model"];

/** Null: no provider's key. */
export function judgeEntry(entry: Entry): Judged | null {
  const key = entry.value.trim().replace(/^Bearer\s+/i, "");
  if (placeholder.test(key) || !looksRandom(key)) return null;
  const form = formOf(key);
  if (form !== null && (form.kind === "gateway" || form.kind === "other")) return null;
  const named = vendorOfNames(entry);
  if (form !== null && (form.kind === "login" || form.kind === "admin"))
    return { key, vendor: vendorNamed(form.vendor), kind: form.kind, otherHost: null };
  // Google gives keys of this form to maps and databases too.
  if (form?.vendor === "google" && named?.name !== "google") return null;
  if (form !== null && form.vendor !== null)
    return { key, vendor: vendorNamed(form.vendor), kind: "key", otherHost: null };
  if (form === null && !isSecretName(entry.names.at(-1) ?? "") && !entry.names.some((name) => isSecretName(name)))
    return null;
  const address = addressOf(entry);
  if (address !== null) {
    const vendor = vendorAt(address);
    if (vendor === null && form === null && named === null) return null;
    return { key, vendor, kind: "key", otherHost: vendor === null ? hostOf(address) : null };
  }
  const vendor = named ?? vendorBeside(entry);
  return vendor === null && form === null ? null : { key, vendor, kind: "key", otherHost: null };
}

function vendorNamed(name: string | null): Vendor | null {
  return vendors.find((vendor) => vendor.name === name) ?? null;
}

/** By its own name, the innermost first. */
function vendorOfNames({ names }: Entry): Vendor | null {
  for (const name of names.toReversed()) {
    const vendor = vendorIn(name);
    if (vendor !== null) return vendor;
  }
  return null;
}

function vendorBeside({ beside }: Entry): Vendor | null {
  for (const name of tellingNames) {
    const vendor = vendorIn(beside.get(name) ?? "");
    if (vendor !== null) return vendor;
  }
  return null;
}

function vendorIn(text: string): Vendor | null {
  const words = wordsIn(text);
  if (words.some((word) => otherDoors.has(word))) return null;
  for (const word of words) {
    const vendor = vendors.find((one) => one.words.includes(word));
    if (vendor !== undefined) return vendor;
  }
  return null;
}

/** `OPENAI_API_KEY`, `openAiKey`, `openrouter/auto` in lower-case words. */
function wordsIn(text: string): string[] {
  const plain = text.slice(0, 200).replace(/open_?ai/gi, "openai");
  return plain
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
}

/** Where the key is sent as its neighbours tell: `OPENAI_BASE_URL` beside `OPENAI_API_KEY`, `apiBase` beside `apiKey`. */
function addressOf({ names, beside }: Entry): string | null {
  const own = names.at(-1) ?? "";
  const first = wordsIn(own)[0] ?? "";
  for (const [name, value] of beside) {
    if (!addressName.test(name) || !/^https?:\/\//.test(value)) continue;
    const isVariable = /^[A-Z0-9_]+$/.test(own);
    if (!isVariable || wordsIn(name)[0] === first) return value;
  }
  return null;
}
