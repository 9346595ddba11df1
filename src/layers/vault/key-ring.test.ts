import { describe, expect, test } from "bun:test";
import type { Clock } from "../../clock.ts";
import type { KeyReference, Provider } from "../../request.ts";
import { Secret } from "../../secret.ts";
import { KeyRing, type KeyRefusal, type Loan } from "./key-ring.ts";
import { KeyFault, type KeySource } from "./key-source.ts";
import { provider } from "./sample-provider.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const oldKey = "sk-old-12345678";
const newKey = "sk-new-87654321";

/** Answers what it is told to, when it is told to. */
class FakeSource implements KeySource {
  answer: string | readonly string[] | null | KeyFault = oldKey;
  loads = 0;
  /** Every answer waits for this. */
  gate: Promise<void> = Promise.resolve();
  readonly given: Uint8Array[] = [];
  signal: AbortSignal | null = null;

  async load(_provider: string, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    this.loads++;
    this.signal = signal;
    const { answer } = this;
    await this.gate;
    if (answer instanceof KeyFault) throw answer;
    if (answer === null) return [];
    const keys = (typeof answer === "string" ? [answer] : answer).map(bytes);
    this.given.push(...keys);
    return keys;
  }
}

class FakeTimers {
  readonly running = new Set<() => void>();
  readonly start = (_ms: number, run: () => void): (() => void) => {
    this.running.add(run);
    return () => this.running.delete(run);
  };
  expireAll(): void {
    for (const run of this.running) run();
  }
}

interface SetUp {
  readonly ring: KeyRing;
  readonly source: FakeSource;
  readonly timers: FakeTimers;
  readonly anthropic: Provider;
  readonly advance: (ms: number) => void;
}

function setUp(key: KeyReference = { from: "keychain" }): SetUp {
  let now = 1_000;
  const clock: Clock = { now: () => now, monotonic: () => now };
  const source = new FakeSource();
  const timers = new FakeTimers();
  const sourceOf = ({ from }: KeyReference): KeySource | null => (from === "vault" ? null : source);
  const ring = new KeyRing({ clock, sourceOf, timer: timers.start });
  const anthropic = provider("anthropic", key);
  ring.configure([anthropic]);
  return { ring, source, timers, anthropic, advance: (ms) => (now += ms) };
}

async function borrowed(ring: KeyRing, from: Provider, passthrough: Secret | null = null): Promise<Loan> {
  const loan = await ring.borrow(from, passthrough);
  if ("unavailable" in loan) throw new Error(loan.reason);
  return loan;
}

async function refused(ring: KeyRing, from: Provider, passthrough: Secret | null = null): Promise<KeyRefusal> {
  const loan = await ring.borrow(from, passthrough);
  if ("unavailable" in loan) return loan;
  throw new Error("a key was lent");
}

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("a key ring", () => {
  test("loads a key once for all who ask at the same time, and lends it at once afterwards", async () => {
    const { ring, source, anthropic } = setUp();
    const loans = await Promise.all(Array.from({ length: 100 }, () => borrowed(ring, anthropic)));
    expect(source.loads).toBe(1);
    expect(loans.every((loan) => loan.key?.reveal() === oldKey && loan.provider === "anthropic")).toBeTrue();
    expect(ring.borrow(anthropic, null)).not.toBeInstanceOf(Promise);
    expect(ring.state("anthropic")).toBe("ok");
  });

  test("needs no source for providers without a key, and lends a caller's own only to that caller", async () => {
    const none = setUp({ from: "none" });
    expect((await borrowed(none.ring, none.anthropic)).key).toBeNull();
    const { ring, source, anthropic } = setUp({ from: "passthrough" });
    const own = Secret.fromString("sk-caller-1234");
    const loan = await borrowed(ring, anthropic, own);
    expect(loan.key).toBe(own);
    // Texts are scrubbed of it for as long as it is lent.
    expect(ring.secrets()).toEqual([own]);
    ring.giveBack(loan);
    expect(ring.secrets()).toEqual([]);
    expect((await refused(ring, anthropic)).reason).toContain("no credential of its own");
    ring.rejected(loan);
    ring.giveBack(loan);
    ring.close();
    expect(own.wiped).toBeFalse();
    expect([source.loads, ring.state("anthropic")]).toEqual([0, "none"]);
  });

  test("says what is missing and looks again in the background, at most every two seconds", async () => {
    const { ring, source, anthropic, advance } = setUp();
    source.answer = null;
    expect(await refused(ring, anthropic)).toEqual({
      unavailable: "missing",
      reason: "no key is stored; run `sanctum keys set anthropic`",
    });
    for (let i = 0; i < 1_000; i++) expect(ring.borrow(anthropic, null)).not.toBeInstanceOf(Promise);
    expect(source.loads).toBe(1);
    advance(2_000);
    source.answer = oldKey;
    await refused(ring, anthropic);
    await settle();
    expect(source.loads).toBe(2);
    expect((await borrowed(ring, anthropic)).key?.reveal()).toBe(oldKey);
  });

  test("waits for a source five seconds at most, asks it only once meanwhile, and takes a late answer", async () => {
    const { ring, source, timers, anthropic, advance } = setUp();
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const waiting = refused(ring, anthropic);
    timers.expireAll();
    expect((await waiting).unavailable).toBe("locked");
    expect(ring.state("anthropic")).toBe("locked");
    for (let i = 0; i < 10; i++) {
      advance(60_000);
      expect(ring.borrow(anthropic, null)).not.toBeInstanceOf(Promise);
    }
    expect(await ring.refresh("anthropic")).toBe("locked");
    expect(source.loads).toBe(1);
    gate.resolve();
    await settle();
    expect((await borrowed(ring, anthropic)).key?.reveal()).toBe(oldKey);
  });

  test("asks nobody again for an hour who dismissed the dialog, unless a command does", async () => {
    const { ring, source, anthropic, advance } = setUp();
    source.answer = new KeyFault("locked", "refused", { asked: true });
    await refused(ring, anthropic);
    for (let minute = 0; minute < 59; minute++) {
      advance(60_000);
      await refused(ring, anthropic);
      await settle();
    }
    expect(source.loads).toBe(1);
    source.answer = oldKey;
    expect(await ring.refresh("anthropic")).toBe("ok");
  });

  test("wipes a replaced key when its last borrower has left, and not before", async () => {
    const { ring, source, anthropic } = setUp();
    const first = await borrowed(ring, anthropic);
    const second = await borrowed(ring, anthropic);
    source.answer = newKey;
    await ring.refresh("anthropic");
    expect((await borrowed(ring, anthropic)).key?.reveal()).toBe(newKey);
    ring.giveBack(first);
    ring.giveBack(first);
    expect(second.key?.reveal()).toBe(oldKey);
    // Until then texts are searched for it, too.
    expect(ring.secrets().map((secret) => secret.reveal())).toEqual([newKey, oldKey]);
    ring.giveBack(second);
    expect(second.key?.wiped).toBeTrue();
    expect(ring.secrets().map((secret) => secret.reveal())).toEqual([newKey]);
    expect(source.given[0]?.every((byte) => byte === 0)).toBeTrue();
    expect(source.given[1]?.every((byte) => byte === 0)).toBeFalse();
  });

  test("rotates under load without one refused request", async () => {
    const { ring, source, anthropic } = setUp();
    const out: Loan[] = [];
    for (let round = 0; round < 50; round++) {
      source.answer = `sk-round-${1000 + round}`;
      const refreshing = ring.refresh("anthropic");
      for (let i = 0; i < 20; i++) out.push(await borrowed(ring, anthropic));
      await refreshing;
      expect(out.every((loan) => loan.key?.wiped === false)).toBeTrue();
      for (const loan of out.splice(0, 15)) ring.giveBack(loan);
    }
    for (const loan of out) ring.giveBack(loan);
    ring.close();
    expect(source.given.every((key) => key.every((byte) => byte === 0))).toBeTrue();
  });

  test("a removed key is taken away, but a broken or locked source takes nothing away", async () => {
    const { ring, source, anthropic } = setUp();
    await ring.loadAll();
    for (const state of ["missing", "locked"] as const) {
      source.answer = new KeyFault(state, "for a while");
      expect(await ring.refresh("anthropic")).toBe("ok");
    }
    source.answer = null;
    expect(await ring.refresh("anthropic")).toBe("missing");
    expect((await refused(ring, anthropic)).unavailable).toBe("missing");
    expect(source.given.every((key) => key.every((byte) => byte === 0))).toBeTrue();
  });

  test.each([
    "short",
    "sk-with space-1",
    "sk-with\nbreak-1",
    "sk-schlüssel-1",
    "sk-\u0000nul-12345",
    "x".repeat(4_097),
  ])("a value that cannot be a key (%#) is refused without being shown, and wiped", async (value) => {
    const { ring, source, anthropic } = setUp();
    source.answer = value;
    const refusal = await refused(ring, anthropic);
    expect(refusal.unavailable).toBe("missing");
    expect(JSON.stringify([refusal, ring.describe()])).not.toContain(value.slice(0, 8));
    expect(source.given[0]?.every((byte) => byte === 0)).toBeTrue();
  });

  test("a rejected key shows, is read anew at most every ten seconds, and a new value is not the rejected one", async () => {
    const { ring, source, anthropic, advance } = setUp();
    const old = await borrowed(ring, anthropic);
    ring.rejected(old);
    expect(ring.state("anthropic")).toBe("rejected");
    for (let i = 0; i < 100; i++) ring.giveBack(await borrowed(ring, anthropic));
    expect(source.loads).toBe(1);
    advance(10_000);
    await borrowed(ring, anthropic);
    await settle();
    expect([source.loads, ring.state("anthropic")]).toEqual([2, "rejected"]);
    advance(10_000);
    source.answer = newKey;
    await borrowed(ring, anthropic);
    await settle();
    expect(ring.state("anthropic")).toBe("ok");
    ring.rejected(old);
    expect(ring.state("anthropic")).toBe("ok");
    const fresh = await borrowed(ring, anthropic);
    ring.rejected(fresh);
    ring.accepted(fresh);
    expect(ring.state("anthropic")).toBe("ok");
  });

  test("a reload keeps the key; a changed source or address drops it, also for requests of the old configuration", async () => {
    const { ring, source, anthropic } = setUp();
    const loan = await borrowed(ring, anthropic);
    ring.configure([provider("anthropic"), provider("openai")]);
    expect((await borrowed(ring, anthropic)).key).toBe(loan.key);
    expect(source.loads).toBe(1);

    const moved = { ...provider("anthropic"), url: "https://elsewhere.example" };
    ring.configure([moved]);
    expect((await refused(ring, anthropic)).reason).toContain("changed");
    await borrowed(ring, moved);
    expect(source.loads).toBe(2);

    ring.configure([provider("anthropic", { from: "command", argv: ["pass", "a"] })]);
    expect((await refused(ring, provider("anthropic", { from: "command", argv: ["pass", "b"] }))).reason).toContain(
      "changed",
    );
    await borrowed(ring, provider("anthropic", { from: "command", argv: ["pass", "a"] }));
    expect(source.loads).toBe(3);
    ring.configure([]);
    await refused(ring, anthropic);
  });

  test("what a source brings for a provider that is gone is wiped, and the source is told to stop", async () => {
    const { ring, source, anthropic } = setUp();
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const waiting = refused(ring, anthropic);
    ring.configure([]);
    expect(source.signal?.aborted).toBeTrue();
    gate.resolve();
    await waiting;
    expect(source.given[0]?.every((byte) => byte === 0)).toBeTrue();
  });

  test("a refresh during a load reads once more, since the load may have read the old value", async () => {
    const { ring, source, anthropic } = setUp();
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const first = borrowed(ring, anthropic);
    source.answer = newKey;
    const refreshed = ring.refresh("anthropic");
    gate.resolve();
    await first;
    await refreshed;
    expect(source.loads).toBe(2);
    expect((await borrowed(ring, anthropic)).key?.reveal()).toBe(newKey);
  });

  test("describes every provider, and no printing of anything shows a key", async () => {
    const { ring, anthropic } = setUp();
    ring.configure([anthropic, provider("ollama", { from: "none" }), provider("sealed", { from: "vault" })]);
    await ring.loadAll();
    const loan = await borrowed(ring, anthropic);
    expect(ring.describe()).toEqual([
      { provider: "anthropic", source: "keychain", state: "ok", keys: 1, reason: null },
      { provider: "ollama", source: "none", state: "none", keys: 0, reason: null },
      {
        provider: "sealed",
        source: "vault",
        state: "missing",
        keys: 0,
        reason: "keys from `vault` cannot be used here",
      },
    ]);
    expect((await refused(ring, provider("sealed", { from: "vault" }))).unavailable).toBe("missing");
    const printed = Bun.inspect([ring, loan, ring.secrets()], { depth: 10 }) + JSON.stringify([loan, ring.secrets()]);
    expect(printed).not.toContain(oldKey);
    expect(ring.secrets().map((secret) => secret.reveal())).toEqual([oldKey]);
  });

  test("with several keys lends the first, and another one while it is refused or at a limit", async () => {
    const { ring, source, anthropic, advance } = setUp();
    const keys = ["sk-first-11", "sk-second-22", "sk-third-33"];
    source.answer = keys;
    const lent = async (): Promise<string | undefined> => {
      const loan = await borrowed(ring, anthropic);
      ring.giveBack(loan);
      return loan.key?.reveal();
    };
    const first = await borrowed(ring, anthropic);
    expect(first.key?.reveal()).toBe(keys[0]!);
    expect(ring.rejected(first)).toBeTrue();
    const second = await borrowed(ring, anthropic);
    expect([second.key?.reveal(), ring.state("anthropic")]).toEqual([keys[1], "ok"]);
    expect(ring.limited(second, 5_000)).toBeTrue();
    const third = await borrowed(ring, anthropic);
    expect(third.key?.reveal()).toBe(keys[2]!);
    // Nobody is left that could be tried at once; who comes meanwhile gets the one that rests for the shortest time.
    expect(ring.limited(third, 60_000)).toBeFalse();
    expect(await lent()).toBe(keys[1]!);
    advance(5_000);
    expect(await lent()).toBe(keys[1]!);
    for (const loan of [second, third]) ring.rejected(loan);
    expect(ring.state("anthropic")).toBe("rejected");
    expect(ring.describe()[0]).toMatchObject({ keys: 3, state: "rejected", reason: null });

    // One of them is replaced: it is new, and the others are known for what they are.
    source.answer = [keys[0]!, newKey];
    expect(await ring.refresh("anthropic")).toBe("ok");
    expect(await lent()).toBe(newKey);
    for (const loan of [first, second, third]) ring.giveBack(loan);
    const wiped = ring.secrets().length === 2 && [second, third].every((loan) => loan.key?.wiped === true);
    expect(wiped).toBeTrue();
  });

  test("a limit of the only key keeps nobody from it, and a lie about its length none for more than five minutes", async () => {
    const { ring, source, anthropic, advance } = setUp();
    expect(ring.limited(await borrowed(ring, anthropic), 60_000)).toBeFalse();
    expect((await borrowed(ring, anthropic)).key?.reveal()).toBe(oldKey);
    source.answer = [oldKey, newKey];
    await ring.refresh("anthropic");
    advance(60_000);
    const first = await borrowed(ring, anthropic);
    for (const lie of [Number.POSITIVE_INFINITY, 1e12]) expect(ring.limited(first, lie)).toBeTrue();
    expect((await borrowed(ring, anthropic)).key?.reveal()).toBe(newKey);
    advance(300_000);
    expect((await borrowed(ring, anthropic)).key).toBe(first.key);
  });

  test("a source that breaks in an unforeseen way is a missing key", async () => {
    const { ring, anthropic } = setUp();
    const broken = new KeyRing({
      clock: { now: () => 0, monotonic: () => 0 },
      sourceOf: () => ({ load: () => Promise.reject(new TypeError("sk-in-a-message")) }),
    });
    broken.configure([anthropic]);
    expect(await refused(broken, anthropic)).toEqual({ unavailable: "missing", reason: "the key's source failed" });
    ring.close();
  });
});
