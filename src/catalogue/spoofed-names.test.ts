// Row B14 of the threat model: no way of writing a model's name makes it cheaper than it is.

import { describe, expect, test } from "bun:test";
import { localProvider } from "../config/build.ts";
import { Directory } from "../layers/routing/index.ts";
import type { Price, Provider } from "../request.ts";
import { ceilingOf, listModels, priceOf } from "./index.ts";
import { vendors } from "./table.ts";

const rates = ["input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"] as const;

/** The price of a long prompt where it has one: no spelling may take it away. */
function dearestRates(price: Price): readonly number[] {
  return rates.map((key) => Math.max(price[key], price.long?.[key] ?? 0));
}

function isCheaper(price: Price, than: Price): boolean {
  const own = dearestRates(price);
  return dearestRates(than).some((rate, i) => own[i]! < rate);
}

const lookAlikes: Readonly<Record<string, string>> = { a: "а", e: "е", o: "ο", i: "і", c: "с", p: "р", "-": "‐" };

/** What a client may write in a model's place, hoping for a cheaper one. */
const spoofs: readonly (readonly [what: string, write: (name: string) => string])[] = [
  ["as it is", (name) => name],
  ["in capitals", (name) => name.toUpperCase()],
  ["with a capital", (name) => name.slice(0, 1).toUpperCase() + name.slice(1)],
  ["with a look-alike of another script", (name) => name.replace(/[aeoicp-]/, (letter) => lookAlikes[letter]!)],
  ["in full width", (name) => name.replace(/[a-z]/g, (c) => String.fromCodePoint(c.codePointAt(0)! + 0xfee0))],
  ["with a blank before", (name) => ` ${name}`],
  ["with a blank after", (name) => `${name} `],
  ["with a tab", (name) => `${name}\t`],
  ["with a line break", (name) => `${name}\n`],
  ["with a zero-width space", (name) => `${name}\u200b`],
  ["with a NUL", (name) => `${name}\u0000`],
  ["percent-encoded", (name) => name.replace("-", "%2d")],
  ["dots for dashes", (name) => name.replaceAll("-", ".")],
  ["dashes for dots", (name) => name.replaceAll(".", "-")],
  ["underscores for dashes", (name) => name.replaceAll("-", "_")],
  ["dated", (name) => `${name}-20251130`],
  ["dated with dashes", (name) => `${name}-2025-11-30`],
  ["dated twice", (name) => `${name}-20251130-20251130`],
  ["-latest", (name) => `${name}-latest`],
  [":free", (name) => `${name}:free`],
  [":FREE", (name) => `${name}:FREE`],
  [":free:online", (name) => `${name}:free:online`],
  [":free dated", (name) => `${name}:free-20251130`],
  [":beta", (name) => `${name}:beta`],
  [":extended", (name) => `${name}:extended`],
  [":thinking", (name) => `${name}:thinking`],
  [":online", (name) => `${name}:online`],
  [":nitro", (name) => `${name}:nitro`],
  [":floor", (name) => `${name}:floor`],
  [":exacto", (name) => `${name}:exacto`],
  ["@preset", (name) => `${name}@preset/cheap`],
  ["a preset alone", () => "@preset/cheap"],
  ["a fine-tune", (name) => `ft:${name}:org::id`],
  ["of the vendor's own prefix", (name) => `models/${name}`],
  ["of another maker's prefix", (name) => `openai/${name}`],
  ["of a local server's prefix", (name) => `ollama/${name}`],
  ["a tilde", (name) => `~${name}`],
  ["a path", (name) => `./${name}`],
];

/** Spellings under which the list itself has a model of its own price: they are that model, not a disguise. */
function isListed(vendor: string, spelling: string): boolean {
  return listModels(vendor).includes(spelling);
}

describe.each([...vendors])("B14: at %s", (vendor) => {
  const names = listModels(vendor).filter((name) => priceOf(vendor, name)!.output > 0);

  test.each(spoofs)("no paid model is cheaper %s", (_, write) => {
    const cheap: string[] = [];
    for (const name of names) {
      const spelling = write(name);
      if (spelling !== name && isListed(vendor, spelling)) continue;
      for (const asked of [spelling, `${vendor}/${spelling}`]) {
        const price = priceOf(vendor, asked) ?? ceilingOf(vendor);
        if (isCheaper(price, priceOf(vendor, name)!)) cheap.push(`${asked} than ${name}`);
      }
    }
    expect(cheap).toEqual([]);
  });
});

describe("B14: whatever a client writes", () => {
  const paid: Provider[] = vendors.map((name) => ({
    ...localProvider(name, "https://vendor.example/v1"),
    local: false,
    url: "https://vendor.example/v1",
  }));
  const home = localProvider("ollama", "http://127.0.0.1:11434/v1");
  const directory = new Directory({
    providers: new Map([...paid, home].map((provider) => [provider.name, provider])),
    aliases: new Map(),
    localModels: [{ provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 }],
    fallback: undefined,
  });

  test("each candidate that may serve it is priced as the model that it is sent as, and only local ones are free", () => {
    const wrong: string[] = [];
    for (const vendor of vendors) {
      for (const name of listModels(vendor)) {
        for (const [, write] of spoofs) {
          for (const asked of [write(name), `${vendor}/${write(name)}`]) {
            for (const { provider, model, price } of directory.resolve(asked)) {
              if (provider.local) {
                if (price !== null) wrong.push(`${asked}: local, and priced`);
                continue;
              }
              const due = priceOf(provider.name, model) ?? ceilingOf(provider.name);
              if (price === null || isCheaper(price, due)) wrong.push(`${asked}: sent as ${provider.name}/${model}`);
            }
          }
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("nothing but a name that the list has as free is free", () => {
    for (const vendor of vendors) {
      for (const name of listModels(vendor)) {
        for (const [, write] of spoofs) {
          const spelling = write(name);
          const price = priceOf(vendor, spelling);
          if (price === null || price.output > 0) continue;
          const listed = isListed(vendor, spelling) || priceOf(vendor, name)!.output === 0;
          if (!listed) throw new Error(`${vendor} ${spelling} is free`);
        }
      }
    }
  });
});
