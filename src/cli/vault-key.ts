// What opens the vault where nobody is there to type it: an age identity in a file, a passphrase from a file descriptor, or
// either of them from systemd's credentials.

import { closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { KeyFault, vaultKey, type VaultKey } from "../layers/vault/index.ts";

export const PASSPHRASE_FD = "SANCTUM_VAULT_PASSPHRASE_FD";
/** Names of systemd credentials (`LoadCredentialEncrypted=`), systemd.exec(5). */
const passphraseCredential = "sanctum-vault-passphrase";
const identityCredential = "sanctum-vault-identity";

/**
 * Null: nothing of the kind is given. Throws a KeyFault where something is given and can't be read. The file descriptor is
 * read to its end and closed, so it answers once.
 */
export function findVaultKey(
  env: Readonly<Record<string, string | undefined>>,
  identityFile: string | undefined,
): VaultKey | null {
  const descriptor = env[PASSPHRASE_FD];
  if (descriptor !== undefined && descriptor !== "") return vaultKey("passphrase", fromDescriptor(descriptor));
  const folder = env["CREDENTIALS_DIRECTORY"];
  if (folder !== undefined && folder !== "") {
    const passphrase = fromFile(join(folder, passphraseCredential));
    if (passphrase !== null) return vaultKey("passphrase", passphrase);
    const identity = fromFile(join(folder, identityCredential));
    if (identity !== null) return vaultKey("identity", identityIn(identity));
  }
  if (identityFile === undefined) return null;
  const identity = fromFile(identityFile);
  if (identity === null) throw new KeyFault("locked", `vault.identity: ${identityFile} can't be read`);
  return vaultKey("identity", identityIn(identity));
}

function fromDescriptor(text: string): Uint8Array {
  const descriptor = Number(text);
  if (!/^\d{1,4}$/.test(text) || descriptor < 3) {
    throw new KeyFault("locked", `${PASSPHRASE_FD} must be the number of an open file descriptor from 3 on`);
  }
  try {
    const bytes = readFileSync(descriptor);
    closeSync(descriptor);
    return withoutEnd(bytes);
  } catch (cause) {
    throw new KeyFault("locked", `${PASSPHRASE_FD}=${text}: nothing can be read from it; open it by \`${text}<FILE\``, {
      cause,
    });
  }
}

/** Null: there is no such file, or it may not be read. */
function fromFile(file: string): Uint8Array | null {
  try {
    return withoutEnd(readFileSync(file));
  } catch {
    return null;
  }
}

/** Without the line break that editors and `echo` put behind it. */
function withoutEnd(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
  // A copy, which `slice` of a Buffer is not.
  const kept = Uint8Array.from(bytes.subarray(0, end));
  bytes.fill(0);
  return kept;
}

/** The identity's line of a file as `age-keygen` writes it, comments and all. */
function identityIn(bytes: Uint8Array): Uint8Array {
  const line = new TextDecoder()
    .decode(bytes)
    .split(/\r?\n/)
    .find((text) => text.startsWith("AGE-SECRET-KEY-"));
  if (line === undefined) return bytes;
  bytes.fill(0);
  return new TextEncoder().encode(line);
}
