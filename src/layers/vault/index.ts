export { createCommandSource } from "./command-source.ts";
export { accountOf, HouseSecret, type HouseSecretPlace, type LoadedSecret } from "./house-secret.ts";
export { HouseStore } from "./house-store.ts";
export { createKeychainSource, KEYCHAIN_SERVICE } from "./keychain-source.ts";
export { AskedMarks } from "./asked-marks.ts";
export { DialogPrompter } from "./dialog-prompter.ts";
export { findDialogProgram } from "./dialog-programs.ts";
export { createKeySources, createKeyStores } from "./key-sources.ts";
export { MissingKeys, type StartProviders } from "./missing-keys.ts";
export type { KeyQuestion, OpenableVault, Prompter } from "./prompter.ts";
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
export { LEAST_PASSPHRASE_BYTES, VaultStore, vaultKey, type VaultParts } from "./vault-store.ts";
