// Where a provider's key comes from. A source is asked rarely (at start-up, after `sanctum keys set`, after a rejection), may
// be slow or wait for a person, and must never be waited for on the event loop.

/** How a provider's key stands, as `/stats` shows it. */
export type KeyState = "ok" | "missing" | "locked" | "rejected" | "none";

export interface KeySource {
  /** Where the keys really lie, for people; absent where the configuration's own word says it. */
  readonly place?: KeyPlace;
  /**
   * The provider's keys in the order in which they are to be used; the caller then owns the bytes and wipes them. Empty:
   * there is none. Rejects with a KeyFault. Stops what it can when the signal aborts.
   */
  load(provider: string, signal: AbortSignal): Promise<readonly Uint8Array[]>;
}

export type KeyPlace = "keychain" | "vault";

/** A source that the user can write to by `sanctum keys set` and `rm`. */
export interface KeyStore extends KeySource {
  readonly place: KeyPlace;
  /**
   * Stores these keys in the place of what was there. The caller keeps the bytes and wipes them. Rejects with a KeyFault,
   * and then what was there still is.
   */
  save(provider: string, keys: readonly Uint8Array[]): Promise<void>;
  /** False: there was none. Rejects with a KeyFault. */
  remove(provider: string): Promise<boolean>;
}

/** Loading a key failed. `reason` is our own text: it holds nothing of the key, and nothing that another program wrote. */
export class KeyFault extends Error {
  override readonly name: string = "KeyFault";
  readonly state: "missing" | "locked";
  readonly reason: string;
  /** A person was asked and said no (or did not answer): not to be repeated by requests, only by a command. */
  readonly asked: boolean;
  /** There is no such store on this machine: another one may take its place. */
  readonly absent: boolean;

  constructor(
    state: "missing" | "locked",
    reason: string,
    details: { asked?: boolean; absent?: boolean; cause?: unknown } = {},
  ) {
    super(reason, { cause: details.cause });
    this.state = state;
    this.reason = reason;
    this.asked = details.asked ?? false;
    this.absent = details.absent ?? false;
  }
}

const MIN_KEY_BYTES = 8;
export const MAX_KEY_BYTES = 4_096;
/** As many as one provider may have: each of them is looked up by itself in a keychain. */
export const MAX_KEYS = 8;

/**
 * Throws a KeyFault unless these bytes can be a key: 8 to 4,096 visible ASCII characters. Anything else would break the
 * header it goes into, and runtimes print the value in the error they throw for that.
 */
export function checkKey(bytes: Uint8Array): void {
  if (bytes.length < MIN_KEY_BYTES || bytes.length > MAX_KEY_BYTES) {
    throw new KeyFault("missing", `a key has ${MIN_KEY_BYTES} to ${MAX_KEY_BYTES} characters; this one has not`);
  }
  for (const byte of bytes) {
    if (byte >= 0x21 && byte <= 0x7e) continue;
    throw new KeyFault("missing", "the key holds a space, a line break or a character outside ASCII; store it again");
  }
}
