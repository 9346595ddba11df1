// Where a provider's key comes from. A source is asked rarely (at start-up, after `sanctum keys set`, after a rejection), may
// be slow or wait for a person, and must never be waited for on the event loop.

/** How a provider's key stands, as `/stats` shows it. */
export type KeyState = "ok" | "missing" | "locked" | "rejected" | "none";

export interface KeySource {
  /**
   * The key's bytes, which the caller then owns and wipes; null: there is none. Rejects with a KeyFault. Stops what it can
   * when the signal aborts.
   */
  load(provider: string, signal: AbortSignal): Promise<Uint8Array | null>;
}

/** A source that the user can write to by `sanctum keys set` and `rm`. */
export interface KeyStore extends KeySource {
  /** Stores the key, replacing another. The caller keeps the bytes and wipes them. Rejects with a KeyFault. */
  save(provider: string, key: Uint8Array): Promise<void>;
  /** False: there was none. Rejects with a KeyFault. */
  remove(provider: string): Promise<boolean>;
}

/** Loading a key failed. `reason` is our own text: it holds nothing of the key, and nothing that another program wrote. */
export class KeyFault extends Error {
  override readonly name = "KeyFault";
  readonly state: "missing" | "locked";
  readonly reason: string;
  /** A person was asked and said no (or did not answer): not to be repeated by requests, only by a command. */
  readonly asked: boolean;

  constructor(state: "missing" | "locked", reason: string, details: { asked?: boolean; cause?: unknown } = {}) {
    super(reason, { cause: details.cause });
    this.state = state;
    this.reason = reason;
    this.asked = details.asked ?? false;
  }
}

const MIN_KEY_BYTES = 8;
export const MAX_KEY_BYTES = 4_096;

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
