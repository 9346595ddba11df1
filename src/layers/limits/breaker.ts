// A circuit breaker of one provider, or of one model there: after too many failures it is left alone, then one request finds
// out.

import type { Clock } from "../../clock.ts";

/** What the end of an attempt says. `neutral` says nothing: the client left, or it was never asked. */
export type Verdict = "success" | "failure" | "answered" | "neutral";
export type BreakerState = "closed" | "open" | "half_open";

const CONSECUTIVE_FAILURES = 5;
const WINDOW_SLOTS = 30;
const SLOT_MS = 1_000;
const WINDOW_MIN_ATTEMPTS = 20;
const WINDOW_FAILURE_SHARE = 0.5;
const OPEN_MS = 10_000;
const MAX_OPEN_MS = 60_000;
/** A local server is back as soon as its model is loaded, and asking it costs nothing. */
const LOCAL_OPEN_MS = 2_000;
const LOCAL_MAX_OPEN_MS = 10_000;
/** A probe that has not even been answered after this long no longer keeps the next one from being made. */
const PROBE_PATIENCE_MS = 60_000;

/** Permission for one attempt; hand it back to `report` once, when the attempt has ended. */
export interface Pass {
  /** Which open period it belongs to: what was sent before one says nothing about the time after it. */
  readonly epoch: number;
  readonly probe: boolean;
}

export interface Breaker {
  readonly state: BreakerState;
  /** 0: an attempt may be made now; else the milliseconds until it is worth asking again. Takes nothing. */
  waitMs(): number;
  /** A pass, or the milliseconds to wait. */
  enter(): Pass | number;
  /** The answer has begun: a probe has found the provider alive, and others may follow before its stream has ended. */
  answered(pass: Pass): void;
  report(pass: Pass, verdict: Verdict): void;
}

/** In this process's memory. */
export class MemoryBreaker implements Breaker {
  readonly #clock: Clock;
  #local: boolean;
  #state: BreakerState = "closed";
  #epoch = 0;
  #closedPass: Pass = { epoch: 0, probe: false };
  #probe: Pass | null = null;
  #probeSince = 0;
  #openUntil = 0;
  /** How long the next opening lasts. */
  #nextOpenMs: number;
  #consecutive = 0;
  readonly #window = new OutcomeWindow();

  constructor(clock: Clock, local: boolean) {
    this.#clock = clock;
    this.#local = local;
    this.#nextOpenMs = local ? LOCAL_OPEN_MS : OPEN_MS;
  }

  get local(): boolean {
    return this.#local;
  }

  /** A changed configuration: from the next opening on. */
  setLocal(local: boolean): void {
    if (local === this.#local) return;
    this.#local = local;
    this.#nextOpenMs = local ? LOCAL_OPEN_MS : OPEN_MS;
  }

  /** The server was seen to be back: what failed while it was away says nothing about it any more. */
  forgive(): void {
    this.#epoch++;
    this.#close(0);
    this.#nextOpenMs = this.#local ? LOCAL_OPEN_MS : OPEN_MS;
  }

  /** An open breaker whose time is up shows as `half_open`: the next attempt is the probe. */
  get state(): BreakerState {
    return this.#state === "open" && this.#clock.monotonic() >= this.#openUntil ? "half_open" : this.#state;
  }

  waitMs(): number {
    if (this.#state === "closed") return 0;
    const now = this.#clock.monotonic();
    if (this.#state === "open") return Math.max(0, this.#openUntil - now);
    if (this.#probe === null) return 0;
    return Math.max(0, this.#probeSince + PROBE_PATIENCE_MS - now);
  }

  enter(): Pass | number {
    if (this.#state === "closed") return this.#closedPass;
    const waitMs = this.waitMs();
    if (waitMs > 0) return waitMs;
    this.#state = "half_open";
    this.#probe = { epoch: this.#epoch, probe: true };
    this.#probeSince = this.#clock.monotonic();
    return this.#probe;
  }

  answered(pass: Pass): void {
    if (this.#state === "half_open" && pass === this.#probe) this.#close(CONSECUTIVE_FAILURES - 1);
  }

  report(pass: Pass, verdict: Verdict): void {
    if (pass.epoch !== this.#epoch) return;
    if (this.#state === "half_open") {
      if (pass === this.#probe) this.#reportProbe(verdict);
      return;
    }
    if (this.#state === "open") return;
    if (verdict === "success") this.#succeed();
    else if (verdict === "failure") this.#fail();
  }

  #reportProbe(verdict: Verdict): void {
    if (verdict === "failure") this.#open();
    else if (verdict === "neutral") this.#probe = null;
    else {
      this.#close(0);
      this.#nextOpenMs = this.#local ? LOCAL_OPEN_MS : OPEN_MS;
    }
  }

  #succeed(): void {
    this.#consecutive = 0;
    this.#nextOpenMs = this.#local ? LOCAL_OPEN_MS : OPEN_MS;
    this.#window.add(this.#clock.monotonic(), false);
  }

  #fail(): void {
    this.#consecutive++;
    this.#window.add(this.#clock.monotonic(), true);
    if (this.#consecutive >= CONSECUTIVE_FAILURES || this.#window.mostlyFailed()) this.#open();
  }

  #open(): void {
    this.#state = "open";
    this.#epoch++;
    this.#probe = null;
    this.#openUntil = this.#clock.monotonic() + this.#nextOpenMs;
    this.#nextOpenMs = Math.min(this.#nextOpenMs * 2, this.#local ? LOCAL_MAX_OPEN_MS : MAX_OPEN_MS);
  }

  /**
   * `consecutive` is what counts as failed already: a provider that answers and then cuts every stream must not get five
   * more for each answer, so until an attempt has ended well one failure opens it again, for the doubled time.
   */
  #close(consecutive: number): void {
    this.#state = "closed";
    this.#probe = null;
    this.#consecutive = consecutive;
    this.#window.clear();
    // The pass of the probe keeps its epoch, so that its own end is still counted.
    this.#closedPass = { epoch: this.#epoch, probe: false };
  }
}

/** How the attempts of the last 30 seconds ended, by the second; a fixed 240 bytes. */
class OutcomeWindow {
  readonly #good = new Int32Array(WINDOW_SLOTS);
  readonly #bad = new Int32Array(WINDOW_SLOTS);
  #second = 0;

  add(nowMs: number, failed: boolean): void {
    const second = Math.floor(nowMs / SLOT_MS);
    // After days of silence the loop below would take a while.
    if (second - this.#second >= WINDOW_SLOTS) this.clear();
    else {
      for (let s = this.#second + 1; s <= second; s++) {
        this.#good[s % WINDOW_SLOTS] = 0;
        this.#bad[s % WINDOW_SLOTS] = 0;
      }
    }
    this.#second = Math.max(this.#second, second);
    const counts = failed ? this.#bad : this.#good;
    const slot = this.#second % WINDOW_SLOTS;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }

  mostlyFailed(): boolean {
    let good = 0;
    let bad = 0;
    for (let slot = 0; slot < WINDOW_SLOTS; slot++) {
      good += this.#good[slot] ?? 0;
      bad += this.#bad[slot] ?? 0;
    }
    return good + bad >= WINDOW_MIN_ATTEMPTS && bad >= (good + bad) * WINDOW_FAILURE_SHARE;
  }

  clear(): void {
    this.#good.fill(0);
    this.#bad.fill(0);
  }
}
