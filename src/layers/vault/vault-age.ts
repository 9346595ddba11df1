// The age format (age-encryption.org/v1) in a process of its own: deriving a key from a passphrase takes a second of the
// processor and some 300 MB, and what this process has seen is gone with it. Run as a program it answers one request on
// its standard input.

import type { Decrypter, Encrypter } from "age-encryption";
import { refuseTracing } from "../../refuse-tracing.ts";

/** A passphrase, or an age identity (`AGE-SECRET-KEY-1…`). */
export type VaultOpener = { readonly passphrase: string } | { readonly identity: string };

/** Bytes are Base64. */
export type VaultAsk =
  { readonly open: string; readonly by: VaultOpener } | { readonly seal: string; readonly by: VaultOpener };

/** `wrong`: another passphrase or identity is needed; `damaged`: the file was changed, or is none. */
export type VaultAnswer = { readonly bytes: string } | { readonly fault: "wrong" | "damaged" | "identity" };

/** Reads a VaultAsk as JSON and writes a VaultAnswer. Rejects where the input is none. */
export async function answerVault(): Promise<void> {
  await refuseTracing();
  const ask = JSON.parse(await Bun.stdin.text()) as VaultAsk;
  const answer = "open" in ask ? await open(Buffer.from(ask.open, "base64"), ask.by) : await seal(ask.seal, ask.by);
  await Bun.write(Bun.stdout, JSON.stringify(answer));
}

async function open(file: Uint8Array, by: VaultOpener): Promise<VaultAnswer> {
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  if (!addOpener(decrypter, by)) return { fault: "identity" };
  const head = new TextDecoder().decode(file.subarray(0, 64));
  if (!head.startsWith("age-encryption.org/v1\n")) return { fault: "damaged" };
  try {
    return { bytes: Buffer.from(await decrypter.decrypt(file)).toString("base64") };
  } catch (error) {
    // The library tells the cases apart by its text alone.
    const nobody = error instanceof Error && error.message.startsWith("no identity matched");
    return { fault: nobody ? "wrong" : "damaged" };
  }
}

async function seal(plain: string, by: VaultOpener): Promise<VaultAnswer> {
  const { Encrypter, identityToRecipient } = await import("age-encryption");
  const encrypter: Encrypter = new Encrypter();
  if ("passphrase" in by) encrypter.setPassphrase(by.passphrase);
  else {
    try {
      encrypter.addRecipient(await identityToRecipient(by.identity));
    } catch {
      return { fault: "identity" };
    }
  }
  const file = await encrypter.encrypt(Buffer.from(plain, "base64"));
  return { bytes: Buffer.from(file).toString("base64") };
}

/** False: it is no identity. */
function addOpener(decrypter: Decrypter, by: VaultOpener): boolean {
  if ("passphrase" in by) {
    decrypter.addPassphrase(by.passphrase);
    return true;
  }
  try {
    decrypter.addIdentity(by.identity);
    return true;
  } catch {
    return false;
  }
}

// In a bundle every module is the main one: the path tells them apart.
if (import.meta.main && import.meta.path.endsWith("vault-age.ts")) await answerVault();
