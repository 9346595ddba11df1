import { describe, expect, test } from "bun:test";
import { abilitiesOf, bareName, ceilingOf, listModels, namingFits, priceOf } from "./models.ts";
import { priceFrom, vendors } from "./table.ts";

describe("the price of a model", () => {
  test("is in whole pico-dollars per token, with the rates above its threshold", () => {
    expect(priceOf("anthropic", "claude-sonnet-4-5")).toEqual({
      input: 3_000_000,
      output: 15_000_000,
      cacheRead: 300_000,
      cacheWrite5m: 3_750_000,
      cacheWrite1h: 6_000_000,
      long: {
        threshold: 200_000,
        input: 6_000_000,
        output: 22_500_000,
        cacheRead: 600_000,
        cacheWrite5m: 7_500_000,
        cacheWrite1h: 12_000_000,
      },
      source: "catalogue",
    });
  });

  test.each([
    ["anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"],
    ["anthropic", "claude-sonnet-4.5", "claude-sonnet-4-5"],
    ["anthropic", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"],
    ["anthropic", "claude-haiku-4-5@20251001", "claude-haiku-4-5"],
    ["openai", "gpt-5.1-2025-11-13", "gpt-5.1"],
    ["openai", "openai/gpt-4o", "gpt-4o"],
    ["openrouter", "anthropic/claude-4.5-sonnet-20250929", "anthropic/claude-sonnet-4.5"],
    ["google", "models/gemini-2.5-pro", "gemini-2.5-pro"],
  ])("%s knows %s as %s", (provider, spelling, name) => {
    expect(priceOf(provider, name)).not.toBeNull();
    expect(priceOf(provider, spelling)).toEqual(priceOf(provider, name));
  });

  test.each([
    ["anthropic", "claude-opus-4-5-super-expensive-fast"],
    ["anthropic", "claude-opus-4-5x"],
    ["anthropic", "Claude-opus-4-5"],
    ["anthropic", " claude-opus-4-5"],
    ["anthropic", "claude-opus-4-5-2025"],
    ["anthropic", "openai/claude-opus-4-5"],
    ["anthropic", "claude-fable-5-2"],
    ["openai", "gpt-5.1-mega"],
    ["openai", "gpt-5.1 "],
    ["openai", "ft:gpt-4o-2024-08-06:org::id"],
    ["openrouter", "anthropic/claude-sonnet-4.5:online"],
    ["openrouter", "anthropic/claude-sonnet-4.5:nitro"],
    ["openrouter", "openrouter/auto"],
    ["my-company", "gpt-4o"],
    ["anthropic", "__proto__"],
    ["anthropic", "constructor"],
    ["__proto__", "constructor"],
    ["constructor", "name"],
  ])("is unknown at %s for %s", (provider, name) => {
    expect(priceOf(provider, name)).toBeNull();
  });

  test("is not looked for under a name that no model can have", () => {
    expect(priceOf("anthropic", "claude-".padEnd(100_000, "4.5")) === null).toBe(true);
  });

  test("comes from the overlay where the generated list has none", () => {
    expect(priceOf("anthropic", "claude-haiku-5-5")?.long).toMatchObject({ threshold: 100_000, output: 2_500_000 });
    expect(priceOf("anthropic", "claude-sonnet-5-5-20260928")?.output).toBe(10_000_000);
  });

  test("is zero only for models that a reseller lists as free", () => {
    for (const vendor of vendors) {
      for (const name of listModels(vendor)) {
        const price = priceOf(vendor, name)!;
        const free = price.input === 0 && price.output === 0;
        if (free) expect(`${vendor} ${name}`).toMatch(/^openrouter .+(?::free|:beta)?$/u);
        if (free && vendor !== "openrouter") throw new Error(`${vendor}/${name} is free`);
      }
    }
  });

  test("has whole rates from 0, writes no cheaper than input, and long prompts no cheaper than short ones", () => {
    for (const vendor of vendors) {
      for (const name of listModels(vendor)) {
        const price = priceOf(vendor, name)!;
        for (const rates of [price, ...(price.long === null ? [] : [price.long])]) {
          for (const key of ["input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"] as const) {
            expect(Number.isSafeInteger(rates[key]) && rates[key] >= 0).toBe(true);
            expect(rates[key]).toBeGreaterThanOrEqual(price[key]);
          }
          expect(rates.cacheWrite1h).toBeGreaterThanOrEqual(rates.cacheWrite5m);
          expect(rates.cacheWrite5m).toBeGreaterThanOrEqual(rates.input);
        }
      }
    }
  });
});

describe("the ceiling of a provider", () => {
  test("is at least every listed rate of every model, long prompts included", () => {
    for (const vendor of vendors) {
      const ceiling = ceilingOf(vendor);
      expect(ceiling.source).toBe("ceiling");
      for (const name of listModels(vendor)) {
        const price = priceOf(vendor, name)!;
        for (const rates of [price, ...(price.long === null ? [] : [price.long])]) {
          for (const key of ["input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"] as const) {
            expect(ceiling[key]).toBeGreaterThanOrEqual(rates[key]);
          }
        }
      }
    }
  });

  test("of a provider without a list is the dearest of all vendors, and never free", () => {
    const ceiling = ceilingOf("my-company");
    for (const vendor of vendors) expect(ceiling.output).toBeGreaterThanOrEqual(ceilingOf(vendor).output);
    expect(ceiling.input).toBeGreaterThan(0);
    expect(ceilingOf("constructor")).toEqual(ceiling);
  });
});

describe("a bare name", () => {
  test.each([
    ["claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"],
    ["claude-sonnet-4.5", "anthropic", "claude-sonnet-4-5"],
    ["claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5-20250929"],
    ["gpt-5.1", "openai", "gpt-5.1"],
    ["qwen/qwen3-coder", "openrouter", "qwen/qwen3-coder"],
    ["gemini-2.5-pro", "google", "gemini-2.5-pro"],
  ])("%s is served first by %s as %s", (name, provider, model) => {
    expect(bareName(name)[0]).toEqual({ provider, model });
  });

  test("of a model that nobody lists is served by nobody", () => {
    for (const name of ["claude-fable-5-2", "my-model", "qwen2.5-coder:14b", "", "__proto__"]) {
      expect(bareName(name)).toEqual([]);
    }
  });

  test("of an unlisted model may fit one vendor's naming", () => {
    expect(namingFits("anthropic", "claude-fable-5-2")).toBe(true);
    expect(namingFits("openai", "gpt-7")).toBe(true);
    expect(namingFits("openai", "o5-mini")).toBe(true);
    expect(namingFits("openai", "chatgpt-next")).toBe(true);
    expect(namingFits("openrouter", "vendor/model:free")).toBe(true);
    for (const name of ["gemma", "../gpt-7", "gpt-7/x", "a/b/c", "claude-x/y", "claude-x?y", "oh", ""]) {
      expect(["anthropic", "openai", "openrouter", "ollama"].filter((p) => namingFits(p, name))).toEqual(
        ["gpt-7/x", "claude-x/y"].includes(name) ? ["openrouter"] : [],
      );
    }
  });
});

describe("abilities", () => {
  test("tell context, output limit and whether reasoning is billed unseen", () => {
    expect(abilitiesOf("anthropic", "claude-sonnet-4-5")).toEqual({
      context: 200_000,
      maxOutput: 64_000,
      hiddenReasoning: false,
    });
    expect(abilitiesOf("openai", "gpt-5.1")).toMatchObject({ context: 400_000, hiddenReasoning: true });
    expect(abilitiesOf("openai", "o3")).toMatchObject({ hiddenReasoning: true });
    expect(abilitiesOf("openai", "gpt-4o")).toMatchObject({ maxOutput: 16_384, hiddenReasoning: false });
    expect(abilitiesOf("openrouter", "anthropic/claude-sonnet-4.5")).toMatchObject({ maxOutput: 64_000 });
    expect(abilitiesOf("openrouter", "openai/gpt-5.1")).toMatchObject({ hiddenReasoning: true });
    expect(abilitiesOf("anthropic", "claude-opus-5-5")).toMatchObject({ hiddenReasoning: true, maxOutput: 128_000 });
  });

  test("of an unknown model assume that it thinks unseen", () => {
    expect(abilitiesOf("my-company", "anything").hiddenReasoning).toBe(true);
  });
});

test("a row without a threshold makes a price without long rates", () => {
  expect(priceFrom([1, 2, 0.1, 1.25, 2, 0], "catalogue").long).toBeNull();
});

test("sound and pictures have rates where the list has them, under all names of a model, and nowhere else", () => {
  expect(priceOf("google", "gemini-2.5-flash")?.media).toEqual({ audioInput: 1_000_000 });
  expect(priceOf("google", "models/gemini-2.5-flash")?.media).toEqual({ audioInput: 1_000_000 });
  expect(priceOf("anthropic", "claude-sonnet-4-5")).not.toHaveProperty("media");
  for (const vendor of vendors) {
    for (const name of listModels(vendor)) {
      const rates = Object.values(priceOf(vendor, name)?.media ?? {});
      for (const rate of rates) expect(Number.isSafeInteger(rate) && rate > 0).toBe(true);
    }
  }
});
