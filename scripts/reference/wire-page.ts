import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { notHeld } from "../../test/wire/not-held.ts";
import { sections } from "../../test/wire/sections.ts";
import { code, page, table } from "./page.ts";

const folder = join(import.meta.dir, "../../test/wire");

export interface WireRule {
  readonly number: number;
  readonly sentence: string;
  /** Name of the test file. */
  readonly file: string;
}

/**
 * The rules that have a test, in the order of their numbers. Throws where a call of `rule` does not say its number and
 * sentence as literals.
 */
export function wireRules(): readonly WireRule[] {
  const files = readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
  return files.flatMap((file) => rulesIn(file)).sort((a, b) => a.number - b.number);
}

function rulesIn(file: string): WireRule[] {
  const text = readFileSync(join(folder, file), "utf8");
  const calls = text.match(/^\s*rule\(/gm)?.length ?? 0;
  const found = [...text.matchAll(/^\s*rule\(\s*(\d+),\s*("(?:[^"\\\n]|\\.)*"|'[^'\\\n]*'|`[^`$\\]*`),/gm)];
  if (found.length !== calls) throw new Error(`${file}: a rule without literal number and sentence`);
  return found.map(([, number, literal]) => ({ number: Number(number), sentence: unquoted(literal!), file }));
}

function unquoted(literal: string): string {
  return literal.startsWith('"') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
}

function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1).replace(/\.$/, "");
}

export function wirePage(): string {
  const rules = wireRules();
  const blocks: string[] = [];
  const totals: string[][] = [];
  let first = 1;
  for (const { letter, last, title } of sections) {
    const rows: string[][] = [];
    let held = 0;
    for (let number = first; number <= last; number++) {
      const rule = rules.find((one) => one.number === number);
      const other = notHeld[number];
      if (rule !== undefined) held++;
      if (rule !== undefined) rows.push([String(number), capitalised(rule.sentence), "held"]);
      else if (other !== undefined)
        rows.push([String(number), other.sentence, `${states[other.state]}: ${other.reason}`]);
    }
    totals.push([`${letter}. ${title}`, String(last - first + 1), String(held), String(rows.length - held)]);
    blocks.push(`## ${letter}. ${title}`, table(["Rule", "What is promised", "State"], rows));
    first = last + 1;
  }
  return page("The wire", introduction, table(["Section", "Rules", "Held", "Not held"], totals), ...blocks);
}

const states = { later: "not yet", otherwise: "decided otherwise" } as const;

const introduction = `
What holds between any client and any provider. The gateway speaks Anthropic's Messages, OpenAI's Chat Completions and OpenAI's
Responses on both sides, and translates each into each. *Held* means: the test of that number passes (${code("npm test -- wire")}
prints them all).
`;
