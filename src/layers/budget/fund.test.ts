import { describe, expect, test } from "bun:test";
import { ceilingOf, priceOf } from "../../catalogue/index.ts";
import { AttemptError, GatewayError } from "../../errors.ts";
import { NANOS_PER_USD } from "../../money.ts";
import type { Allowance, Finish, Funded, GatewayResponse, Paced } from "../../request.ts";
import type { JsonObject, Usage } from "../../wire/neutral.ts";
import {
  answerEnding,
  failureOf,
  openAt,
  pacedFor,
  type PacedOptions,
  plainPrice,
  temporaryFolder,
  usageOf,
} from "./budget-fixture.ts";
import { fund } from "./fund.ts";
import type { Ledger } from "./ledger.ts";
import { RoomLine } from "./room-line.ts";

/** Nobody waits: who is not covered at once is refused. */
const noLine = new RoomLine({ patienceMs: 0, wait: async () => undefined });

const ok: Finish = { outcome: "ok", bytesOut: 2 };
/** Worst case of the fixture's request: 1,000 prompt tokens at $1 and 100 output tokens at $10 a million. */
const worst = 1_000_000 + 1_000_000;

async function withLedger(use: (ledger: Ledger) => Promise<void>): Promise<void> {
  using folder = temporaryFolder();
  const ledger = openAt(folder.file);
  try {
    await use(ledger);
  } finally {
    await ledger.close();
  }
}

/** Runs one attempt whose inside is `inside`, to the end of its answer. */
async function attempt(
  ledger: Ledger,
  options: PacedOptions,
  inside: (funded: Funded) => Promise<GatewayResponse>,
): Promise<{ paced: Paced; error: unknown }> {
  const paced = pacedFor(options);
  try {
    const layer = fund({ ledger, line: noLine, facts: () => "{}", report: () => undefined });
    const response = await layer(inside)(paced);
    await response.finished;
    return { paced, error: null };
  } catch (error) {
    return { paced, error };
  }
}

async function allowanceFor(ledger: Ledger, options: PacedOptions): Promise<Allowance & { heldNanos: number }> {
  let seen: (Allowance & { heldNanos: number }) | undefined;
  const { error } = await attempt(ledger, options, async (funded) => {
    const { outputTokens, clampTo } = funded.allowance;
    seen = {
      outputTokens,
      clampTo,
      draw: () => true,
      learnPrompt: () => undefined,
      heldNanos: ledger.balances("windu").heldNanos,
    };
    throw new AttemptError("connect_failed");
  });
  if (seen === undefined) throw error;
  return seen;
}

const spent = (ledger: Ledger): unknown => ledger.balances("windu");

describe("an attempt", () => {
  test("is sent only once its worst case is held, and costs what its usage says", () =>
    withLedger(async (ledger) => {
      const { paced } = await attempt(ledger, {}, async ({ attempt: record }) => {
        expect(spent(ledger)).toEqual({ spentNanos: 0, heldNanos: worst });
        record.usage = usageOf({ input: 500, output: 7 });
        record.usageSource = "upstream";
        return answerEnding(Promise.resolve(ok));
      });
      expect(spent(ledger)).toEqual({ spentNanos: 570_000, heldNanos: 0 });
      expect(paced.attempt).toMatchObject({ nanos: 570_000, heldNanos: worst, price: "catalogue" });
    }));

  test("whose output was counted here costs no more of it than was put aside, and the prompt as it was told", () =>
    withLedger(async (ledger) => {
      const { paced } = await attempt(ledger, {}, async ({ attempt: record }) => {
        record.usage = usageOf({ input: 900, output: 5_000 });
        record.usageSource = "counted";
        return answerEnding(Promise.resolve(ok));
      });
      expect(spent(ledger)).toEqual({ spentNanos: 1_900_000, heldNanos: 0 });
      expect(paced.attempt).toMatchObject({ nanos: 1_900_000, note: null });
    }));

  test("is not sent where the caps do not cover it", () =>
    withLedger(async (ledger) => {
      let sent = false;
      const { error } = await attempt(ledger, { dailyUsd: 0.001 }, async () => {
        sent = true;
        return answerEnding(Promise.resolve(ok));
      });
      expect(error).toMatchObject({ outcome: "skipped_budget", billed: "none" });
      expect(sent).toBe(false);
      expect(spent(ledger)).toEqual({ spentNanos: 0, heldNanos: 0 });
    }));

  test("at a free candidate goes ahead over any cap and costs nothing, and tells what the asked model would have cost", () =>
    withLedger(async (ledger) => {
      const asked = pacedFor().candidate;
      const paced = pacedFor({ price: null, dailyUsd: 0, provider: "ollama" });
      const request = { ...paced.request, candidates: [asked, paced.candidate] };
      const response = await fund({ ledger, line: noLine, facts: () => "{}", report: () => undefined })(
        async (funded) => {
          expect([funded.allowance.draw(10_000_000), funded.allowance.clampTo]).toEqual([true, undefined]);
          funded.attempt.usage = usageOf({ input: 1_000, output: 100 });
          return answerEnding(Promise.resolve(ok));
        },
      )({ ...paced, request });
      await response.finished;
      expect(paced.attempt).toMatchObject({ nanos: 0, heldNanos: 0, price: "free" });
      expect(request.record.wouldHaveNanos).toBe(worst);
    }));

  test("that counts tokens is free", () =>
    withLedger(async (ledger) => {
      const { paced } = await attempt(ledger, { operation: "count_tokens", dailyUsd: 0 }, async () =>
        answerEnding(Promise.resolve(ok)),
      );
      expect(paced.attempt).toMatchObject({ nanos: 0, price: "free" });
    }));

  test("for embeddings holds the prompt alone", () =>
    withLedger(async (ledger) => {
      const allowance = await allowanceFor(ledger, { operation: "embeddings" });
      expect(allowance).toMatchObject({ outputTokens: 0, clampTo: undefined, heldNanos: 1_000_000 });
    }));

  test("is refused as a whole while the ledger stands still", () =>
    withLedger(async (ledger) => {
      await ledger.close();
      const { error } = await attempt(ledger, {}, async () => answerEnding(Promise.resolve(ok)));
      expect(error).toBeInstanceOf(GatewayError);
      expect(error).toMatchObject({ code: "BUDGET_LEDGER" });
    }));
});

describe("every way out ends the hold once:", () => {
  const seen = usageOf({ input: 100, output: 1 });
  const ways: [string, (funded: Funded) => Promise<GatewayResponse>, number][] = [
    ["an answer without usage costs the full hold", async () => answerEnding(Promise.resolve(ok)), worst],
    [
      "a refusal of the request itself costs nothing",
      async () => answerEnding(Promise.resolve({ outcome: "client_error", bytesOut: 1 })),
      0,
    ],
    [
      "a client that went away pays for what was counted",
      async ({ attempt: record }) => {
        record.usage = seen;
        record.usageSource = "counted";
        return answerEnding(Promise.resolve({ outcome: "client_gone", bytesOut: 1 }));
      },
      110_000,
    ],
    [
      "a client that went away before anything was counted pays in full",
      async () => answerEnding(Promise.resolve({ outcome: "client_gone", bytesOut: 0 })),
      worst,
    ],
    ["an attempt that was not billed costs nothing", async () => Promise.reject(new AttemptError("upstream_429")), 0],
    [
      "an attempt that may have been billed costs the full hold",
      async () => Promise.reject(new AttemptError("timeout_first_byte", { billed: "unknown" })),
      worst,
    ],
    [
      "an attempt that may have been billed costs what was seen of it",
      async ({ attempt: record }) => {
        record.usage = seen;
        throw new AttemptError("cut_stream", { billed: "unknown" });
      },
      110_000,
    ],
    ["a bug in a layer costs the full hold", async () => Promise.reject(new TypeError("bug")), worst],
    [
      "an answer whose end breaks costs the full hold",
      async () => answerEnding(Promise.reject(new TypeError("bug"))),
      worst,
    ],
  ];
  test.each(ways)("%s", (_, inside, cost) =>
    withLedger(async (ledger) => {
      const { paced } = await attempt(ledger, {}, inside);
      expect(spent(ledger)).toEqual({ spentNanos: cost, heldNanos: 0 });
      expect(paced.attempt.nanos).toBe(cost);
    }),
  );
});

describe("the price that counts", () => {
  async function costOf(options: PacedOptions, report: (record: Paced["attempt"]) => void): Promise<Paced["attempt"]> {
    let record: Paced["attempt"] | undefined;
    await withLedger(async (ledger) => {
      const { paced } = await attempt(ledger, options, async (funded) => {
        funded.attempt.usageSource = "upstream";
        funded.attempt.usage = usageOf({ input: 100, output: 10 });
        report(funded.attempt);
        return answerEnding(Promise.resolve(ok));
      });
      record = paced.attempt;
      expect(ledger.balances("windu").spentNanos).toBe(record.nanos);
    });
    return record!;
  }

  test("is that of a dearer model which answered in its place", async () => {
    const record = await costOf({ provider: "anthropic" }, (attempt) => (attempt.reportedModel = "claude-opus-4-1"));
    expect(record.nanos).toBe(100 * 15_000 + 10 * 75_000);
  });

  test("is that of the model that was sent where a cheaper one says that it answered", async () => {
    const record = await costOf({ provider: "anthropic" }, (attempt) => (attempt.reportedModel = "claude-haiku-5-5"));
    expect(record.nanos).toBe(200_000);
  });

  test("is that of the configuration under all names of its model", async () => {
    const price = { ...plainPrice, source: "config" as const };
    const options = { provider: "anthropic", model: "claude-opus-4-1", price };
    expect((await costOf(options, (a) => (a.reportedModel = "claude-opus-4-1-20250805"))).nanos).toBe(200_000);
  });

  test("is the provider's own figure at OpenRouter, and nowhere else", async () => {
    const report = (attempt: Paced["attempt"]): void => {
      attempt.usage = usageOf({ input: 100, output: 10, reportedUsd: 0.000_05 });
    };
    expect(await costOf({ provider: "openrouter" }, report)).toMatchObject({ nanos: 50_000, price: "reported" });
    expect(await costOf({ provider: "openai" }, report)).toMatchObject({ nanos: 200_000, price: "catalogue" });
  });

  test("is compared with our own figure, which is kept beside the provider's", async () => {
    const report = (attempt: Paced["attempt"]): void => {
      attempt.usage = usageOf({ input: 100, output: 10, reportedUsd: 0.000_3 });
    };
    expect(await costOf({ provider: "openrouter" }, report)).toMatchObject({ nanos: 300_000, listedNanos: 200_000 });
    expect(await costOf({ provider: "openai" }, report)).not.toHaveProperty("listedNanos");
    const price = { ...plainPrice, source: "ceiling" as const };
    expect(await costOf({ provider: "openrouter", price }, report)).not.toHaveProperty("listedNanos");
  });

  test("is never nothing because the provider says so of a model that costs something", async () => {
    const report = (attempt: Paced["attempt"]): void => {
      attempt.usage = usageOf({ input: 100, output: 10, reportedUsd: 0 });
    };
    expect(await costOf({ provider: "openrouter" }, report)).toMatchObject({ nanos: 200_000, price: "catalogue" });
    const zero = { input: 0, output: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 };
    const price = { ...plainPrice, ...zero, long: null };
    expect(await costOf({ provider: "openrouter", price }, report)).toMatchObject({ nanos: 0, price: "reported" });
  });

  test("is never taken from a figure that is no amount", async () => {
    for (const reportedUsd of [-1, Number.NaN]) {
      const report = (a: Paced["attempt"]): void => void (a.usage = usageOf({ output: 10, reportedUsd }));
      expect(await costOf({ provider: "openrouter" }, report)).toMatchObject({ nanos: 100_000, price: "catalogue" });
    }
  });

  test("is dearer in the tier that the answer names, or that was asked for where it names none", async () => {
    const report = (a: Paced["attempt"]): void => void (a.usage = usageOf({ output: 10, tier: "priority" }));
    expect((await costOf({ provider: "openai" }, report)).nanos).toBe(250_000);
    const body = { service_tier: "priority" };
    expect((await costOf({ provider: "openai", body }, () => undefined)).nanos).toBe(500_000);
  });

  test("is held where a switch makes the request dearer", () =>
    withLedger(async (ledger) => {
      const body = { speed: "fast", inference_geo: "us" };
      expect((await allowanceFor(ledger, { provider: "anthropic", body })).heldNanos).toBe((worst * 660) / 100);
    }));
});

describe("models that the vendor may ask instead", () => {
  test("are held with the prompt and the output of each, at the dearest price of all", () =>
    withLedger(async (ledger) => {
      const facts = { alternates: ["claude-opus-4-1"] };
      const body = { cache_control: { type: "ephemeral", ttl: "1h" } };
      const dear = priceOf("anthropic", "claude-opus-4-1")!;
      const input = Math.max(dear.input, dear.cacheRead, dear.cacheWrite5m, dear.cacheWrite1h);
      // Twice 1,000 prompt tokens and 100 output tokens, in pico-dollars each.
      const nanos = (2 * (1_000 * input + 100 * dear.output)) / 1_000;
      expect((await allowanceFor(ledger, { provider: "anthropic", facts, body })).heldNanos).toBe(nanos);
    }));
});

describe("a model that answered in place of the one that was sent, and is in no list", () => {
  async function charged(reportedModel: string, dailyUsd = 1): Promise<Paced["attempt"]> {
    let record: Paced["attempt"] | undefined;
    await withLedger(async (ledger) => {
      const price = priceOf("anthropic", "claude-haiku-4-5")!;
      const options = { provider: "anthropic", model: "claude-haiku-4-5", price, dailyUsd };
      const { paced } = await attempt(ledger, options, async (funded) => {
        funded.attempt.usage = usageOf({ input: 100, output: 10 });
        funded.attempt.usageSource = "upstream";
        funded.attempt.reportedModel = reportedModel;
        return answerEnding(Promise.resolve(ok));
      });
      record = paced.attempt;
    });
    return record!;
  }

  test("costs the dearest price of its vendor, never more than was held for it, and is told", async () => {
    const dear = ceilingOf("anthropic");
    const record = await charged("claude-unheard-of-9");
    expect(record.nanos).toBe(Math.min((100 * dear.input + 10 * dear.output) / 1_000, record.heldNanos));
    expect(record).toMatchObject({ price: "ceiling", note: expect.stringContaining("without a known price") });
  });

  test("is none where the name is a version of the one that was sent", async () => {
    const record = await charged("claude-haiku-4-5-20270101");
    expect(record.nanos).toBe(100 * 1_000 + 10 * 5_000);
    expect(record.note).toBeNull();
  });
});

describe("a switch that nothing here knows a price for", () => {
  test("passes, marks the attempt, and is told to the log once", () =>
    withLedger(async (ledger) => {
      const told: string[] = [];
      const layer = fund({ ledger, line: noLine, facts: () => "{}", report: (line) => told.push(line) });
      const notes: (string | null)[] = [];
      for (const body of [
        { turbo: true, "\u001b[31m": 1 },
        { turbo: 2, stream: false },
        { model: "m", speed: "standard" },
      ]) {
        const paced = pacedFor({ body });
        const response = await layer(async () => answerEnding(Promise.resolve(ok)))(paced);
        await response.finished;
        notes.push(paced.attempt.note);
      }
      expect(notes).toEqual([
        "no price is known here for: turbo, (unreadable)",
        "no price is known here for: turbo",
        null,
      ]);
      expect(told.map((line) => line.slice(0, 60))).toEqual([
        "budget: no price is known here for the switch turbo (test/mo",
        "budget: no price is known here for the switch (unreadable) (",
      ]);
    }));

  test("may be a beta flag of Anthropic's", () =>
    withLedger(async (ledger) => {
      const notes: (string | null)[] = [];
      for (const beta of ["claude-code-20250219, interleaved-thinking-2025-05-14", "turbo-2027-01-01"]) {
        const paced = pacedFor();
        const request = { ...paced.request, headers: new Headers({ "anthropic-beta": beta }) };
        const layer = fund({ ledger, line: noLine, facts: () => "{}", report: () => undefined });
        const response = await layer(async () => answerEnding(Promise.resolve(ok)))({ ...paced, request });
        await response.finished;
        notes.push(paced.attempt.note);
      }
      expect(notes).toEqual([null, "no price is known here for: turbo-2027-01-01"]);
    }));
});

describe("a prompt's cache marks", () => {
  const rates = priceOf("anthropic", "claude-opus-4-1")!;
  const price = { ...rates, long: null };
  const heldWith = async (body: PacedOptions["body"], provider = "anthropic"): Promise<number> => {
    let held = 0;
    await withLedger(async (ledger) => {
      const facts = { maxOutputTokens: 0 };
      held = (await allowanceFor(ledger, { provider, price, facts, ...(body === undefined ? {} : { body }) }))
        .heldNanos;
    });
    return held;
  };
  const block = (ttl?: string): JsonObject => ({
    type: "text",
    text: "x",
    cache_control: ttl === undefined ? { type: "ephemeral" } : { type: "ephemeral", ttl },
  });

  test("decide which write is held: none, five minutes, or as long as any of them or an unknown one says", async () => {
    expect(await heldWith({ messages: [{ role: "user", content: "Hi" }] })).toBe(rates.input);
    expect(await heldWith({ system: [block()] })).toBe(rates.cacheWrite5m);
    expect(await heldWith({ system: [block("5m")] })).toBe(rates.cacheWrite5m);
    expect(await heldWith({ tools: [block("1h")], system: [block()] })).toBe(rates.cacheWrite1h);
    const inside = { role: "user", content: [{ type: "tool_result", content: [block("24h")] }] };
    expect(await heldWith({ messages: [inside] })).toBe(rates.cacheWrite1h);
    expect(await heldWith({ cache_control: "on" })).toBe(rates.cacheWrite1h);
  });

  test("tell nothing of vendors that write to their caches unasked", async () => {
    expect(await heldWith({}, "openai")).toBe(rates.cacheWrite1h);
  });

  test("tell how long writes live whose lifetime the answer does not", () =>
    withLedger(async (ledger) => {
      const write = usageOf({ cacheWrite5m: 1_000, lifetimeUnknown: true });
      for (const [ttl, rate] of [
        ["5m", rates.cacheWrite5m],
        ["1h", rates.cacheWrite1h],
      ] as const) {
        const { paced } = await attempt(
          ledger,
          { provider: "anthropic", price, body: { system: [block(ttl)] } },
          async (funded) => {
            funded.attempt.usage = write;
            return answerEnding(Promise.resolve(ok));
          },
        );
        expect(paced.attempt.nanos).toBe(rate);
      }
    }));
});

describe("what a stream tells of its prompt before it answers", () => {
  const facts = { stream: true, maxOutputTokens: 1_000, inputTokenBound: 50_000 };
  const output = 1_000 * 10_000;

  async function afterTelling(
    options: PacedOptions,
    usage: Partial<Usage>,
    then: (funded: Funded, held: () => number) => void = () => undefined,
  ): Promise<number> {
    let held = 0;
    await withLedger(async (ledger) => {
      await attempt(ledger, { provider: "anthropic", facts, ...options }, async (funded) => {
        expect(ledger.balances("windu").heldNanos).toBe(50_000_000 + output);
        funded.allowance.learnPrompt(usageOf(usage));
        held = ledger.balances("windu").heldNanos;
        then(funded, () => ledger.balances("windu").heldNanos);
        return answerEnding(Promise.resolve(ok));
      });
    });
    return held;
  }

  test("gives back at once what was held beyond it", async () => {
    expect(await afterTelling({}, { input: 12_000 })).toBe(12_000_000 + output);
  });

  test("keeps the output paid for, and more of it is drawn as before", async () => {
    const more = { facts: { ...facts, maxOutputTokens: 4_096 } };
    await withLedger(async (ledger) => {
      await attempt(ledger, { provider: "anthropic", ...more }, async ({ allowance }) => {
        allowance.learnPrompt(usageOf({ input: 1 }));
        expect(ledger.balances("windu").heldNanos).toBe(1_000 + 20_480_000);
        expect(allowance.draw(2_000)).toBe(true);
        expect(ledger.balances("windu").heldNanos).toBe(1_000 + 40_960_000);
        return answerEnding(Promise.resolve(ok));
      });
    });
  });

  test("draws what a dearer speed needs that nobody asked for, and cuts the stream where that is not there", async () => {
    const dear = { input: 1_000, speed: "fast" };
    expect(await afterTelling({}, dear)).toBe(6 * (1_000_000 + output));
    await afterTelling({ dailyUsd: 0.06 }, { input: 50_000, speed: "fast" }, ({ allowance }, held) => {
      expect(allowance.draw(0)).toBe(false);
      expect(held()).toBe(60_000_000);
    });
  });

  test("changes nothing where the prompt may be read again, or where others tell it than the vendor", async () => {
    await withLedger(async (ledger) => {
      for (const options of [
        { provider: "anthropic", facts: { ...facts, serverTools: { web_search: 1 } } },
        { provider: "anthropic", facts: { ...facts, alternates: [""] } },
        { provider: "somewhere", facts },
      ]) {
        await attempt(ledger, { ...options, dailyUsd: 100 }, async ({ allowance }) => {
          const before = ledger.balances("windu").heldNanos;
          allowance.learnPrompt(usageOf({ input: 1 }));
          expect(ledger.balances("windu").heldNanos).toBe(before);
          throw new AttemptError("connect_failed");
        });
      }
    });
  });
});

describe("a prompt whose bytes do not fit into what is left", () => {
  const facts = { maxOutputTokens: 100, inputTokenBound: 100_000 };
  const options = { provider: "anthropic", dailyUsd: 0.05, facts };

  async function counting(
    answer: string | AttemptError,
    more: PacedOptions = {},
  ): Promise<{ asked: number; held: number }> {
    const seen = { asked: 0, held: 0 };
    await withLedger(async (ledger) => {
      await attempt(ledger, { ...options, ...more }, async (funded) => {
        if (funded.request.operation === "count_tokens") {
          seen.asked++;
          if (typeof answer !== "string") throw answer;
          return { status: 200, headers: {}, body: answer, finished: Promise.resolve(ok) };
        }
        seen.held = ledger.balances("windu").heldNanos;
        return answerEnding(Promise.resolve(ok));
      });
    });
    return seen;
  }

  test("is counted by its vendor, once and for free, and held at that count and a margin", async () => {
    const held = (20_000 * 1.05 + 512) * 1_000 + 1_000_000;
    expect(await counting('{"input_tokens":20000}')).toEqual({ asked: 1, held });
  });

  test("is not sent where the count does not fit either, or none comes", async () => {
    for (const answer of [
      '{"input_tokens":90000}',
      '{"input_tokens":-1}',
      "no count",
      new AttemptError("upstream_500"),
    ]) {
      expect(await counting(answer)).toEqual({ asked: 1, held: 0 });
    }
  });

  test("is not counted where no count could help, or a tool of the vendor reads it again, or the vendor is none that counts", async () => {
    expect(await counting('{"input_tokens":1}', { dailyUsd: 0.001 })).toEqual({ asked: 0, held: 0 });
    const tools = { facts: { ...facts, serverTools: { web_search: 1 } } };
    expect(await counting('{"input_tokens":1}', tools)).toEqual({ asked: 0, held: 0 });
    expect(await counting('{"input_tokens":1}', { provider: "somewhere" })).toEqual({ asked: 0, held: 0 });
  });
});

describe("the calls of a provider's own tools", () => {
  test("are held at their fee, as often as the request allows them", () =>
    withLedger(async (ledger) => {
      const plain = await allowanceFor(ledger, {});
      const searching = await allowanceFor(ledger, { facts: { serverTools: { web_search: 8 } } });
      // Ten dollars for a thousand searches (Anthropic, docs "Pricing").
      expect(searching.heldNanos - plain.heldNanos).toBe(8 * 10_000_000);
    }));
});

describe("an allowance", () => {
  test("of a JSON answer is the whole limit, and the request stays as it is", () =>
    withLedger(async (ledger) => {
      const allowance = await allowanceFor(ledger, { facts: { maxOutputTokens: 4_000, choices: 2 } });
      expect(allowance).toMatchObject({ outputTokens: 8_000, clampTo: undefined, heldNanos: 81_000_000 });
    }));

  test("of a JSON answer without a limit gets one", () =>
    withLedger(async (ledger) => {
      const allowance = await allowanceFor(ledger, { dailyUsd: 10, facts: { maxOutputTokens: undefined } });
      expect(allowance).toMatchObject({ outputTokens: 32_000, clampTo: 32_000 });
    }));

  test("of a JSON answer leaves most of the cap to others, but never less than is fair", () =>
    withLedger(async (ledger) => {
      const facts = { maxOutputTokens: 100_000 };
      expect(await allowanceFor(ledger, { dailyUsd: 2, facts })).toMatchObject({ clampTo: 50_000 });
      expect(await allowanceFor(ledger, { dailyUsd: 0.2, facts })).toMatchObject({ clampTo: 8_192 });
      expect(await allowanceFor(ledger, { dailyUsd: 0.021, facts })).toMatchObject({ clampTo: 2_000 });
      expect(await failureOf(allowanceFor(ledger, { dailyUsd: 0.011, facts }))).toMatchObject({
        outcome: "skipped_budget",
      });
    }));

  test("is never clamped below a thinking budget", () =>
    withLedger(async (ledger) => {
      const facts = { maxOutputTokens: 32_000, hasThinking: true, stream: true };
      const body = { thinking: { type: "enabled", budget_tokens: 20_000 } };
      expect(await allowanceFor(ledger, { dailyUsd: 0.5, facts, body })).toMatchObject({ clampTo: 21_024 });
      expect(await failureOf(allowanceFor(ledger, { dailyUsd: 0.2, facts, body }))).toMatchObject({
        outcome: "skipped_budget",
      });
    }));

  test("is full where reasoning is billed that a stream does not show", () =>
    withLedger(async (ledger) => {
      const options = { facts: { stream: true, maxOutputTokens: 5_000 }, candidate: { hiddenReasoning: true } };
      expect(await allowanceFor(ledger, options)).toMatchObject({ outputTokens: 5_000 });
    }));

  test("never exceeds the model's own limit", () =>
    withLedger(async (ledger) => {
      const options = { facts: { maxOutputTokens: 9_000 }, candidate: { maxOutput: 4_000 } };
      expect(await allowanceFor(ledger, options)).toMatchObject({ outputTokens: 4_000, clampTo: 4_000 });
      const stream = { ...options, facts: { ...options.facts, stream: true } };
      expect(await allowanceFor(ledger, stream)).toMatchObject({ clampTo: 4_000 });
    }));

  test("holds no more prompt than the model's window, unless a longer one has a price", () =>
    withLedger(async (ledger) => {
      const facts = { inputTokenBound: 500_000 };
      const candidate = { context: 200_000 };
      expect((await allowanceFor(ledger, { facts, candidate })).heldNanos).toBe(201_000_000);
      const price = { ...plainPrice, long: { ...plainPrice, threshold: 200_000, input: 2_000_000 } };
      expect((await allowanceFor(ledger, { facts, candidate, price, dailyUsd: 5 })).heldNanos).toBe(1_001_000_000);
    }));
});

describe("a stream", () => {
  const facts = { stream: true, maxOutputTokens: 100_000 };

  async function streaming(options: PacedOptions, use: (funded: Funded, ledger: Ledger) => void): Promise<void> {
    await withLedger(async (ledger) => {
      const { error } = await attempt(ledger, options, async (funded) => {
        use(funded, ledger);
        funded.attempt.usage = usageOf({ output: 5_000 });
        return answerEnding(Promise.resolve(ok));
      });
      expect(error).toBeNull();
      expect(ledger.balances("windu")).toEqual({ spentNanos: 50_000_000, heldNanos: 0 });
    });
  }

  test("begins with one slice, so that a large max_tokens does not lock a small cap", () =>
    streaming({ facts, dailyUsd: 0.1 }, ({ allowance }, ledger) => {
      expect(allowance).toMatchObject({ outputTokens: 2_048, clampTo: undefined });
      expect(ledger.balances("windu").heldNanos).toBe(1_000_000 + 20_480_000);
    }));

  test("draws the next slice while half of the last one is left", () =>
    streaming({ facts }, ({ allowance, attempt: record }, ledger) => {
      expect([allowance.draw(1_024), allowance.outputTokens]).toEqual([true, 2_048]);
      expect([allowance.draw(1_025), allowance.outputTokens]).toEqual([true, 4_096]);
      expect([allowance.draw(50_000), allowance.outputTokens]).toEqual([true, 51_200]);
      expect(record.heldNanos).toBe(1_000_000 + 512_000_000);
      expect(ledger.balances("windu").heldNanos).toBe(record.heldNanos);
    }));

  test("is cut when it has used up its cap, and never exceeds it", () =>
    streaming({ facts, dailyUsd: 0.05 }, ({ allowance }, ledger) => {
      let tokens = 0;
      while (allowance.draw(tokens)) {
        const { spentNanos, heldNanos } = ledger.balances("windu");
        expect(spentNanos + heldNanos).toBeLessThanOrEqual(0.05 * NANOS_PER_USD);
        expect(heldNanos).toBeGreaterThanOrEqual(1_000_000 + tokens * 10_000);
        tokens += 100;
      }
      expect(tokens).toBe(5_000);
    }));

  test("is not cut at the limit that the upstream keeps by itself", () =>
    streaming({ facts: { stream: true, maxOutputTokens: 3_000 } }, ({ allowance }) => {
      expect(allowance.draw(70_000)).toBe(true);
      expect(allowance.outputTokens).toBe(3_000);
    }));

  test("is cut where the upstream goes on far beyond the limit", () =>
    streaming({ facts: { stream: true, maxOutputTokens: 3_000 } }, ({ allowance }) => {
      expect(allowance.draw(1_000_000)).toBe(false);
    }));

  test("that cannot afford a thousand tokens is not begun, unless it asks for fewer", () =>
    withLedger(async (ledger) => {
      expect(await failureOf(allowanceFor(ledger, { facts, dailyUsd: 0.011 }))).toMatchObject({
        outcome: "skipped_budget",
      });
      const few = { ...facts, maxOutputTokens: 900 };
      expect(await allowanceFor(ledger, { facts: few, dailyUsd: 0.011 })).toMatchObject({ outputTokens: 900 });
    }));
});
