import type { Clock } from "../../clock.ts";
import type { KeyReference, Provider } from "../../request.ts";
import { Secret } from "../../secret.ts";
import { systemTimer, type StartTimer } from "./deadline.ts";
import { checkKey, KeyFault, type KeySource, type KeyState } from "./key-source.ts";

/** A key lent for one attempt; hand it back to `giveBack` once. */
export interface Loan {
  /** The only provider it may be sent to. */
  readonly provider: string;
  /** Null: the provider takes none. */
  readonly key: Secret | null;
}

export interface KeyRefusal {
  readonly unavailable: "missing" | "locked";
  /** Our own words; no secret in them. */
  readonly reason: string;
}

export interface KeyDescription {
  readonly provider: string;
  readonly source: KeyReference["from"];
  readonly state: KeyState;
  /** Why it is missing or locked; null otherwise. */
  readonly reason: string | null;
}

export interface KeyRingParts {
  readonly clock: Clock;
  /** The source that a reference means; null: there is none of that kind here. */
  readonly sourceOf: (reference: KeyReference) => KeySource | null;
  readonly timer?: StartTimer;
}

/** How long anyone waits for a source. */
const LOAD_DEADLINE_MS = 5_000;
const RETRY_MISSING_MS = 2_000;
/** A token that a command prints may have expired, a key may have been replaced: a rejected one is read anew. */
const RETRY_REJECTED_MS = 10_000;
/** Who dismissed a dialog is not asked again for this long, except by a command. */
const RETRY_ASKED_MS = 3_600_000;

/** One value of a provider's key; wiped when it is replaced and its last borrower has left. */
interface Version {
  readonly secret: Secret;
  borrowers: number;
  retired: boolean;
}

interface RingLoan extends Loan {
  readonly version: Version | null;
  open: boolean;
}

interface Slot {
  readonly provider: string;
  readonly url: string;
  readonly reference: KeyReference;
  readonly source: KeySource | null;
  version: Version | null;
  state: KeyState;
  reason: string | null;
  /** The load under way, ended by the deadline. */
  loading: Promise<void> | null;
  /** The source has not answered yet, deadline or not: it is not asked a second time meanwhile. */
  asking: AbortController | null;
  /** Monotonic, milliseconds: not before. */
  retryAt: number;
}

/** The keys of all providers, in memory as bytes. One per process: it outlives configurations. */
export class KeyRing {
  readonly #parts: KeyRingParts;
  readonly #timer: StartTimer;
  #slots = new Map<string, Slot>();

  constructor(parts: KeyRingParts) {
    this.#parts = parts;
    this.#timer = parts.timer ?? systemTimer;
  }

  /** Adopts the providers of a new configuration. A key stays unless its source or the provider's address changed. */
  configure(providers: Iterable<Provider>): void {
    const slots = new Map<string, Slot>();
    for (const provider of providers) {
      const known = this.#slots.get(provider.name);
      slots.set(provider.name, known !== undefined && fits(known, provider) ? known : this.#newSlot(provider));
    }
    for (const slot of this.#slots.values()) if (slots.get(slot.provider) !== slot) discard(slot);
    this.#slots = slots;
  }

  /** Loads every key that is not there yet; resolves when each is there, known to be missing, or late. Never rejects. */
  async loadAll(): Promise<void> {
    const lacking = [...this.#slots.values()].filter((slot) => slot.source !== null && slot.version === null);
    await Promise.all(lacking.map((slot) => this.#load(slot)));
  }

  /**
   * Lends the provider's key, or says why not. `passthrough` is the caller's own credential. Immediate whenever the
   * answer is known; only the very first load is waited for, at most 5 s. A missing key is looked for again in the
   * background, at most every 2 s, so that no request waits for a source that has nothing.
   */
  borrow(provider: Provider, passthrough: Secret | null): Loan | KeyRefusal | Promise<Loan | KeyRefusal> {
    const slot = this.#slots.get(provider.name);
    // A request that began with another configuration must not carry the key to another address.
    if (slot === undefined || !fits(slot, provider)) return refusal("missing", "the configuration of the key changed");
    const { version } = slot;
    if (version !== null) {
      if (slot.state === "rejected") this.#retryInBackground(slot);
      return lend(slot.provider, version);
    }
    if (slot.reference.from === "none") return { provider: slot.provider, key: null };
    if (slot.reference.from === "passthrough") return lendPassthrough(slot.provider, passthrough);
    if (slot.state === "none" && slot.reason === null) return this.#borrowAfterLoad(slot);
    this.#retryInBackground(slot);
    return refusalOf(slot);
  }

  /** A second return of the same loan does nothing. */
  giveBack(loan: Loan): void {
    const own = loan as RingLoan;
    const version = own.version ?? null;
    if (version === null || !own.open) return;
    own.open = false;
    version.borrowers--;
    if (version.retired && version.borrowers === 0) version.secret.wipe();
  }

  /** The provider answered 401 or 403 to this loan. */
  rejected(loan: Loan): void {
    this.#judge(loan, "rejected");
  }

  /** The provider took it. */
  accepted(loan: Loan): void {
    this.#judge(loan, "ok");
  }

  /** For `/stats`. `none`: no key is needed (or none was looked for yet, or each caller brings one). */
  state(provider: string): KeyState {
    return this.#slots.get(provider)?.state ?? "none";
  }

  /** Reads the key anew, whatever is known; resolves to how it stands then. For `sanctum keys set`. Never rejects. */
  async refresh(provider: string): Promise<KeyState> {
    const slot = this.#slots.get(provider);
    if (slot === undefined) return "none";
    // What is under way may have read the old value.
    if (slot.loading !== null) await slot.loading;
    if (slot.source !== null) await this.#load(slot);
    return slot.state;
  }

  /** For the start-up output and `sanctum keys list`. */
  describe(): KeyDescription[] {
    return [...this.#slots.values()].map(({ provider, reference, state, reason }) => ({
      provider,
      source: reference.from,
      state,
      reason,
    }));
  }

  /** The keys in memory, for scrubbing texts of them. */
  secrets(): Secret[] {
    return [...this.#slots.values()].flatMap(({ version }) => version?.secret ?? []);
  }

  /** Wipes every key that nobody borrows; the others follow when they come back. */
  close(): void {
    for (const slot of this.#slots.values()) discard(slot);
    this.#slots = new Map();
  }

  #newSlot(provider: Provider): Slot {
    const { from } = provider.key;
    const source = from === "none" || from === "passthrough" ? null : this.#parts.sourceOf(provider.key);
    const unsupported = source === null && from !== "none" && from !== "passthrough";
    return {
      provider: provider.name,
      url: provider.url,
      reference: provider.key,
      source,
      version: null,
      state: unsupported ? "missing" : "none",
      reason: unsupported ? `keys from \`${from}\` cannot be used here` : null,
      loading: null,
      asking: null,
      retryAt: 0,
    };
  }

  async #borrowAfterLoad(slot: Slot): Promise<Loan | KeyRefusal> {
    await this.#load(slot);
    return slot.version === null ? refusalOf(slot) : lend(slot.provider, slot.version);
  }

  #retryInBackground(slot: Slot): void {
    if (slot.source === null || slot.asking !== null || this.#parts.clock.monotonic() < slot.retryAt) return;
    void this.#load(slot);
  }

  /** Joins the load under way or starts one. Never rejects, and resolves within the deadline. */
  #load(slot: Slot): Promise<void> {
    if (slot.loading !== null) return slot.loading;
    const { source } = slot;
    if (source === null || slot.asking !== null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ended = (): void => {
      cancelTimer();
      slot.loading = null;
      resolve();
    };
    const cancelTimer = this.#timer(LOAD_DEADLINE_MS, () => {
      this.#fail(slot, new KeyFault("locked", "the key's source does not answer; it may be waiting for a dialog"));
      ended();
    });
    slot.loading = promise;
    const asking = new AbortController();
    slot.asking = asking;
    // An answer after the deadline still counts: a person may have unlocked the keychain.
    void this.#loadInto(slot, source, asking.signal).finally(() => {
      slot.asking = null;
      ended();
    });
    return promise;
  }

  async #loadInto(slot: Slot, source: KeySource, signal: AbortSignal): Promise<void> {
    try {
      const bytes = await source.load(slot.provider, signal);
      if (this.#slots.get(slot.provider) !== slot) bytes?.fill(0);
      else if (bytes === null) this.#lose(slot);
      else this.#adopt(slot, bytes);
    } catch (error) {
      this.#fail(slot, error);
    }
  }

  #adopt(slot: Slot, bytes: Uint8Array): void {
    try {
      checkKey(bytes);
    } catch (error) {
      bytes.fill(0);
      throw error;
    }
    const secret = new Secret(bytes);
    slot.retryAt = this.#parts.clock.monotonic() + RETRY_REJECTED_MS;
    // The same value as before: if it was rejected, it still is.
    if (slot.version !== null && slot.version.secret.reveal() === secret.reveal()) {
      secret.wipe();
      return;
    }
    retire(slot);
    slot.version = { secret, borrowers: 0, retired: false };
    slot.state = "ok";
    slot.reason = null;
  }

  /** The source was asked and has none: only this takes a key away. */
  #lose(slot: Slot): void {
    retire(slot);
    this.#fail(slot, new KeyFault("missing", `no key is stored; run \`sanctum keys set ${slot.provider}\``));
  }

  #fail(slot: Slot, error: unknown): void {
    const fault =
      error instanceof KeyFault ? error : new KeyFault("missing", "the key's source failed", { cause: error });
    slot.retryAt = this.#parts.clock.monotonic() + (fault.asked ? RETRY_ASKED_MS : RETRY_MISSING_MS);
    // A source that is locked, silent or broken for a while takes no key away that was read before.
    if (slot.version !== null) return;
    slot.state = fault.state;
    slot.reason = fault.reason;
  }

  #judge(loan: Loan, state: "ok" | "rejected"): void {
    const slot = this.#slots.get(loan.provider);
    const version = (loan as RingLoan).version ?? null;
    // What happens to an old value says nothing about the new one.
    if (slot === undefined || version === null || version !== slot.version) return;
    slot.state = state;
  }
}

function fits(slot: Slot, provider: Provider): boolean {
  return slot.url === provider.url && sameReference(slot.reference, provider.key);
}

function sameReference(a: KeyReference, b: KeyReference): boolean {
  if (a === b) return true;
  if (a.from !== "command" || b.from !== "command") return a.from === b.from;
  return a.argv.length === b.argv.length && a.argv.every((word, i) => word === b.argv[i]);
}

function lend(provider: string, version: Version): Loan {
  version.borrowers++;
  const loan: RingLoan = { provider, key: version.secret, version, open: true };
  return loan;
}

/** The caller's own: it is neither counted nor judged nor wiped here. */
function lendPassthrough(provider: string, passthrough: Secret | null): Loan | KeyRefusal {
  if (passthrough === null) return refusal("missing", "the caller sent no key of its own to pass on");
  return { provider, key: passthrough };
}

function retire(slot: Slot): void {
  const { version } = slot;
  slot.version = null;
  if (version === null) return;
  version.retired = true;
  if (version.borrowers === 0) version.secret.wipe();
}

/** The slot itself goes: nobody will look into it again. */
function discard(slot: Slot): void {
  retire(slot);
  slot.asking?.abort();
}

function refusalOf(slot: Slot): KeyRefusal {
  return refusal(slot.state === "locked" ? "locked" : "missing", slot.reason ?? "no key");
}

function refusal(unavailable: "missing" | "locked", reason: string): KeyRefusal {
  return { unavailable, reason };
}
