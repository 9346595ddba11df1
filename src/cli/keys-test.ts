import { checkKey, KeyFault, type KeySource } from "../layers/vault/index.ts";
import type { KeyReference, Provider } from "../request.ts";
import { Secret } from "../secret.ts";
import type { KeyCheck } from "./keys.ts";
import type { Io } from "./io.ts";
import { tableText, wantsColour, type Cell, type Colour } from "./table.ts";

/** What became of one key. */
export interface TestedKey {
  readonly provider: string;
  /** Which of the provider's keys, from 1; null: it has none, or takes none. */
  readonly key: number | null;
  /** `answers`: it takes no key, and is there. `unchecked`: nothing could be found out about the key. */
  readonly result: "accepted" | "rejected" | "unchecked" | "missing" | "locked" | "answers" | "passthrough";
  /** Our own words; null: there is no more to say. */
  readonly reason: string | null;
}

type SourceOf = (reference: KeyReference) => KeySource | null;

/** A keychain may wait for a person: longer than the gateway waits, since the person sits here. Milliseconds. */
const sourceMs = 60_000;

/** All providers at once, the keys of one in turn. Never rejects. */
export async function testKeys(
  providers: readonly Provider[],
  sourceOf: SourceOf,
  check: KeyCheck,
): Promise<TestedKey[]> {
  const tested = await Promise.all(providers.map((provider) => testProvider(provider, sourceOf(provider.key), check)));
  return tested.flat();
}

async function testProvider(provider: Provider, source: KeySource | null, check: KeyCheck): Promise<TestedKey[]> {
  const told = (key: number | null, result: TestedKey["result"], reason: string | null): TestedKey => ({
    provider: provider.name,
    key,
    result,
    reason,
  });
  const { signal } = new AbortController();
  if (provider.key.from === "passthrough") return [told(null, "passthrough", "each client brings its own key")];
  if (source === null) {
    const { result, reason } = await check(provider, null, signal);
    return [told(null, result === "accepted" ? "answers" : "unchecked", reason)];
  }
  let keys: readonly Uint8Array[];
  try {
    keys = await source.load(provider.name, AbortSignal.timeout(sourceMs));
  } catch (error) {
    const fault = error instanceof KeyFault ? error : new KeyFault("missing", "the key's source failed");
    return [told(null, fault.state, fault.reason)];
  }
  if (keys.length === 0) {
    return [told(null, "missing", `no key is stored; \`sanctum keys set ${provider.name}\` stores one`)];
  }
  const tested: TestedKey[] = [];
  for (const [index, bytes] of keys.entries()) {
    const secret = new Secret(bytes);
    try {
      checkKey(bytes);
      const { result, reason } = await check(provider, secret, signal);
      tested.push(told(index + 1, result, reason));
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      tested.push(told(index + 1, "rejected", error.reason));
    } finally {
      secret.wipe();
    }
  }
  return tested;
}

const colours: Readonly<Record<TestedKey["result"], Colour>> = {
  accepted: "green",
  answers: "green",
  rejected: "red",
  unchecked: "yellow",
  missing: "yellow",
  locked: "yellow",
  passthrough: "dim",
};

const words: Readonly<Record<TestedKey["result"], string>> = {
  accepted: "accepted",
  answers: "answers",
  rejected: "rejected",
  unchecked: "not checked",
  missing: "missing",
  locked: "locked",
  passthrough: "not tested",
};

/** A table for people. */
export function testsText(tested: readonly TestedKey[], io: Io): string {
  const several = new Set(tested.filter(({ key }) => key !== null && key > 1).map(({ provider }) => provider));
  const rows = tested.map(({ provider, key, result, reason }): Cell[] => [
    several.has(provider) ? `${provider} (key ${key})` : provider,
    { text: words[result], colour: colours[result] },
    reason ?? "",
  ]);
  return tableText([["PROVIDER", "KEY", ""], ...rows], [], wantsColour(io));
}
