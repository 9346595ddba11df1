export { createCommandSource } from "./command-source.ts";
export { HouseStore } from "./house-store.ts";
export { createKeychainSource, KEYCHAIN_SERVICE } from "./keychain-source.ts";
export { createKeySources } from "./key-sources.ts";
export { KeyRing, type KeyDescription, type KeyRingParts, type KeyRefusal, type Loan } from "./key-ring.ts";
export {
  checkKey,
  KeyFault,
  MAX_KEY_BYTES,
  MAX_KEYS,
  type KeyPlace,
  type KeySource,
  type KeyState,
  type KeyStore,
} from "./key-source.ts";
export { createRedactor } from "./redact.ts";
export { hasSessionBus, secretServiceLocked } from "./secret-service-lock.ts";
export { unlock } from "./unlock.ts";
export { createVaultCipher, WrongVaultKey, type VaultCipher, type VaultKey } from "./vault-cipher.ts";
export { VaultStore, vaultKey, type VaultParts } from "./vault-store.ts";
