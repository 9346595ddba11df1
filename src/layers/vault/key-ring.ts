import type { Clock } from "../../clock.ts";
import type { KeyReference, Provider } from "../../request.ts";
import { Secret } from "../../secret.ts";
import { systemTimer, type StartTimer } from "./deadline.ts";
import { checkKey, KeyFault, type KeySource, type KeyState } from "./key-source.ts";

/** A key lent for one attempt; hand it back to `giveBack` once. */
export interface Loan {
  /** The only provider it may be sent to. */
  readonly provider: string;
  /** The only origin (`URL.origin`) that it may be sent to. */
  readonly origin: string;
  /** Null: the provider takes none. */
  readonly key: Secret | null;
  /** The house's keys that the provider may know: this one and its others. Empty where the key is the caller's own. */
  readonly known: readonly Secret[];
}

export interface KeyRefusal {
  readonly unavailable: "missing" | "locked";
  /** Our own words; no secret in them. */
  readonly reason: string;
}

export interface KeyDescription {
  readonly provider: string;
  /** Where its keys lie: the configuration's word, or what stands in for a keychain that this machine has not. */
  readonly source: KeyReference["from"];
  readonly state: KeyState;
  /** How many there are. */
  readonly keys: number;
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
/** For how long another key is taken where one met a limit that did not say when it ends. */
const REST_MS = 30_000;
/** What a provider says about its limits is believed up to here. */
const LONGEST_REST_MS = 300_000;

/** One value of a provider's key; wiped when it is replaced and its last borrower has left. */
interface Version {
  readonly secret: Secret;
  borrowers: number;
  retired: boolean;
  /** The provider answered 401 or 403 to it. */
  rejected: boolean;
  /** Monotonic, milliseconds: at a limit until then, so that others are taken first. */
  restsUntil: number;
}

interface RingLoan extends Loan {
  readonly version: Version | null;
  open: boolean;
}

interface Slot {
  readonly provider: string;
  readonly url: string;
  readonly origin: string;
  readonly reference: KeyReference;
  readonly source: KeySource | null;
  /** In the order in which they are to be used; empty: none is there. */
  versions: readonly Version[];
  /** How the slot stands while it has no key; with keys, `stateOf` tells. */
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
  /** Callers' own that are lent now: texts are scrubbed of them too. */
  readonly #passing = new Map<RingLoan, Secret>();
  readonly #lent = new Set<Version>();

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
    const lacking = [...this.#slots.values()].filter((slot) => slot.source !== null && slot.versions.length === 0);
    await Promise.all(lacking.map((slot) => this.#load(slot)));
  }

  /** Resolves when no load is under way any more. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all([...this.#slots.values()].map(({ loading }) => loading ?? Promise.resolve()));
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
    const version = this.#best(slot);
    if (version !== undefined) {
      if (slot.versions.every((one) => one.rejected)) this.#retryInBackground(slot);
      return this.#lend(slot, version);
    }
    if (slot.reference.from === "none") return lendOther(slot, null);
    if (slot.reference.from === "passthrough") return this.#lendPassthrough(slot, passthrough);
    if (slot.state === "none" && slot.reason === null) return this.#borrowAfterLoad(slot);
    this.#retryInBackground(slot);
    return refusalOf(slot);
  }

  /** A second return of the same loan does nothing. */
  giveBack(loan: Loan): void {
    const own = loan as RingLoan;
    this.#passing.delete(own);
    const version = own.version ?? null;
    if (version === null || !own.open) return;
    own.open = false;
    version.borrowers--;
    if (version.borrowers > 0) return;
    this.#lent.delete(version);
    if (version.retired) version.secret.wipe();
  }

  /** The provider answered 401 or 403 to this loan. True: it has another key that may be tried now. */
  rejected(loan: Loan): boolean {
    const found = this.#judged(loan);
    if (found === null) return false;
    found.version.rejected = true;
    return this.#hasFresh(found.slot);
  }

  /**
   * The provider is at a limit with this loan, or its account is empty: other keys are taken first for so many
   * milliseconds. True: there is one that may be tried now.
   */
  limited(loan: Loan, restMs: number = REST_MS): boolean {
    const found = this.#judged(loan);
    if (found === null) return false;
    const rest = Math.min(Math.max(restMs, 0), LONGEST_REST_MS);
    found.version.restsUntil = this.#parts.clock.monotonic() + rest;
    return this.#hasFresh(found.slot);
  }

  /** The provider took it. */
  accepted(loan: Loan): void {
    const found = this.#judged(loan);
    if (found !== null) found.version.rejected = false;
  }

  /** For `/stats`. `none`: no key is needed (or none was looked for yet, or each caller brings one). */
  state(provider: string): KeyState {
    const slot = this.#slots.get(provider);
    return slot === undefined ? "none" : stateOf(slot);
  }

  /** Reads the key anew, whatever is known; resolves to how it stands then. For `sanctum keys set`. Never rejects. */
  async refresh(provider: string): Promise<KeyState> {
    const slot = this.#slots.get(provider);
    if (slot === undefined) return "none";
    // What is under way may have read the old value.
    if (slot.loading !== null) await slot.loading;
    if (slot.source !== null) await this.#load(slot);
    return stateOf(slot);
  }

  /** For the start-up output and `sanctum keys list`. */
  describe(): KeyDescription[] {
    return [...this.#slots.values()].map((slot) => ({
      provider: slot.provider,
      source: slot.source?.place ?? slot.reference.from,
      state: stateOf(slot),
      keys: slot.versions.length,
      reason: slot.versions.length === 0 ? slot.reason : null,
    }));
  }

  /** The keys in memory, callers' own among them while they are lent, for scrubbing texts of them. */
  secrets(): Secret[] {
    const stored = [...this.#slots.values()].flatMap(({ versions }) => versions.map(({ secret }) => secret));
    // One that was replaced is in use until its last borrower has left.
    const lent = [...this.#lent].map(({ secret }) => secret);
    return [...new Set([...stored, ...lent, ...this.#passing.values()])];
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
      origin: new URL(provider.url).origin,
      reference: provider.key,
      source,
      versions: [],
      state: unsupported ? "missing" : "none",
      reason: unsupported ? `keys from \`${from}\` cannot be used here` : null,
      loading: null,
      asking: null,
      retryAt: 0,
    };
  }

  /** The caller's own: it is neither counted nor judged nor wiped here. */
  #lendPassthrough(slot: Slot, passthrough: Secret | null): Loan | KeyRefusal {
    if (passthrough === null) return refusal("missing", "the caller sent no credential of its own for this provider");
    const loan = lendOther(slot, passthrough);
    this.#passing.set(loan, passthrough);
    return loan;
  }

  #lend({ provider, origin, versions }: Slot, version: Version): Loan {
    version.borrowers++;
    this.#lent.add(version);
    const known = versions.length === 1 ? [version.secret] : versions.map(({ secret }) => secret);
    const loan: RingLoan = { provider, origin, key: version.secret, known, version, open: true };
    return loan;
  }

  async #borrowAfterLoad(slot: Slot): Promise<Loan | KeyRefusal> {
    await this.#load(slot);
    const version = this.#best(slot);
    return version === undefined ? refusalOf(slot) : this.#lend(slot, version);
  }

  /** The first key that may be used now; else the one that rests for the shortest time; else one that was rejected. */
  #best(slot: Slot): Version | undefined {
    const { versions } = slot;
    const now = this.#parts.clock.monotonic();
    const usable = versions.find((one) => !one.rejected && one.restsUntil <= now);
    if (usable !== undefined || versions.length < 2) return usable ?? versions[0];
    const accepted = versions.filter((one) => !one.rejected);
    return (accepted.length > 0 ? accepted : versions).reduce((a, b) => (b.restsUntil < a.restsUntil ? b : a));
  }

  #hasFresh(slot: Slot): boolean {
    const now = this.#parts.clock.monotonic();
    return slot.versions.some((one) => !one.rejected && one.restsUntil <= now);
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
      const keys = await source.load(slot.provider, signal);
      if (this.#slots.get(slot.provider) !== slot) for (const key of keys) key.fill(0);
      else if (keys.length === 0) this.#lose(slot);
      else this.#adopt(slot, keys);
    } catch (error) {
      this.#fail(slot, error);
    }
  }

  #adopt(slot: Slot, keys: readonly Uint8Array[]): void {
    try {
      for (const key of keys) checkKey(key);
    } catch (error) {
      for (const key of keys) key.fill(0);
      throw error;
    }
    slot.retryAt = this.#parts.clock.monotonic() + RETRY_REJECTED_MS;
    const versions = keys.map((key) => known(slot.versions, key) ?? newVersion(key));
    for (const version of slot.versions) if (!versions.includes(version)) retire(version);
    slot.versions = versions;
    slot.state = "ok";
    slot.reason = null;
  }

  /** The source was asked and has none: only this takes a key away. */
  #lose(slot: Slot): void {
    retireAll(slot);
    this.#fail(slot, new KeyFault("missing", `no key is stored; run \`sanctum keys set ${slot.provider}\``));
  }

  #fail(slot: Slot, error: unknown): void {
    const fault =
      error instanceof KeyFault ? error : new KeyFault("missing", "the key's source failed", { cause: error });
    slot.retryAt = this.#parts.clock.monotonic() + (fault.asked ? RETRY_ASKED_MS : RETRY_MISSING_MS);
    // A source that is locked, silent or broken for a while takes no key away that was read before.
    if (slot.versions.length > 0) return;
    slot.state = fault.state;
    slot.reason = fault.reason;
  }

  /** What happens to an old value says nothing about the new ones. */
  #judged(loan: Loan): { readonly slot: Slot; readonly version: Version } | null {
    const slot = this.#slots.get(loan.provider);
    const version = (loan as RingLoan).version ?? null;
    return slot !== undefined && version !== null && slot.versions.includes(version) ? { slot, version } : null;
  }
}

/** `rejected` while no key of the provider is taken. */
function stateOf({ versions, state }: Slot): KeyState {
  if (versions.length === 0) return state;
  return versions.every((one) => one.rejected) ? "rejected" : "ok";
}

/** The version that already has this value, whose bytes are then wiped; undefined: none. If it was rejected, it still is. */
function known(versions: readonly Version[], key: Uint8Array): Version | undefined {
  const found = versions.find((one) => one.secret.holds(key));
  if (found !== undefined) key.fill(0);
  return found;
}

function newVersion(key: Uint8Array): Version {
  const secret = new Secret(key);
  // Here, and not in the first answer that it is looked for in.
  secret.forms();
  return { secret, borrowers: 0, retired: false, rejected: false, restsUntil: 0 };
}

function fits(slot: Slot, provider: Provider): boolean {
  return slot.url === provider.url && sameReference(slot.reference, provider.key);
}

function sameReference(a: KeyReference, b: KeyReference): boolean {
  if (a === b) return true;
  if (a.from !== "command" || b.from !== "command") return a.from === b.from;
  return a.argv.length === b.argv.length && a.argv.every((word, i) => word === b.argv[i]);
}

function lendOther({ provider, origin }: Slot, key: Secret | null): RingLoan {
  return { provider, origin, key, known: [], version: null, open: true };
}

function retire(version: Version): void {
  version.retired = true;
  if (version.borrowers === 0) version.secret.wipe();
}

function retireAll(slot: Slot): void {
  for (const version of slot.versions) retire(version);
  slot.versions = [];
}

/** The slot itself goes: nobody will look into it again. */
function discard(slot: Slot): void {
  retireAll(slot);
  slot.asking?.abort();
}

function refusalOf(slot: Slot): KeyRefusal {
  return refusal(slot.state === "locked" ? "locked" : "missing", slot.reason ?? "no key");
}

function refusal(unavailable: "missing" | "locked", reason: string): KeyRefusal {
  return { unavailable, reason };
}
