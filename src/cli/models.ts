import { Command } from "commander";
import {
  abilitiesOf,
  bareName,
  ceilingOf,
  listModels,
  listedVendors,
  namingFits,
  priceOf,
  priceSourceOf,
  pricesAsOf,
} from "../catalogue/index.ts";
import { printable } from "../layers/audit/index.ts";
import { listedSurcharges, listedToolFees } from "../layers/budget/index.ts";
import { compileGlob } from "../layers/routing/glob.ts";
import type { Price } from "../request.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";
import { tableText, wantsColour, type Cell } from "./table.ts";

/** A model under one name, at the price that would count. */
interface Row {
  readonly provider: string;
  readonly model: string;
  /** The name in the configuration; null: it has none there. */
  readonly alias: string | null;
  /** Null: local, and free. */
  readonly price: Price | null;
  readonly source: { readonly source: string; readonly date: string } | null;
  readonly context: number | undefined;
  readonly maxOutput: number | undefined;
}

const examples = `
Examples:
  sanctum models                        Anthropic, OpenAI, and the names of your configuration
  sanctum models google --prices        one vendor's, with prices
  sanctum models 'claude-*' --prices    by name, at every vendor
  sanctum models gpt-9 --prices         what a model that nobody lists would be charged at: the ceiling
`;

/** `sanctum models`: what the catalogue and the configuration know, and at what prices. */
export function modelsCommand(io: Io, settings: () => Promise<Settings>): Command {
  return new Command("models")
    .description("list the models of the price catalogue and of the configuration")
    .argument("[name]", `a vendor (${listedVendors().join(", ")}), or a model's name; * stands for any characters`)
    .option("--prices", "show USD per million tokens, switches, fees, and where the prices come from")
    .option("--json", "print JSON")
    .addHelpText("after", examples)
    .action(async (name: string | undefined, options: { prices?: boolean; json?: boolean }) => {
      const rows = rowsFor(name, await settings());
      if (rows.length === 0) {
        io.err(
          `sanctum: nothing is known of "${printable(name ?? "")}"; known vendors: ${listedVendors().join(", ")}. ` +
            "A name may have * for any characters.\n",
        );
        process.exitCode = 1;
        return;
      }
      if (options.json === true) io.out(`${JSON.stringify(rows.map(rowJson), null, 2)}\n`);
      else io.out(options.prices === true ? pricesText(rows, wantsColour(io)) : namesText(rows));
    });
}

function rowsFor(name: string | undefined, { config }: Settings): Row[] {
  const aliases = [...(config?.models.values() ?? [])].map((entry): Row => {
    const local = config?.providers.get(entry.provider)?.local === true;
    return {
      ...listedRow(entry.provider, entry.model, local ? null : (entry.price ?? undefined)),
      alias: entry.name,
      ...(entry.context !== undefined && { context: entry.context }),
      ...(entry.maxOutput !== undefined && { maxOutput: entry.maxOutput }),
    };
  });
  const vendors = listedVendors();
  if (name === undefined) return [...aliases, ...["anthropic", "openai"].flatMap(vendorRows)];
  if (vendors.includes(name)) return [...aliases.filter(({ provider }) => provider === name), ...vendorRows(name)];
  const fits = compileGlob(name);
  const named = [...aliases, ...vendors.flatMap(vendorRows)].filter(
    (row) => (row.alias !== null && fits(row.alias)) || fits(row.model) || fits(`${row.provider}/${row.model}`),
  );
  return named.length > 0 ? named : asAskedFor(name);
}

function vendorRows(vendor: string): Row[] {
  return listModels(vendor).map((model) => listedRow(vendor, model));
}

/** A name as a client would ask for it: another spelling, or a model that is asked for at the ceiling. */
function asAskedFor(name: string): Row[] {
  const slash = name.indexOf("/");
  const vendor = name.slice(0, slash);
  if (listedVendors().includes(vendor)) return [listedRow(vendor, name.slice(slash + 1))];
  const spelled = bareName(name).map(({ provider, model }) => listedRow(provider, model));
  if (spelled.length > 0) return spelled;
  return listedVendors()
    .filter((each) => namingFits(each, name))
    .map((each) => listedRow(each, name));
}

/** At the price that would count: the given one, the list's, or the ceiling; null for a local model. */
function listedRow(provider: string, model: string, given?: Price | null): Row {
  const { context, maxOutput } = abilitiesOf(provider, model);
  const price = given === undefined ? (priceOf(provider, model) ?? ceilingOf(provider)) : given;
  const source = price?.source === "catalogue" ? priceSourceOf(provider, model) : null;
  return { provider, model, alias: null, price, source, context, maxOutput };
}

function namesText(rows: readonly Row[]): string {
  const lines = rows.map((row) => [nameOf(row), tokens(row.context), tokens(row.maxOutput)]);
  return tableText([["model", "context", "max output"], ...lines], [1, 2], false);
}

function pricesText(rows: readonly Row[], colour: boolean): string {
  const head = ["model", "input", "output", "cache read", "write 5m", "write 1h", "price"];
  const table: Cell[][] = [head.map((text) => ({ text, colour: "dim" }))];
  for (const row of rows) {
    const { price } = row;
    if (price === null) {
      table.push([nameOf(row), "0", "0", "0", "0", "0", "free"]);
      continue;
    }
    table.push([nameOf(row), ...rateCells(price), sourceCell(row, price)]);
    if (price.long !== null) table.push([`  over ${tokens(price.long.threshold)} tokens`, ...rateCells(price.long)]);
    const media = mediaText(price.media);
    if (media !== "") table.push([{ text: `  ${media}`, colour: "dim" }]);
  }
  return `${tableText(table, [1, 2, 3, 4, 5], colour)}\n${footText(rows)}`;
}

function rateCells(rates: Pick<Price, "input" | "output" | "cacheRead" | "cacheWrite5m" | "cacheWrite1h">): string[] {
  return [rates.input, rates.output, rates.cacheRead, rates.cacheWrite5m, rates.cacheWrite1h].map((picos) =>
    String(perMillion(picos)),
  );
}

function sourceCell({ source }: Row, price: Price): Cell {
  if (price.source === "ceiling") return { text: "ceiling: not in the list", colour: "yellow" };
  return price.source === "config" ? "config" : `catalogue ${source?.date ?? ""}`.trim();
}

function mediaText(media: Price["media"]): string {
  if (media === undefined) return "";
  const told = [
    ["sound in", media.audioInput],
    ["sound out", media.audioOutput],
    ["pictures in", media.imageInput],
    ["pictures out", media.imageOutput],
  ] as const;
  return told.flatMap(([what, picos]) => (picos === undefined ? [] : `${what} ${perMillion(picos)}`)).join(", ");
}

function footText(rows: readonly Row[]): string {
  const providers = [...new Set(rows.map(({ provider }) => provider))];
  const switches = providers.flatMap((provider) => {
    const told = listedSurcharges(provider);
    return told.length === 0 ? [] : `${provider}: ${told.join(", ")}\n`;
  });
  const fees = Object.entries(listedToolFees())
    .filter(([, usd]) => usd > 0)
    .map(([tool, usd]) => `${tool === "*" ? "web search and any other" : tool} $${usd}`);
  const sources = new Set(rows.flatMap(({ source }) => (source === null ? [] : `${source.source}, ${source.date}`)));
  return (
    "USD per million tokens.\n" +
    (switches.length === 0
      ? ""
      : `Switches that a request or an answer may name, on all tokens:\n${indented(switches)}`) +
    `Fees per call of a provider's own tools: ${fees.join(", ")}.\n` +
    (sources.size === 0 ? "" : `Sources of \`catalogue\`:\n${indented([...sources].map((text) => `${text}\n`))}`) +
    "`config` is the `price` in your configuration; a model that nobody lists costs the dearest rate of its provider.\n"
  );
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join("");
}

function rowJson(row: Row): object {
  const { price, source } = row;
  const rates = (from: Omit<NonNullable<Price["long"]>, "threshold">): object => ({
    input: perMillion(from.input),
    output: perMillion(from.output),
    cache_read: perMillion(from.cacheRead),
    cache_write: perMillion(from.cacheWrite5m),
    cache_write_1h: perMillion(from.cacheWrite1h),
  });
  return {
    provider: row.provider,
    model: row.model,
    alias: row.alias,
    context: row.context ?? null,
    max_output: row.maxOutput ?? null,
    price: price === null ? null : rates(price),
    long_prompts: price === null || price.long === null ? null : { over: price.long.threshold, ...rates(price.long) },
    media: price?.media === undefined ? null : mediaJson(price.media),
    price_from: price === null ? "free" : price.source,
    source: source?.source ?? null,
    date: source?.date ?? (price?.source === "ceiling" ? pricesAsOf.date : null),
    switches: listedSurcharges(row.provider),
    tool_fees_usd: listedToolFees(),
  };
}

function mediaJson(media: NonNullable<Price["media"]>): object {
  return Object.fromEntries(
    Object.entries(media).map(([kind, picos]) => [
      kind.replace(/[A-Z]/, (c) => `_${c.toLowerCase()}`),
      perMillion(picos),
    ]),
  );
}

function nameOf({ provider, model, alias }: Row): string {
  const name = printable(`${provider}/${model}`);
  return alias === null ? name : `${printable(alias)} (${name})`;
}

function tokens(count: number | undefined): string {
  return count === undefined ? "" : count.toLocaleString("en-US");
}

function perMillion(picos: number): number {
  return picos / 1_000_000;
}
