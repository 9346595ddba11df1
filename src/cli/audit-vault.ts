// The audit trail's own keys as the command line gets them: from where the gateway keeps them, asking for the vault's
// passphrase only on a terminal.

import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { checkpointFile, createSealKeeper, houseSecret } from "../daemon/audit-places.ts";
import { readSeals, type SealCheck, type SealKeeper } from "../layers/audit/index.ts";
import {
  createKeychainSource,
  createVaultCipher,
  KeyFault,
  VaultStore,
  type KeyStore,
  type LoadedSecret,
} from "../layers/vault/index.ts";
import { standardInput, type KeyInput } from "./hidden-input.ts";
import type { Io } from "./io.ts";
import { openVault } from "./open-vault.ts";
import { Refusal } from "./refusal.ts";
import type { Settings } from "./settings.ts";

export interface AuditVaultParts {
  readonly keychain?: KeyStore;
  readonly vault?: VaultStore;
  readonly input?: KeyInput;
}

export class AuditVault {
  readonly #io: Io;
  readonly #settings: () => Promise<Settings>;
  readonly #keychain: KeyStore;
  readonly #vault: VaultStore;
  readonly #input: KeyInput | undefined;

  constructor(io: Io, settings: () => Promise<Settings>, parts: AuditVaultParts = {}) {
    this.#io = io;
    this.#settings = settings;
    this.#keychain = parts.keychain ?? createKeychainSource();
    this.#input = parts.input;
    this.#vault =
      parts.vault ??
      new VaultStore({
        file: join(io.home, "vault.age"),
        marksFile: join(io.home, "state/vault.json"),
        cipher: createVaultCipher(),
        clock: systemClock,
      });
  }

  /** What the seals of the configured trail say. */
  async seals(trail: string): Promise<SealCheck> {
    const file = checkpointFile(this.#io.home, trail);
    const check = await readSeals(trail, file, this.keeper(trail));
    if (check.state !== "unchecked" || !(await this.#opened())) return check;
    return await readSeals(trail, file, this.keeper(trail));
  }

  keeper(trail: string): SealKeeper {
    return createSealKeeper(this.#placesOf(trail));
  }

  /** The key of the content files; the caller wipes it. */
  async contentKey(trail: string): Promise<LoadedSecret> {
    const secret = houseSecret("audit-content", this.#placesOf(trail));
    const loaded = await secret.load();
    return loaded.state === "locked" && (await this.#opened()) ? await secret.load() : loaded;
  }

  #placesOf(trail: string) {
    const { home } = this.#io;
    return { home, trail, vault: this.#vault, keychain: this.#keychain, now: () => systemClock.now() };
  }

  /** False: the vault is not what keeps the key, or it stays locked; who was asked has been told why. */
  async #opened(): Promise<boolean> {
    if (!this.#vault.exists || !this.#vault.locked) return false;
    const { config } = await this.#settings();
    try {
      await openVault({
        vault: this.#vault,
        env: this.#io.env,
        identityFile: config?.vault.identityFile,
        input: this.#input ?? standardInput(),
        say: (text) => this.#io.err(text),
      });
      return true;
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof KeyFault)) throw error;
      this.#io.err(`sanctum: ${error.message}\n`);
      return false;
    }
  }
}
