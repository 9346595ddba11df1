// The vault as a person meets it: asked for its passphrase, or for a new one where there is no vault yet.

import {
  KeyFault,
  LEAST_PASSPHRASE_BYTES,
  vaultKey,
  WrongVaultKey,
  type OpenableVault,
  type VaultKey,
} from "../layers/vault/index.ts";
import { readHidden, type KeyInput } from "./hidden-input.ts";
import { exitFailed, Refusal } from "./refusal.ts";
import { findVaultKey, PASSPHRASE_FD } from "./vault-key.ts";

export interface VaultTalk {
  readonly vault: OpenableVault;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly identityFile: string | undefined;
  readonly input: KeyInput;
  /** For people. */
  readonly say: (text: string) => void;
}

const maxBytes = 1_024;
const tries = 3;

/** Unlocks the vault by whatever is at hand, at last by asking. Throws a Refusal or a KeyFault. */
export async function openVault(talk: VaultTalk, acceptOlder = false): Promise<void> {
  const { vault } = talk;
  if (!vault.locked) return;
  const given = findVaultKey(talk.env, talk.identityFile);
  if (given !== null) return await vault.unlock(given, acceptOlder);
  if (vault.kind() === "identity") {
    throw new Refusal(exitFailed, "vault.age is sealed for an age identity; name its file as `vault: { identity: … }`");
  }
  if (talk.input.isTTY !== true) {
    throw new Refusal(
      exitFailed,
      `vault.age needs its passphrase and nobody can be asked here; give it by a file descriptor: ${PASSPHRASE_FD}=3 and 3<FILE`,
    );
  }
  if (vault.exists) await askOld(talk, acceptOlder);
  else await vault.unlock(await askNew(talk));
}

async function askOld(talk: VaultTalk, acceptOlder: boolean): Promise<void> {
  for (let left = tries; ; left--) {
    try {
      const passphrase = await ask(talk, "Passphrase of vault.age (not shown): ");
      return await talk.vault.unlock(vaultKey("passphrase", passphrase), acceptOlder);
    } catch (error) {
      if (!(error instanceof WrongVaultKey) || left === 1) throw error;
      talk.say("That is not it.\n");
    }
  }
}

async function askNew(talk: VaultTalk): Promise<VaultKey> {
  talk.say("This machine has no keychain, so keys go into an encrypted file, vault.age. Choose its passphrase:\n");
  for (let left = tries; left > 0; left--) {
    const first = await ask(talk, "Passphrase (not shown): ");
    if (first.length < LEAST_PASSPHRASE_BYTES) {
      first.fill(0);
      talk.say(`Too short: ${LEAST_PASSPHRASE_BYTES} characters or more.\n`);
      continue;
    }
    const second = await ask(talk, "Once more: ");
    const same = Buffer.from(first).equals(second);
    second.fill(0);
    if (same) return vaultKey("passphrase", first);
    first.fill(0);
    talk.say("These two differ.\n");
  }
  throw new Refusal(exitFailed, "no passphrase was chosen; nothing was stored");
}

async function ask({ input, say }: VaultTalk, question: string): Promise<Uint8Array> {
  const answer = await readHidden(input, () => say(question), maxBytes);
  say("\n");
  if (answer === null) throw new Refusal(exitFailed, "nothing was stored");
  if (answer.length <= maxBytes) return answer;
  answer.fill(0);
  throw new KeyFault("locked", "that is too long for a passphrase");
}
