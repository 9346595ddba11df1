// Who waits for what, and who is served next.

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { ProviderLimits } from "../../request.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryQuota, type Ask, type QuotaRefusal, type Ticket } from "./quota.ts";
import { seededRandom } from "./seeded-random.ts";

const need = { inputTokens: 10, outputTokens: 10 };

function limits(some: Partial<ProviderLimits>): ReadonlyMap<string, ProviderLimits> {
  const none = {
    requestsPerMinute: undefined,
    inputTokensPerMinute: undefined,
    outputTokensPerMinute: undefined,
    concurrent: undefined,
  };
  return new Map([["p", { ...none, ...some }]]);
}

class House {
  readonly clock = new ManualClock();
  readonly quota = new MemoryQuota({ clock: this.clock, wait: this.clock.wait });
  /** In the order in which they were served or sent away. */
  readonly served: string[] = [];

  constructor(some: Partial<ProviderLimits> = {}) {
    this.quota.configure(limits(some));
  }

  async ask(
    name: string,
    some: Partial<Ask> & { signal?: AbortSignal; ms?: number } = {},
  ): Promise<Ticket | QuotaRefusal> {
    const { signal = new AbortController().signal, ms = 10_000, ...rest } = some;
    const ask = { agent: name, scope: "model", ...need, ...rest };
    const taken = await this.quota.take("p", "p", ask, { signal, ms });
    this.served.push("refusedBy" in taken ? `${name}: ${taken.refusedBy}` : name);
    return taken;
  }

  /** Lets time pass in steps, and what waits for it go on. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.clock.advance(100);
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
  }

  async settled(): Promise<void> {
    await this.pass(0);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  /** `remaining` of 60 a minute, one a second coming back. */
  async tell(remaining: number, scope = "model"): Promise<void> {
    const ticket = ticketOf(await this.ask("teller", { scope }));
    this.served.pop();
    const reset = new Date(this.clock.now() + (60 - remaining) * 1_000).toISOString();
    this.quota.learn(
      ticket,
      new Headers({
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": `${remaining}`,
        "anthropic-ratelimit-requests-reset": reset,
      }),
    );
    this.quota.settle(ticket, need);
  }
}

function ticketOf(taken: Ticket | QuotaRefusal): Ticket {
  if ("refusedBy" in taken) throw new Error(`refused by ${taken.refusedBy}`);
  return taken;
}

describe("a place that is taken", () => {
  test("goes to those who wait, one after the other, and nobody gets past the line", async () => {
    const house = new House({ concurrent: 1 });
    let current = ticketOf(await house.ask("first"));
    const waiting = ["a", "b", "c"].map((name) => house.ask(name, { agent: "one" }));
    for (const [index, name] of ["a", "b", "c"].entries()) {
      house.quota.settle(current, null);
      // Handed on in the same step: in between there is none.
      expect(await house.quota.take("p", "p", { agent: "one", scope: "model", ...need }, never)).toMatchObject({
        refusedBy: "concurrent",
      });
      current = ticketOf(await waiting[index]!);
      expect(house.served.at(-1)).toBe(name);
    }
    house.quota.giveBack(current);
    expect(house.quota.waiting("p")).toBe(0);
    ticketOf(await house.ask("free"));
  });

  test("goes to each agent in turn, however many of one wait", async () => {
    const house = new House({ concurrent: 1 });
    let current = ticketOf(await house.ask("flood"));
    const waiting = Array.from({ length: 20 }, () => house.ask("flood", { ms: 600_000 }));
    await house.settled();
    waiting.push(house.ask("a", { ms: 600_000 }), house.ask("b", { ms: 600_000 }));
    for (let i = 0; i < 4; i++) {
      house.quota.settle(current, null);
      await house.settled();
      current = ticketOf(await Promise.race(waiting.filter((_, index) => served(house, index))));
    }
    expect(house.served.slice(1, 5).toSorted().slice(0, 2)).toEqual(["a", "b"]);
  });

  test("is not handed out twice for a ticket that is closed twice", async () => {
    const house = new House({ concurrent: 1 });
    const first = ticketOf(await house.ask("first"));
    const waiting = [house.ask("a"), house.ask("b")];
    house.quota.settle(first, null);
    house.quota.giveBack(first);
    await waiting[0];
    expect(house.served).toEqual(["first", "a"]);
  });

  test("is passed over by who leaves, and an agent's line is never longer than its bound", async () => {
    const house = new House({ concurrent: 1 });
    const first = ticketOf(await house.ask("one"));
    const leaver = new AbortController();
    const gone = house.ask("one", { signal: leaver.signal });
    const others = Array.from({ length: 31 }, () => house.ask("one", { ms: 600_000 }));
    expect(await house.ask("one")).toEqual({ refusedBy: "concurrent", waitMs: 1_000 });
    // Another agent has a line of its own.
    const another = house.ask("another", { ms: 600_000 });
    expect(house.quota.waiting("p")).toBe(33);
    leaver.abort();
    expect(await gone).toMatchObject({ refusedBy: "concurrent" });
    const last = house.ask("one", { ms: 600_000 });
    let open = [first];
    for (const one of [another, ...others, last]) {
      for (const ticket of open) house.quota.settle(ticket, null);
      open = [ticketOf(await one)];
    }
    expect(house.quota.waiting("p")).toBe(0);
  });

  test("is not waited for by who has left already, nor longer than the patience", async () => {
    const house = new House({ concurrent: 1 });
    await house.ask("first");
    expect(await house.ask("gone", { signal: AbortSignal.abort() })).toMatchObject({ refusedBy: "concurrent" });
    const waiting = house.ask("patient", { ms: 3_000 });
    await house.pass(2_900);
    expect(house.served).not.toContain("patient: concurrent");
    await house.pass(100);
    expect(await waiting).toMatchObject({ refusedBy: "concurrent" });
    expect(house.clock.waits).toBe(0);
  });

  test("is not waited for where answers are known to take longer than the patience", async () => {
    const house = new House({ concurrent: 1 });
    const slow = ticketOf(await house.ask("slow"));
    house.clock.advance(60_000);
    house.quota.settle(slow, null);
    await house.ask("first");
    expect(await house.ask("b", { ms: 10_000 })).toEqual({ refusedBy: "concurrent", waitMs: 60_000 });
  });

  test("more places serve those who wait; a quota that is used up for long does not make them wait on", async () => {
    const house = new House({ concurrent: 1, requestsPerMinute: 2 });
    await house.ask("first");
    const waiting = [house.ask("a"), house.ask("b")];
    house.quota.configure(limits({ concurrent: 3, requestsPerMinute: 2 }));
    await Promise.all(waiting);
    expect(house.served).toEqual(["first", "b: requests", "a"]);
  });
});

const never = { signal: new AbortController().signal, ms: 0 };

function served(house: House, index: number): boolean {
  return house.served.length > 1 && index >= 20;
}

describe("a quota that is short", () => {
  test("is waited for where it comes back within the patience, and not where it does not", async () => {
    const house = new House();
    await house.tell(0);
    const soon = house.ask("soon", { ms: 2_000 });
    expect(await house.ask("late", { agent: "soon", ms: 1_500 })).toEqual({ refusedBy: "requests", waitMs: 2_000 });
    await house.pass(1_000);
    ticketOf(await soon);
    expect(house.clock.waits).toBe(0);
  });

  test("serves those who wait in turn, agent by agent", async () => {
    const house = new House();
    await house.tell(0);
    const waiting = [...Array.from({ length: 5 }, () => house.ask("flood")), house.ask("a"), house.ask("b")];
    await house.pass(7_100);
    await Promise.all(waiting);
    expect(house.served.slice(0, 3).toSorted()).toEqual(["a", "b", "flood"]);
    expect(house.served.slice(3)).toEqual(["flood", "flood", "flood", "flood"]);
  });

  test("of one model holds nobody up who asks for another", async () => {
    const house = new House();
    await house.tell(0, "opus");
    await house.tell(10, "sonnet");
    const waiting = house.ask("a", { scope: "opus" });
    ticketOf(await house.ask("b", { scope: "sonnet" }));
    await house.pass(1_000);
    await waiting;
    expect(house.served).toEqual(["b", "a"]);
  });

  test("is not given to small requests past a large one that stands before them", async () => {
    const house = new House({ inputTokensPerMinute: 6_000 });
    ticketOf(await house.ask("first", { inputTokens: 6_000 }));
    const large = house.ask("large", { inputTokens: 500 });
    await house.settled();
    const small = Array.from({ length: 3 }, () => house.ask("small", { inputTokens: 100 }));
    await house.pass(9_000);
    await Promise.all([large, ...small]);
    expect(house.served.slice(1)).toEqual(["large", "small", "small", "small"]);
  });

  test("that turns out to be gone for long sends those who wait on at once", async () => {
    const house = new House();
    await house.tell(1);
    const running = ticketOf(await house.ask("running"));
    const waiting = house.ask("waiting");
    house.quota.learn(running, new Headers(), 60_000);
    expect(await waiting).toEqual({ refusedBy: "requests", waitMs: 60_000 });
  });

  test("gives what is told to be there to those who wait", async () => {
    const house = new House();
    await house.tell(1);
    const running = ticketOf(await house.ask("running"));
    const waiting = house.ask("waiting");
    house.quota.learn(
      running,
      new Headers({
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "30",
      }),
    );
    ticketOf(await waiting);
  });

  test("is left to others by an agent that has had much of it: they do not wait", async () => {
    const house = new House();
    await house.tell(60);
    ticketOf(await house.ask("other"));
    const flood = Array.from({ length: 80 }, () => house.ask("flood", { ms: 3_000 }));
    await house.settled();
    const atOnce = house.served.filter((name) => name === "flood").length;
    expect(atOnce).toBeGreaterThanOrEqual(44);
    for (let i = 0; i < 5; i++) ticketOf(await house.ask("other", { ms: 0 }));
    await house.pass(3_000);
    await Promise.all(flood);
  });
});

describe("before anything was answered", () => {
  const many = (house: House, ms: number): Promise<Ticket | QuotaRefusal>[] =>
    Array.from({ length: 200 }, () => house.ask("a", { ms }));

  test("a few are sent, and all others as soon as an answer tells that nothing is short", async () => {
    const house = new House();
    const first = ticketOf(await house.ask("a"));
    const asked = many(house, 2_000);
    await house.settled();
    expect([house.served.length, house.quota.waiting("p")]).toEqual([16, 185]);
    house.quota.learn(first, new Headers());
    for (const one of await Promise.all(asked)) ticketOf(one);
    expect(house.clock.waits).toBe(0);
  });

  test("a few are sent, and of the others as many as an answer tells are left", async () => {
    const house = new House();
    const first = ticketOf(await house.ask("a"));
    const asked = many(house, 2_000);
    const headers = { "x-ratelimit-limit": "60", "x-ratelimit-remaining": "59", "x-ratelimit-reset": "60" };
    house.quota.learn(first, new Headers(headers));
    await house.pass(2_000);
    const taken = (await Promise.all(asked)).filter((one) => !("refusedBy" in one));
    expect(taken.length).toBeLessThanOrEqual(59);
    expect(taken.length).toBeGreaterThanOrEqual(44);
  });

  test("nobody is sent away for it: after a moment all are sent", async () => {
    const house = new House();
    const asked = many(house, 1_500);
    await house.pass(1_500);
    for (const one of await Promise.all(asked)) ticketOf(one);
    const impatient = new House();
    for (const one of await Promise.all(many(impatient, 0))) ticketOf(one);
  });
});

test("in any schedule nothing is taken beyond what is allowed, and every ticket closes", async () => {
  const act = fc.record({
    what: fc.constantFrom(
      "ask",
      "ask",
      "ask",
      "settle",
      "settle",
      "giveBack",
      "learn",
      "refuse",
      "leave",
      "pass",
      "forget",
    ),
    agent: fc.constantFrom("a", "b", "c"),
    scope: fc.constantFrom("x", "y"),
    tokens: fc.integer({ min: 0, max: 400 }),
    ms: fc.constantFrom(0, 500, 10_000),
    figure: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.constantFrom(-1, 1e15, Number.NaN)),
  });
  const property = fc.asyncProperty(fc.array(act, { maxLength: 80 }), fc.nat(), async (acts, seed) => {
    const random = seededRandom(seed);
    const house = new House({ concurrent: 4, requestsPerMinute: 20, inputTokensPerMinute: 1_000 });
    const open = new Set<Ticket>();
    const leavers: AbortController[] = [];
    const asked: Promise<unknown>[] = [];
    const began = house.clock.monotonic();
    let sent = 0;
    for (const { what, agent, scope, tokens, ms, figure } of acts) {
      const [ticket] = [...open].toSorted(() => random.next() - 0.5);
      if (what === "ask") {
        const leaver = new AbortController();
        leavers.push(leaver);
        const some = { scope, ms, inputTokens: tokens, signal: leaver.signal };
        asked.push(
          house.ask(agent, some).then((taken) => {
            if ("refusedBy" in taken) return;
            open.add(taken);
            sent++;
          }),
        );
      } else if (what === "leave") leavers[Math.floor(random.next() * leavers.length)]?.abort();
      else if (what === "pass") await house.pass(tokens * 10);
      else if (ticket !== undefined) {
        if (what === "settle" || what === "giveBack") open.delete(ticket);
        if (what === "settle")
          house.quota.settle(ticket, random.next() < 0.5 ? null : { ...need, inputTokens: tokens });
        if (what === "giveBack") {
          house.quota.giveBack(ticket);
          sent--;
        }
        if (what === "forget") house.quota.forget(ticket);
        if (what === "refuse") house.quota.learn(ticket, new Headers(), ms);
        const headers = {
          "x-ratelimit-limit": "30",
          "x-ratelimit-remaining": String(figure),
          "x-ratelimit-reset": "3",
        };
        if (what === "learn") house.quota.learn(ticket, new Headers(headers));
      }
      await house.settled();
      const { configured, requests } = house.quota.status("p");
      expect(open.size).toBeLessThanOrEqual(4);
      expect(configured?.concurrent?.remaining ?? 4).toBe(4 - open.size);
      expect(sent).toBeLessThanOrEqual(20 + (house.clock.monotonic() - began) / 3_000);
      if (requests === undefined) continue;
      expect(requests.remaining).toBeGreaterThanOrEqual(0);
      expect(requests.remaining).toBeLessThanOrEqual(requests.limit);
    }
    for (const leaver of leavers) leaver.abort();
    await Promise.all(asked);
    for (const ticket of open) house.quota.settle(ticket, null);
    expect(house.quota.status("p").configured?.concurrent?.remaining ?? 4).toBe(4);
    expect(house.quota.waiting("p")).toBe(0);
    await house.pass(10_000);
    expect(house.clock.waits).toBe(0);
  });
  await fc.assert(property, { seed: 3, numRuns: 60 });
}, 60_000);
