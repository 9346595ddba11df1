import { expect, test } from "bun:test";
import type { ProviderLimits } from "../../request.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryQuota, type QuotaRefusal, type Ticket } from "./quota.ts";

const need = { inputTokens: 10, outputTokens: 10 };

function limits(some: Partial<ProviderLimits>): ReadonlyMap<string, ProviderLimits> {
  const none = {
    requestsPerMinute: undefined,
    inputTokensPerMinute: undefined,
    outputTokensPerMinute: undefined,
    concurrent: undefined,
  };
  return new Map([["ollama", { ...none, ...some }]]);
}

interface House {
  readonly quota: MemoryQuota;
  readonly clock: ManualClock;
  /** Stands in line under a name; what became of it is noted. */
  readonly ask: (name: string, signal?: AbortSignal) => Promise<Ticket | QuotaRefusal>;
  readonly served: string[];
}

function house(some: Partial<ProviderLimits>): House {
  const clock = new ManualClock();
  const quota = new MemoryQuota(clock);
  quota.configure(limits(some));
  const served: string[] = [];
  const ask: House["ask"] = async (name, signal = new AbortController().signal) => {
    const taken = await quota.takeInTurn("ollama", "ollama", need, { signal, ms: 60_000 });
    served.push("refusedBy" in taken ? `${name}: ${taken.refusedBy}` : name);
    return taken;
  };
  return { quota, clock, ask, served };
}

function ticketOf(taken: Ticket | QuotaRefusal): Ticket {
  if ("refusedBy" in taken) throw new Error("refused");
  return taken;
}

test("who waits is served in order, one for each place that comes free, and nobody gets past the line", async () => {
  const { quota, ask, served } = house({ concurrent: 1 });
  let current = ticketOf(await ask("first"));
  const waiting = ["a", "b", "c"].map((name) => ask(name));
  expect(quota.take("ollama", "ollama", need)).toMatchObject({ refusedBy: "concurrent" });
  for (const [index, name] of ["a", "b", "c"].entries()) {
    quota.settle(current, null);
    // The place is handed on in the same step: in between there is none.
    expect(quota.take("ollama", "ollama", need)).toMatchObject({ refusedBy: "concurrent" });
    current = ticketOf(await waiting[index]!);
    expect(served).toEqual(["first", "a", "b", "c"].slice(0, index + 2));
    expect(served.at(-1)).toBe(name);
  }
  quota.giveBack(current);
  expect(quota.take("ollama", "ollama", need)).not.toHaveProperty("refusedBy");
});

test("a ticket that is closed twice frees one place", async () => {
  const { quota, ask, served } = house({ concurrent: 1 });
  const first = ticketOf(await ask("first"));
  const waiting = [ask("a"), ask("b")];
  quota.settle(first, null);
  quota.giveBack(first);
  await waiting[0];
  expect(served).toEqual(["first", "a"]);
  expect(quota.take("ollama", "ollama", need)).toMatchObject({ refusedBy: "concurrent" });
});

test("who leaves is passed over, and the line is never longer than its bound", async () => {
  const { quota, ask, served } = house({ concurrent: 1 });
  const first = ticketOf(await ask("first"));
  const leaver = new AbortController();
  const gone = ask("leaver", leaver.signal);
  const others = Array.from({ length: 31 }, (_, index) => ask(`${index}`));
  expect(await ask("too late")).toMatchObject({ refusedBy: "concurrent" });
  leaver.abort();
  expect(await gone).toMatchObject({ refusedBy: "concurrent" });
  const last = ask("in the free place");
  let current = first;
  for (const one of [...others, last]) {
    quota.settle(current, null);
    current = ticketOf(await one);
  }
  expect(served.at(-1)).toBe("in the free place");
  expect(served).not.toContain("leaver");
});

test("who has left already, and who waits in vain, is refused", async () => {
  const { quota, ask } = house({ concurrent: 1 });
  await ask("first");
  expect(await ask("gone", AbortSignal.abort())).toMatchObject({ refusedBy: "concurrent" });
  const { signal } = new AbortController();
  expect(await quota.takeInTurn("ollama", "ollama", need, { signal, ms: 1 })).toMatchObject({
    refusedBy: "concurrent",
  });
});

test("a configuration with more places serves those who wait; a quota that is used up does not make them wait on", async () => {
  const { quota, ask, served } = house({ concurrent: 1, requestsPerMinute: 2 });
  await ask("first");
  const waiting = [ask("a"), ask("b")];
  quota.configure(limits({ concurrent: 3, requestsPerMinute: 2 }));
  await Promise.all(waiting);
  expect(served).toEqual(["first", "a", "b: requests"]);
});
