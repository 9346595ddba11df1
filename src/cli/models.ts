import { Command } from "commander";
import { abilitiesOf, listModels, priceOf, pricesAsOf } from "../catalogue/index.ts";
import type { Price } from "../request.ts";
import type { Io } from "./io.ts";
import { tableText } from "./table.ts";

const providers = ["anthropic", "openai", "openrouter", "google", "deepseek", "mistral", "x-ai"];

/** `sanctum models`: what the catalogue knows, and at what prices. */
export function modelsCommand(io: Io): Command {
  return new Command("models")
    .description("list the models of the price catalogue")
    .argument("[provider]", providers.join(", "))
    .option("--prices", "show USD per million tokens")
    .option("--json", "print JSON")
    .action((provider: string | undefined, options: { prices?: boolean; json?: boolean }) => {
      const rows = (provider === undefined ? providers.slice(0, 2) : [provider]).flatMap((name) =>
        listModels(name).map((model) => ({
          provider: name,
          model,
          price: priceOf(name, model),
          ...abilitiesOf(name, model),
        })),
      );
      if (rows.length === 0) {
        io.err(`sanctum: nothing is known of "${provider ?? ""}"; known providers: ${providers.join(", ")}\n`);
        process.exitCode = 1;
        return;
      }
      if (options.json === true) {
        io.out(
          `${JSON.stringify(
            rows.map((row) => ({ ...row, price: usdPerMillion(row.price) })),
            null,
            2,
          )}\n`,
        );
        return;
      }
      const head = [
        "model",
        "context",
        ...(options.prices === true ? ["input", "output", "cache read", "cache write"] : []),
      ];
      const lines = rows.map((row) => {
        const usd = usdPerMillion(row.price);
        const prices = options.prices === true ? [usd?.input, usd?.output, usd?.cache_read, usd?.cache_write] : [];
        return [
          `${row.provider}/${row.model}`,
          String(row.context ?? ""),
          ...prices.map((p) => (p === undefined ? "" : String(p))),
        ];
      });
      io.out(tableText([head, ...lines], [1, 2, 3, 4, 5], false));
      if (options.prices === true) io.out(`USD per million tokens, as of ${pricesAsOf.date}\n`);
    });
}

function usdPerMillion(
  price: Price | null,
): { input: number; output: number; cache_read: number; cache_write: number } | null {
  if (price === null) return null;
  const usd = (picos: number): number => picos / 1_000_000;
  return {
    input: usd(price.input),
    output: usd(price.output),
    cache_read: usd(price.cacheRead),
    cache_write: usd(price.cacheWrite5m),
  };
}
