import { KeyFault, type KeyPlace, type KeyStore } from "./key-source.ts";

/** What of the vault is needed to stand in for a keychain. */
export interface StandIn extends KeyStore {
  readonly exists: boolean;
}

/**
 * The keychain, or the vault where this machine has no keychain: which one is found out by asking the keychain, so that
 * one that comes later is used.
 */
export class HouseStore implements KeyStore {
  readonly #keychain: KeyStore;
  readonly #vault: StandIn;
  #place: KeyPlace = "keychain";

  constructor(keychain: KeyStore, vault: StandIn) {
    this.#keychain = keychain;
    this.#vault = vault;
  }

  /** Where the last call went. */
  get place(): KeyPlace {
    return this.#place;
  }

  async load(provider: string, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    return await this.#orVault(
      () => this.#keychain.load(provider, signal),
      // Without a vault the keychain's own words say more than "no key".
      (fault) => (this.#vault.exists ? this.#vault.load(provider, signal) : Promise.reject(fault)),
    );
  }

  async save(provider: string, keys: readonly Uint8Array[]): Promise<void> {
    await this.#orVault(
      () => this.#keychain.save(provider, keys),
      () => this.#vault.save(provider, keys),
    );
  }

  async remove(provider: string): Promise<boolean> {
    return await this.#orVault(
      () => this.#keychain.remove(provider),
      () => this.#vault.remove(provider),
    );
  }

  async #orVault<T>(inKeychain: () => Promise<T>, inVault: (fault: KeyFault) => Promise<T>): Promise<T> {
    try {
      const result = await inKeychain();
      this.#place = "keychain";
      return result;
    } catch (error) {
      if (!(error instanceof KeyFault) || !error.absent) throw error;
      this.#place = "vault";
      return await inVault(error);
    }
  }
}
