import { KeyFault, MAX_KEYS, type KeyStore } from "./key-source.ts";
import { hasSessionBus, secretServiceLocked } from "./secret-service-lock.ts";

/**
 * Under this name the keys stand in the operating system's keychain; the account is the provider's name, and for further
 * keys of the same provider that name with `.2`, `.3` and so on behind it (names of providers have no dot).
 */
export const KEYCHAIN_SERVICE = "sanctum-proxy";

/** The part of `Bun.secrets` that is used: Keychain on macOS, Secret Service on Linux, Credential Manager on Windows. */
export interface Keychain {
  get(entry: { service: string; name: string }): Promise<string | null>;
  set(entry: { service: string; name: string; value: string }): Promise<void>;
  delete(entry: { service: string; name: string }): Promise<boolean>;
}

interface Parts {
  readonly keychain?: Keychain;
  /** Whether the keychain is locked, asked in a way that opens no dialog; null: it can't be told. */
  readonly locked?: () => Promise<boolean | null>;
}

/** Keys in the operating system's keychain. Its calls run on other threads, so the event loop goes on. */
export function createKeychainSource(parts: Parts = {}): KeyStore {
  const keychain = parts.keychain ?? Bun.secrets;
  const locked = parts.locked ?? secretServiceLocked;
  const reachable = parts.keychain !== undefined || keychainReachable(process.env);
  const entry = (provider: string, number: number): { service: string; name: string } => ({
    service: KEYCHAIN_SERVICE,
    name: number === 1 ? provider : `${provider}.${number}`,
  });
  const get = async (provider: string, number: number): Promise<string | null> =>
    (await inKeychain(() => keychain.get(entry(provider, number)))) || null;

  return {
    place: "keychain",

    async load(provider) {
      if (!reachable) throw absentFault();
      // A locked Secret Service answers "no such key", after a dialog where there is a desktop: so it is asked first, and
      // no request can make dialogs appear.
      if ((await locked()) === true) throw lockedFault();
      const keys: Uint8Array[] = [];
      while (keys.length < MAX_KEYS) {
        const value = await get(provider, keys.length + 1);
        if (value === null) break;
        keys.push(new TextEncoder().encode(value));
      }
      return keys;
    },

    async save(provider, keys) {
      if (!reachable) throw absentFault();
      try {
        for (const [index, key] of keys.entries()) {
          await keychain.set({ ...entry(provider, index + 1), value: new TextDecoder().decode(key) });
        }
      } catch (error) {
        throw (await locked()) === true ? lockedFault(error) : faultOf(error);
      }
      await removeFrom(provider, keys.length + 1);
    },

    async remove(provider) {
      if (!reachable) throw absentFault();
      if ((await locked()) === true) throw lockedFault();
      return await removeFrom(provider, 1);
    },
  };

  /** The keys from this number on; false: there was none. */
  async function removeFrom(provider: string, first: number): Promise<boolean> {
    let removed = false;
    for (let number = first; number <= MAX_KEYS; number++) {
      if (!(await inKeychain(() => keychain.delete(entry(provider, number))))) break;
      removed = true;
    }
    return removed;
  }
}

/** `SANCTUM_KEYCHAIN=off`: this machine's keychain is not to be used, as on one where nobody can unlock it. */
function keychainReachable(env: Readonly<Record<string, string | undefined>>): boolean {
  if (env["SANCTUM_KEYCHAIN"] === "off") return false;
  return process.platform !== "linux" || hasSessionBus(env);
}

async function inKeychain<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw faultOf(error);
  }
}

function lockedFault(cause?: unknown): KeyFault {
  return new KeyFault("locked", "the keyring is locked; unlock it (the key is then found by itself)", { cause });
}

/** By Bun's error codes; the texts are the platform's and not looked at. */
function faultOf(error: unknown): KeyFault {
  const details = { cause: error };
  switch (codeOf(error)) {
    case "ERR_SECRETS_INTERACTION_NOT_ALLOWED":
    case "ERR_SECRETS_INTERACTION_REQUIRED":
      return new KeyFault("locked", "the keychain is locked and no dialog can be shown here; unlock it", details);
    case "ERR_SECRETS_USER_CANCELED":
    case "ERR_SECRETS_AUTH_FAILED":
    case "ERR_SECRETS_ACCESS_DENIED":
      return new KeyFault("locked", "the keychain refused access; allow it, then run `sanctum reload`", {
        ...details,
        asked: true,
      });
    default:
      return absentFault(error);
  }
}

function absentFault(cause?: unknown): KeyFault {
  return new KeyFault("missing", noKeychainText, { absent: true, cause });
}

const noKeychainText =
  process.platform === "linux"
    ? "no Secret Service in this session; `sanctum keys set PROVIDER` makes an encrypted vault instead"
    : "the operating system's keychain cannot be used in this session; `sanctum keys set PROVIDER` makes an encrypted vault";

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
