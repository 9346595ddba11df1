// A secret of the gateway itself (not a provider's): in the keychain, else in the vault, else in a file of its own. Nobody is
// ever asked for it; what is in a weaker place moves to a better one when that can be reached.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { Secret } from "../../secret.ts";
import { KeyFault, type KeyStore } from "./key-source.ts";
import { replaceFile } from "./replace-file.ts";
import type { StandIn } from "./house-store.ts";

export interface HouseSecretParts {
  /** Tells this secret from others of the same user; `accountOf` makes one. */
  readonly account: string;
  readonly keychain: KeyStore;
  readonly vault: StandIn & { readonly locked: boolean };
  /** Where it lies if there is neither; mode 0600. */
  readonly file: string;
  readonly now: () => number;
}

export type HouseSecretPlace = "keychain" | "vault" | "file";

export type LoadedSecret =
  | { readonly state: "found"; readonly key: Secret; readonly place: HouseSecretPlace }
  | { readonly state: "none" }
  | { readonly state: "locked"; readonly why: string };

/** A keychain that waits for a person must not keep anything waiting. */
const KEYCHAIN_TIMEOUT_MS = 10_000;

/** Names of providers do not begin with a dot. `of`: what the secret belongs to, such as a folder. */
export function accountOf(name: string, of: string): string {
  return `.${name}-${createHash("sha256").update(of).digest("hex").slice(0, 12)}`;
}

export class HouseSecret {
  readonly #parts: HouseSecretParts;

  constructor(parts: HouseSecretParts) {
    this.#parts = parts;
  }

  /** Never rejects. The caller wipes the key. */
  async load(): Promise<LoadedSecret> {
    const { account, keychain, vault } = this.#parts;
    const inKeychain = await tryLoad(keychain, account);
    if (inKeychain.state === "locked") return inKeychain;
    if (inKeychain.state === "found") return { ...inKeychain, place: "keychain" };
    const keychainThere = inKeychain.state === "none";
    const open = vault.exists && !vault.locked;
    const inVault = open ? await tryLoad(vault, account) : null;
    if (inVault?.state === "found") return { ...inVault, place: "vault" };
    const inFile = this.#fromFile();
    if (inFile !== null) {
      const better = keychainThere ? "keychain" : open && inVault?.state === "none" ? "vault" : null;
      return { state: "found", key: inFile, place: better === null ? "file" : await this.#moveTo(better, inFile) };
    }
    if (inVault?.state === "locked") return inVault;
    if (vault.exists && !open && !keychainThere) {
      return { state: "locked", why: "vault.age is locked; `sanctum keys unlock` opens it" };
    }
    return { state: "none" };
  }

  /** Rejects where a place is there but cannot take it. */
  async save(key: Secret): Promise<HouseSecretPlace> {
    const { keychain, vault, file, now } = this.#parts;
    try {
      await this.#put(keychain, key);
      return "keychain";
    } catch (error) {
      if (!(error instanceof KeyFault) || !error.absent) throw error;
    }
    if (vault.exists) {
      await this.#put(vault, key);
      return "vault";
    }
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    await replaceFile(file, now(), async () => Buffer.from(`${key.reveal()}\n`));
    return "file";
  }

  /** A line of text beside the secret, in the keychain alone. Null: none, or it can't be read. Never rejects. */
  async loadNote(): Promise<string | null> {
    const found = await tryLoad(this.#parts.keychain, `${this.#parts.account}-note`);
    if (found.state !== "found") return null;
    const text = found.key.reveal();
    found.key.wipe();
    return text;
  }

  /** Visible ASCII. Does nothing where there is no keychain, or it is locked. Never rejects. */
  async saveNote(text: string): Promise<void> {
    const { keychain, account } = this.#parts;
    await timely(keychain.save(`${account}-note`, [Buffer.from(text)])).catch(() => undefined);
  }

  async #put(store: KeyStore, key: Secret): Promise<void> {
    const bytes = key.copy();
    try {
      await timely(store.save(this.#parts.account, [bytes]));
    } finally {
      bytes.fill(0);
    }
  }

  async #moveTo(place: "keychain" | "vault", key: Secret): Promise<HouseSecretPlace> {
    try {
      await this.#put(this.#parts[place], key);
    } catch {
      return "file"; // It is good where it is.
    }
    rmSync(this.#parts.file, { force: true });
    return place;
  }

  #fromFile(): Secret | null {
    try {
      const bytes = readFileSync(this.#parts.file);
      const end = bytes.indexOf(10);
      return bytes.length === 0 ? null : new Secret(Uint8Array.from(end < 0 ? bytes : bytes.subarray(0, end)));
    } catch {
      return null;
    }
  }
}

type Tried =
  | { readonly state: "found"; readonly key: Secret }
  | { readonly state: "none" | "absent" }
  | { readonly state: "locked"; readonly why: string };

async function tryLoad(store: KeyStore, account: string): Promise<Tried> {
  try {
    const [first, ...more] = await timely(store.load(account, AbortSignal.timeout(KEYCHAIN_TIMEOUT_MS)));
    for (const bytes of more) bytes.fill(0);
    return first === undefined ? { state: "none" } : { state: "found", key: new Secret(first) };
  } catch (error) {
    if (error instanceof KeyFault && error.absent) return { state: "absent" };
    return { state: "locked", why: error instanceof KeyFault ? error.reason : "the keychain does not answer" };
  }
}

async function timely<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new KeyFault("locked", "the keychain does not answer")), KEYCHAIN_TIMEOUT_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
