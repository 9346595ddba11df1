// Where the checkpoint of a trail lies, and where the key of its seals is kept. The gateway and the command line use the same.

import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import type { ChainPosition, SealKeeper } from "../layers/audit/index.ts";
import { accountOf, createKeychainSource, HouseSecret, type KeyStore, type VaultStore } from "../layers/vault/index.ts";

const usualTrail = "logs/cloud-proxy-audit.jsonl";

/** `state/audit-checkpoint.json`, or one of its own for a trail in another place. */
export function checkpointFile(home: string, trail: string): string {
  return join(home, "state", `audit-checkpoint${suffixOf(home, trail)}.json`);
}

interface Parts {
  readonly home: string;
  /** Path of the trail. */
  readonly trail: string;
  readonly vault: VaultStore;
  readonly now: () => number;
  /** The operating system's unless given. */
  readonly keychain?: KeyStore;
}

/** The key of the seals: `audit` names it in the keychain and the vault; `state/audit.key` is its file. */
export function createSealKeeper(parts: Parts): SealKeeper {
  const secret = houseSecret("audit", parts);
  return {
    load: () => secret.load(),
    save: (key) => secret.save(key),
    loadMark: async () => markOf(await secret.loadNote()),
    saveMark: ({ seq, head }) => secret.saveNote(`${seq}:${head}`),
  };
}

export function houseSecret(
  name: string,
  { home, trail, vault, now, keychain = createKeychainSource() }: Parts,
): HouseSecret {
  return new HouseSecret({
    account: accountOf(name, `${home}\n${trail}`),
    keychain,
    vault,
    file: join(home, "state", `${name}${suffixOf(home, trail)}.key`),
    now,
  });
}

/** Names the trail by its place in the home, which may move. */
function suffixOf(home: string, trail: string): string {
  const place = relative(home, trail);
  return place === usualTrail ? "" : `-${createHash("sha256").update(place).digest("hex").slice(0, 8)}`;
}

function markOf(text: string | null): ChainPosition | null {
  const match = /^(\d{1,15}):(sha256:[0-9a-f]{64})$/.exec(text ?? "");
  return match === null ? null : { seq: Number(match[1]), head: match[2]! };
}
