// What the parts of `sanctum keys` share.

import type { Config } from "../config/types.ts";
import type { KeyPlace } from "../layers/vault/index.ts";
import type { Provider } from "../request.ts";
import type { KeyInput } from "./hidden-input.ts";
import type { Io } from "./io.ts";

/** The keychain or the vault, whichever holds a provider's keys, and the people and the gateway around it. */
export interface KeyDesk {
  readonly io: Io;
  readonly input: KeyInput;
  /** Throws a Refusal (78) where it is faulty. */
  config(): Config;
  /** The configured provider, if its keys are stored by these commands; throws a Refusal that says why not. */
  providerOf(config: Config, name: string): Provider;
  /** Its keys in the order in which they are used; the caller wipes them. Throws a Refusal or a KeyFault. */
  load(config: Config, provider: Provider): Promise<readonly Uint8Array[]>;
  /** Stores these in the place of what was there, none: removes them. The caller wipes them. Throws a Refusal or a KeyFault. */
  save(config: Config, provider: Provider, keys: readonly Uint8Array[]): Promise<KeyPlace>;
  /** Asks for a key without showing it, or reads it from a pipe. Throws a Refusal where nobody gives one. */
  ask(provider: string, piped: boolean): Promise<Uint8Array>;
  /**
   * Has the running gateway read the provider's keys anew. How many it has then; null: there is no gateway, or it could not be
   * told (and then the person was).
   */
  tell(provider: string, quiet?: boolean): Promise<number | null>;
}
