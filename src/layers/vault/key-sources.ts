import type { KeyReference } from "../../request.ts";
import { createCommandSource } from "./command-source.ts";
import { HouseStore, type StandIn } from "./house-store.ts";
import { createKeychainSource } from "./keychain-source.ts";
import type { KeySource, KeyStore } from "./key-source.ts";

interface Parts {
  readonly vault: StandIn;
  /** For key commands, of which they get only what they need. This process's own unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The operating system's unless given. */
  readonly keychain?: KeyStore;
}

/** Finds the source that a reference means; null: there is none of that kind. */
export function createKeySources(parts: Parts): (reference: KeyReference) => KeySource | null {
  const { env = process.env, keychain = createKeychainSource(), vault } = parts;
  const house = new HouseStore(keychain, vault);
  return (reference) => {
    switch (reference.from) {
      case "command":
        return createCommandSource(reference.argv, { env });
      case "keychain":
        return house;
      case "vault":
        return vault;
      case "none":
      case "passthrough":
        return null;
    }
  };
}

/** Finds where a key of this reference is stored; null: it comes from elsewhere. */
export function createKeyStores(parts: Parts): (reference: KeyReference) => KeyStore | null {
  const { keychain = createKeychainSource(), vault } = parts;
  const house = new HouseStore(keychain, vault);
  return ({ from }) => (from === "keychain" ? house : from === "vault" ? vault : null);
}
