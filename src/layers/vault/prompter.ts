// How a person is asked for a secret. What is asked is made of our own words and of the configuration: no text of a request,
// and none that a provider wrote, gets in front of a person.

import type { VaultStore } from "./vault-store.ts";

export interface KeyQuestion {
  /** The provider's name. */
  readonly provider: string;
  /** Its address, for people. */
  readonly host: string;
  /** What was wrong with the last answer, in our own words; null: this is the first question. */
  readonly remark: string | null;
}

/** The vault, as far as a person has to do with it. */
export type OpenableVault = Pick<VaultStore, "exists" | "locked" | "kind" | "unlock">;

export interface Prompter {
  readonly kind: "terminal" | "osascript" | "zenity" | "kdialog";
  /**
   * What was typed, unseen; the caller wipes it. Null or empty: the person does not want to, or did not answer. Rejects where
   * `signal` aborts.
   */
  askKey(question: KeyQuestion, signal: AbortSignal): Promise<Uint8Array | null>;
  /** Opens the vault, or chooses the passphrase of one that is to be made. False: the person did not. */
  openVault(vault: OpenableVault, signal: AbortSignal): Promise<boolean>;
  /** Something that the person should know; lines of 80 characters. */
  tell(text: string): void;
}
