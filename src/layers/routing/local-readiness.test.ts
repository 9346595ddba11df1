import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import type { Candidate, Planned } from "../../request.ts";
import { inTurn, whenReady, type Health, type LocalHealth } from "./local-readiness.ts";
import { candidateAt, localOf, plannedOf, providerOf } from "./sample-request.ts";

const timeouts = { connectMs: 1, firstByteMs: 100, firstContentMs: 200, idleMs: 1, totalMs: 10_000, loadingMs: 5_000 };
const cloud = candidateAt(providerOf("cloud"));
const den = candidateAt(localOf("den", { timeouts }), { name: "coder" });
const attic = candidateAt(localOf("attic", { timeouts }), { name: "gemma" });

interface Known {
  /** By provider; ready where absent. */
  readonly at: Readonly<Record<string, Health>>;
  /** After another look. */
  readonly again?: Health;
  /** After waiting. */
  readonly loaded?: Health;
}

class Seen implements LocalHealth {
  readonly waits: number[] = [];
  looks = 0;
  readonly #known: Known;

  constructor(known: Known) {
    this.#known = known;
  }

  of({ provider }: Candidate): Health {
    return this.#known.at[provider.name] ?? "ready";
  }

  async renewed(candidate: Candidate): Promise<Health> {
    this.looks++;
    return this.#known.again ?? this.of(candidate);
  }

  async loaded(candidate: Candidate, { ms }: { readonly ms: number }): Promise<Health> {
    this.waits.push(ms);
    return this.#known.loaded ?? this.of(candidate);
  }
}

describe("candidates have their turn", () => {
  test("in the order of the plan where no server loads", () => {
    const plan = [den, cloud, attic];
    expect(inTurn(plan, new Seen({ at: { den: "down", attic: "missing" } }))).toBe(plan);
  });

  test("one that loads after the next local one that can serve now", () => {
    const loading = new Seen({ at: { den: "loading" } });
    expect(inTurn([cloud, den, attic], loading)).toEqual([cloud, attic, den]);
    expect(inTurn([den, cloud, attic], loading)).toEqual([cloud, attic, den]);
  });

  test("one that loads in its own place where no other local one can serve: no cloud goes first", () => {
    expect(inTurn([den, cloud], new Seen({ at: { den: "loading" } }))).toEqual([den, cloud]);
    for (const other of ["down", "missing", "loading", "cold"] as const) {
      expect(inTurn([den, attic], new Seen({ at: { den: "loading", attic: other } }))).toEqual([den, attic]);
    }
  });
});

interface Told {
  readonly asked?: Candidate;
  readonly outcome?: string;
  readonly looks: number;
  readonly waits: readonly number[];
}

/** What comes of its turn. */
async function turnOf(
  candidate: Candidate,
  known: Known,
  some: Partial<Parameters<typeof whenReady>[1]> = {},
): Promise<Told> {
  const health = new Seen(known);
  const request: Planned = plannedOf([candidate]);
  const clock = { now: () => 0, monotonic: () => 1_000 };
  const turn = { request: { ...request, line: request.signal }, candidate, last: false, until: Infinity, ...some };
  try {
    const asked = await whenReady({ clock, health }, turn);
    return { asked, looks: health.looks, waits: health.waits };
  } catch (error) {
    if (!(error instanceof AttemptError)) throw error;
    return { outcome: error.outcome, looks: health.looks, waits: health.waits };
  }
}

describe("a local server", () => {
  test("that is there is asked as it is, and a cloud is not looked at", async () => {
    expect((await turnOf(den, { at: {} })).asked).toBe(den);
    expect((await turnOf(cloud, { at: { cloud: "down" } })).asked).toBe(cloud);
  });

  test("that is away is passed over at once", async () => {
    expect(await turnOf(den, { at: { den: "down" } })).toEqual({ outcome: "skipped_breaker", looks: 0, waits: [] });
  });

  test("that is away is looked at once more where nobody comes after it", async () => {
    const back = await turnOf(den, { at: { den: "down" }, again: "ready" }, { last: true });
    expect([back.asked, back.looks]).toEqual([den, 1]);
    const away = await turnOf(den, { at: { den: "down" }, again: "down" }, { last: true });
    expect([away.outcome, away.looks]).toEqual(["skipped_breaker", 1]);
  });

  test("that does not have the model is not asked for it under a name of the house", async () => {
    expect(await turnOf(den, { at: { den: "missing" } })).toEqual({ outcome: "skipped_model", looks: 0, waits: [] });
    const fallback = candidateAt(localOf("den"), { reason: "fallback" });
    expect((await turnOf(fallback, { at: { den: "missing" } })).outcome).toBe("skipped_model");
  });

  test("answers by itself who asks it outright for a model that it does not have", async () => {
    const outright = candidateAt(localOf("den"));
    expect((await turnOf(outright, { at: { den: "missing" } })).asked).toBe(outright);
  });

  test("that loads is waited for as long as it may take, and as long as the client waits", async () => {
    const known: Known = { at: { den: "loading" }, loaded: "ready" };
    expect(await turnOf(den, known)).toEqual({ asked: den, looks: 0, waits: [5_000] });
    expect((await turnOf(den, known, { until: 1_300 })).waits).toEqual([300]);
  });

  test("that loads longer than it may is given up, and one that dies of it is passed over", async () => {
    expect((await turnOf(den, { at: { den: "loading" } })).outcome).toBe("timeout_first_byte");
    expect((await turnOf(den, { at: { den: "loading" }, loaded: "down" })).outcome).toBe("skipped_breaker");
  });

  test("that loads keeps no token count waiting", async () => {
    const request = plannedOf([den], { operation: "count_tokens" });
    const count = await turnOf(den, { at: { den: "loading" } }, { request: { ...request, line: request.signal } });
    expect(count).toEqual({ outcome: "skipped_breaker", looks: 0, waits: [] });
  });

  test("that will load the model first gets the time for it on top", async () => {
    const { asked } = await turnOf(den, { at: { den: "cold" } });
    expect(asked?.provider.timeouts).toEqual({ ...timeouts, firstByteMs: 5_100, firstContentMs: 5_200 });
    expect((await turnOf(den, { at: { den: "cold" } })).asked?.provider).toBe(asked!.provider);
  });
});
