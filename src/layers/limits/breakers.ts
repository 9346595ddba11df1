// The breakers of all providers and of their models. A model that fails is left alone by itself; the provider is as soon as a
// second model of it fails too, or where it can't be reached at all, so that neither takes the other down: a broken model not
// its provider, and a dead provider is not found out about model by model.

import type { Clock } from "../../clock.ts";
import { MemoryBreaker, type BreakerState, type Pass, type Verdict } from "./breaker.ts";

/** What the end of an attempt says. `down`: about the provider alone; `failure`: about the model, and perhaps the provider. */
export type AttemptVerdict = Verdict | "down";

/** Permission for one attempt at one model. */
export interface Passes {
  readonly provider: string;
  readonly model: string;
  readonly ofProvider: Pass;
  /** Null: the model has never failed. */
  readonly ofModel: Pass | null;
}

/** Names of models come from clients; which of them fails for ever is forgotten last. */
const MAX_MODELS = 256;

interface Standing {
  readonly breaker: MemoryBreaker;
  readonly models: Map<string, MemoryBreaker>;
  /** The one model that has failed since the provider last answered well, and how often; null: none, or several. */
  alone: { readonly model: string; failures: number } | null;
  /** Several models have failed since then: what fails now, the provider has failed. */
  shared: boolean;
}

/** In this process's memory; outlives configurations. */
export class Breakers {
  readonly #clock: Clock;
  readonly #providers = new Map<string, Standing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Providers that are gone are forgotten; the others go on as they were. */
  configure(providers: Iterable<{ readonly name: string; readonly local: boolean }>): void {
    const all = [...providers];
    const names = new Set(all.map(({ name }) => name));
    for (const name of this.#providers.keys()) if (!names.has(name)) this.#providers.delete(name);
    for (const { name, local } of all) {
      const { breaker, models } = this.#standing(name, local);
      breaker.setLocal(local);
      for (const model of models.values()) model.setLocal(local);
    }
  }

  /** The provider was away and was seen to be back: what failed meanwhile says nothing about it or its models. */
  forgive(provider: string): void {
    const standing = this.#providers.get(provider);
    if (standing === undefined) return;
    standing.breaker.forgive();
    for (const model of standing.models.values()) model.forgive();
    standing.alone = null;
    standing.shared = false;
  }

  /** 0: an attempt may be made now; else the milliseconds until it is worth asking again. Takes nothing. */
  waitMs(provider: string, model: string): number {
    const standing = this.#providers.get(provider);
    if (standing === undefined) return 0;
    return Math.max(standing.breaker.waitMs(), standing.models.get(model)?.waitMs() ?? 0);
  }

  /** A pass, or the milliseconds to wait. */
  enter(provider: string, model: string): Passes | number {
    const { breaker, models } = this.#standing(provider);
    const waitMs = this.waitMs(provider, model);
    if (waitMs > 0) return waitMs;
    // Neither waits, so neither refuses.
    const ofProvider = breaker.enter() as Pass;
    const ofModel = (models.get(model)?.enter() ?? null) as Pass | null;
    return { provider, model, ofProvider, ofModel };
  }

  /** The answer has begun. */
  answered({ provider, model, ofProvider, ofModel }: Passes): void {
    const standing = this.#standing(provider);
    standing.breaker.answered(ofProvider);
    if (ofModel !== null) standing.models.get(model)?.answered(ofModel);
  }

  report({ provider, model, ofProvider, ofModel }: Passes, verdict: AttemptVerdict): void {
    const standing = this.#standing(provider);
    const { breaker } = standing;
    if (verdict === "down") {
      breaker.report(ofProvider, "failure");
      // Some of this and some of that, at one model: it opens for that one.
      this.#reportModel(standing, model, ofModel, "failure");
      return;
    }
    this.#reportModel(standing, model, ofModel, verdict);
    if (verdict === "success") {
      standing.alone = null;
      standing.shared = false;
    }
    if (verdict !== "failure" || ofProvider.probe) breaker.report(ofProvider, verdict);
    else this.#blame(standing, model, ofProvider);
  }

  /** For `/stats`: a provider of which one model alone was asked is as that model is. */
  state(provider: string): BreakerState {
    const standing = this.#providers.get(provider);
    if (standing === undefined) return "closed";
    const { breaker, alone, models } = standing;
    if (breaker.state !== "closed" || alone === null) return breaker.state;
    return models.get(alone.model)?.state ?? "closed";
  }

  /** The models that are left alone. */
  *openModels(provider: string): Generator<readonly [model: string, state: BreakerState]> {
    for (const [model, { state }] of this.#providers.get(provider)?.models ?? []) {
      if (state !== "closed") yield [model, state];
    }
  }

  #reportModel({ breaker: { local }, models }: Standing, model: string, pass: Pass | null, verdict: Verdict): void {
    let breaker = models.get(model);
    if (breaker === undefined) {
      if (verdict !== "failure") return;
      breaker = new MemoryBreaker(this.#clock, local);
      if (models.size >= MAX_MODELS) forgetOne(models);
      models.set(model, breaker);
    }
    // Who was let in before the model had ever failed belongs to its first period.
    breaker.report(pass ?? firstPass, verdict);
  }

  /** What one model did is its own affair until another one does it too: then all of it was the provider's. */
  #blame(standing: Standing, model: string, pass: Pass): void {
    const { breaker, alone } = standing;
    if (standing.shared) breaker.report(pass, "failure");
    else if (alone === null || alone.model === model) {
      standing.alone = { model, failures: (alone?.failures ?? 0) + 1 };
    } else {
      standing.shared = true;
      standing.alone = null;
      for (let i = 0; i <= Math.min(alone.failures, MAX_BLAMED); i++) breaker.report(pass, "failure");
    }
  }

  #standing(provider: string, local = false): Standing {
    let standing = this.#providers.get(provider);
    if (standing === undefined) {
      standing = { breaker: new MemoryBreaker(this.#clock, local), models: new Map(), alone: null, shared: false };
      this.#providers.set(provider, standing);
    }
    return standing;
  }
}

const firstPass: Pass = { epoch: 0, probe: false };
/** More than any breaker needs to open. */
const MAX_BLAMED = 20;

function forgetOne(models: Map<string, MemoryBreaker>): void {
  const [oldest] = models.keys();
  const healthy = models.entries().find(([, { state }]) => state === "closed")?.[0];
  models.delete(healthy ?? oldest!);
}
