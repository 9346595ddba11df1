import type { KeyReference } from "../../request.ts";
import { createCommandSource } from "./command-source.ts";
import { createKeychainSource } from "./keychain-source.ts";
import type { KeySource } from "./key-source.ts";

interface Parts {
  /** For key commands, of which they get only what they need. This process's own unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The operating system's unless given. */
  readonly keychain?: KeySource;
}

/** Finds the source that a reference means; null: there is none of that kind. */
export function createKeySources(parts: Parts = {}): (reference: KeyReference) => KeySource | null {
  const { env = process.env, keychain = createKeychainSource() } = parts;
  return (reference) => {
    if (reference.from === "command") return createCommandSource(reference.argv, { env });
    return reference.from === "keychain" ? keychain : null;
  };
}
