import type { KeyReference } from "../../request.ts";
import { createCommandSource } from "./command-source.ts";
import { createKeychainSource } from "./keychain-source.ts";
import type { KeySource } from "./key-source.ts";

/** Finds the source that a reference means; null: there is none of that kind. `keychain` is the system's unless given. */
export function createKeySources(
  keychain: KeySource = createKeychainSource(),
): (reference: KeyReference) => KeySource | null {
  return (reference) => {
    if (reference.from === "command") return createCommandSource(reference.argv);
    return reference.from === "keychain" ? keychain : null;
  };
}
