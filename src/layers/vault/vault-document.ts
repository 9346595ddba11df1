// What is inside `vault.age` once it is open:
//
//   {"v":1,"generation":7,"keys":{"anthropic":["sk-ant-…","sk-ant-…"],"openai":["sk-proj-…"]}}
//
// `generation` grows by one with each change, so that an older copy that is put back can be told.

import { KeyFault } from "./key-source.ts";

export interface VaultDocument {
  readonly generation: number;
  /** By provider, in the order in which they are to be used. */
  readonly keys: ReadonlyMap<string, readonly Uint8Array[]>;
}

export const emptyVault: VaultDocument = { generation: 0, keys: new Map() };

/** Throws a KeyFault for anything else than a vault of this version. */
export function parseVault(text: string): VaultDocument {
  const document = parsed(text);
  const { v, generation, keys } = document;
  if (v !== 1) throw damaged("it was written by another version of the gateway");
  if (typeof generation !== "number" || !Number.isSafeInteger(generation) || generation < 0) throw damaged();
  if (typeof keys !== "object" || keys === null) throw damaged();
  return { generation, keys: new Map(Object.entries(keys).map(([provider, list]) => [provider, bytesOf(list)])) };
}

export function formatVault({ generation, keys }: VaultDocument): string {
  const entries = [...keys].map(([provider, list]) => [provider, list.map((key) => new TextDecoder().decode(key))]);
  return JSON.stringify({ v: 1, generation, keys: Object.fromEntries(entries) as unknown });
}

/** The next generation, with these keys in the place of the provider's; an empty list removes it. */
export function withKeys(vault: VaultDocument, provider: string, list: readonly Uint8Array[]): VaultDocument {
  const keys = new Map(vault.keys);
  if (list.length === 0) keys.delete(provider);
  else keys.set(provider, list);
  return { generation: vault.generation + 1, keys };
}

/** Overwrites every key that is in it. */
export function wipeVault({ keys }: VaultDocument): void {
  for (const list of keys.values()) for (const key of list) key.fill(0);
}

function parsed(text: string): { v?: unknown; generation?: unknown; keys?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // The reason would quote the text.
  }
  throw damaged();
}

function bytesOf(list: unknown): Uint8Array[] {
  if (!Array.isArray(list)) throw damaged();
  return list.map((key) => {
    if (typeof key !== "string") throw damaged();
    return new TextEncoder().encode(key);
  });
}

function damaged(why = "what is inside is no vault"): KeyFault {
  return new KeyFault("missing", `vault.age can't be used: ${why}; restore it from a backup, or move it away`);
}
