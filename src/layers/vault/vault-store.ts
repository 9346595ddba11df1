import { existsSync, readFileSync, statSync } from "node:fs";
import type { Clock } from "../../clock.ts";
import { Secret } from "../../secret.ts";
import { KeyFault, MAX_KEYS, type KeyStore } from "./key-source.ts";
import { replaceFile } from "./replace-file.ts";
import { WrongVaultKey, type VaultCipher, type VaultKey } from "./vault-cipher.ts";
import { emptyVault, formatVault, parseVault, wipeVault, withKeys, type VaultDocument } from "./vault-document.ts";
import { readMarks, waitMs, writeMarks, type VaultMarks } from "./vault-marks.ts";

/** What a new passphrase has at least: NIST SP 800-63B, 5.1.1.1. */
export const LEAST_PASSPHRASE_BYTES = 8;

export interface VaultParts {
  /** `vault.age`. */
  readonly file: string;
  /** `state/vault.json`. */
  readonly marksFile: string;
  readonly cipher: VaultCipher;
  readonly clock: Clock;
}

/** One opening that several readers wait for; wiped when the last of them has taken its keys. */
interface Opening {
  readonly vault: Promise<VaultDocument>;
  readers: number;
}

/**
 * Keys in `vault.age`, a standard age file, for machines without a keychain. It is opened anew for each reading, so that
 * what another process stored is found; between readings only the passphrase or identity is in memory.
 */
export class VaultStore implements KeyStore {
  readonly place = "vault";
  readonly #parts: VaultParts;
  #key: VaultKey | null = null;
  #opening: Opening | null = null;
  #acceptsOlder = false;
  /** Whose keys were in the file of this stamp: opening it takes a second, which those who have none there need not spend. */
  #seen: { readonly stamp: string; readonly providers: ReadonlySet<string> } | null = null;

  constructor(parts: VaultParts) {
    this.#parts = parts;
  }

  get exists(): boolean {
    return existsSync(this.#parts.file);
  }

  get locked(): boolean {
    return this.#key === null;
  }

  /** What opens the vault, by its header; null: there is none, or it is no age file. */
  kind(): VaultKey["kind"] | null {
    if (!this.exists) return null;
    const head = readFileSync(this.#parts.file).subarray(0, 64).toString("latin1");
    if (!head.startsWith("age-encryption.org/v1\n")) return null;
    // age-encryption.org/v1: a file for a passphrase has one stanza, of this type, and no other.
    return head.includes("\n-> scrypt ") ? "passphrase" : "identity";
  }

  /**
   * Opens the vault once to see that the key fits, and keeps the key for later; the caller hands its bytes over. Without a
   * vault the key is the one that a new vault will have. `acceptOlder`: a copy from before the last change is meant. Rejects
   * with a KeyFault, a WrongVaultKey where it does not fit, and then the key that was there stays.
   */
  async unlock(key: VaultKey, acceptOlder = false): Promise<void> {
    if (this.exists) {
      try {
        wipeVault(await this.#open(key, acceptOlder));
      } catch (error) {
        key.secret.wipe();
        throw error;
      }
    }
    this.#key?.secret.wipe();
    this.#key = key;
    this.#acceptsOlder = acceptOlder;
  }

  /** What opened it, for another process of the same user; the caller wipes the bytes. Null: nothing did. */
  copyKey(): { readonly kind: VaultKey["kind"]; readonly bytes: Uint8Array } | null {
    return this.#key === null ? null : { kind: this.#key.kind, bytes: this.#key.secret.copy() };
  }

  /** Forgets the passphrase or identity. */
  lock(): void {
    this.#key?.secret.wipe();
    this.#key = null;
  }

  async load(provider: string): Promise<readonly Uint8Array[]> {
    const stamp = this.#stamp();
    if (stamp === null) return [];
    if (this.#key !== null && this.#seen?.stamp === stamp && !this.#seen.providers.has(provider)) return [];
    const opening = (this.#opening ??= { vault: this.#open(this.#ownKey(), this.#acceptsOlder), readers: 0 });
    opening.readers++;
    try {
      const vault = await opening.vault;
      this.#seen = { stamp, providers: new Set(vault.keys.keys()) };
      return (vault.keys.get(provider) ?? []).map((key) => Uint8Array.from(key));
    } finally {
      // Who comes from here on reads the file again.
      if (this.#opening === opening) this.#opening = null;
      if (--opening.readers === 0) opening.vault.then(wipeVault, () => undefined);
    }
  }

  async save(provider: string, keys: readonly Uint8Array[]): Promise<void> {
    if (keys.length > MAX_KEYS) throw new KeyFault("missing", `a provider has ${MAX_KEYS} keys at most`);
    await this.#change((vault) => withKeys(vault, provider, keys));
  }

  async remove(provider: string): Promise<boolean> {
    if (!this.exists) return false;
    let there = false;
    await this.#change((vault) => {
      there = vault.keys.has(provider);
      return there ? withKeys(vault, provider, []) : null;
    });
    return there;
  }

  async #change(change: (vault: VaultDocument) => VaultDocument | null): Promise<void> {
    const key = this.#ownKey();
    const { file, cipher, marksFile, clock } = this.#parts;
    let generation = 0;
    await replaceFile(file, clock.now(), async () => {
      const before = this.exists ? await this.#open(key, this.#acceptsOlder) : emptyVault;
      const after = change(before);
      if (after === null) {
        wipeVault(before);
        return readFileSync(file);
      }
      generation = Math.max(after.generation, readMarks(marksFile).generation + 1);
      const plain = Buffer.from(formatVault({ ...after, generation }));
      wipeVault(before);
      try {
        return await cipher.seal(plain, key);
      } finally {
        plain.fill(0);
      }
    });
    if (generation > 0) await writeMarks(marksFile, clock.now(), { ...readMarks(marksFile), generation });
  }

  async #open(key: VaultKey, acceptOlder: boolean): Promise<VaultDocument> {
    const { file, marksFile, cipher, clock } = this.#parts;
    const marks = readMarks(marksFile);
    const wait = key.kind === "passphrase" ? waitMs(marks, clock.now()) : 0;
    if (wait > 0) {
      throw new KeyFault(
        "locked",
        `${marks.wrong} wrong passphrases; the next one is taken in ${Math.ceil(wait / 1_000)} s`,
      );
    }
    const plain = await this.#tried(key, marks, () => cipher.open(readFileSync(file), key));
    let vault: VaultDocument;
    try {
      vault = parseVault(new TextDecoder().decode(plain));
    } finally {
      plain.fill(0);
    }
    if (vault.generation < marks.generation && !acceptOlder) {
      wipeVault(vault);
      throw new KeyFault(
        "locked",
        `vault.age is an older copy (change ${vault.generation}, the last one was ${marks.generation}); ` +
          "if you restored it yourself: `sanctum keys unlock --accept-older`",
      );
    }
    if (marks.wrong > 0 || vault.generation !== marks.generation) {
      await writeMarks(marksFile, clock.now(), { generation: vault.generation, wrong: 0, triedAt: 0 });
    }
    return vault;
  }

  async #tried<T>(key: VaultKey, marks: VaultMarks, open: () => Promise<T>): Promise<T> {
    try {
      return await open();
    } catch (error) {
      if (error instanceof WrongVaultKey && key.kind === "passphrase") {
        const { marksFile, clock } = this.#parts;
        await writeMarks(marksFile, clock.now(), { ...marks, wrong: marks.wrong + 1, triedAt: clock.now() });
      }
      throw error;
    }
  }

  /** Null: there is no file. */
  #stamp(): string | null {
    const stat = statSync(this.#parts.file, { throwIfNoEntry: false });
    return stat === undefined ? null : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
  }

  #ownKey(): VaultKey {
    if (this.#key !== null) return this.#key;
    throw new KeyFault("locked", "vault.age is locked; `sanctum keys unlock` opens it");
  }
}

/** A key for a vault from bytes, which are taken over. */
export function vaultKey(kind: VaultKey["kind"], bytes: Uint8Array): VaultKey {
  return { kind, secret: new Secret(bytes) };
}
