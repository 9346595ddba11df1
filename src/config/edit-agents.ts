// Changes to the agents in config.yaml that leave the rest of the file as the user wrote it, byte for byte. Each change is
// made twice: on the parsed document, which is always right but prints in its own style, and as a splice of the text. The
// splice is taken where it reads back as the same data, so that a layout which it doesn't foresee costs style, never truth.

import { isDeepStrictEqual } from "node:util";

import { isAlias, isMap, isNode, isPair, isScalar, isSeq, parseDocument } from "yaml";
import type { Document, Pair, YAMLMap } from "yaml";

import { namePattern } from "./name-pattern.ts";
import { formatTokenText, parseTokenText } from "./token-text.ts";

/** The new text, or why there is none. */
export type Edit = { readonly text: string } | { readonly problem: string };

export interface NewAgent {
  readonly name: string;
  /** USD; undefined leaves it to the default of the name. */
  readonly dailyUsd: number | undefined;
  /** `sha256:<64 hex>`. */
  readonly tokenHash: string;
}

/** `text` must have passed the check, here and below. */
export function addAgent(text: string, agent: NewAgent): Edit {
  if (!namePattern.test(agent.name)) return { problem: `the name must match ${namePattern.source}` };
  const value: Record<string, unknown> = {};
  if (agent.dailyUsd !== undefined) value["daily_usd"] = agent.dailyUsd;
  value["tokens"] = [agent.tokenHash];
  const cap = agent.dailyUsd === undefined ? "" : `daily_usd: ${formatUsd(agent.dailyUsd)}, `;
  const line = `${agent.name}: { ${cap}tokens: ${flowList([agent.tokenHash])} }`;
  return edit(text, {
    change: (document) => {
      if (document.hasIn(["agents", agent.name])) return `there is an agent ${agent.name} already`;
      if (!isMap(document.get("agents", true))) document.set("agents", document.createNode({}));
      document.setIn(["agents", agent.name], document.createNode(value, { flow: true }));
      return null;
    },
    splice: (document) => insertAgent(text, document, line),
  });
}

/** What becomes of the newest old token when a new one comes; of the older ones none stays. */
export type Overlap =
  | { readonly keep: "none" }
  | { readonly keep: "until next rotation" }
  /** Wall clock, milliseconds. An end that the token had before is never put off. */
  | { readonly keep: "until"; readonly untilMs: number };

/** The new token joins the list; with an overlap the newest old one stays beside it, so that clients can change over. */
export function rotateAgent(text: string, name: string, tokenHash: string, overlap: Overlap): Edit {
  let hashes: string[] = [];
  return edit(text, {
    change: (document) => {
      if (!document.hasIn(["agents", name])) return `there is no agent ${name} in the file`;
      const old: unknown = document.getIn(["agents", name, "tokens"]);
      const newest: unknown = isSeq(old) ? old.toJSON().at(-1) : undefined;
      hashes = typeof newest === "string" ? [...kept(newest, overlap), tokenHash] : [tokenHash];
      if (!isMap(document.getIn(["agents", name], true))) document.setIn(["agents", name], document.createNode({}));
      document.setIn(["agents", name, "tokens"], document.createNode(hashes, { flow: true }));
      return null;
    },
    splice: (document) => replaceTokens(text, document, name, hashes),
  });
}

function kept(newest: string, overlap: Overlap): string[] {
  if (overlap.keep === "none") return [];
  if (overlap.keep === "until next rotation") return [newest];
  const token = parseTokenText(newest);
  if (token === undefined) return [];
  return [formatTokenText({ ...token, untilMs: Math.min(token.untilMs ?? Infinity, overlap.untilMs) })];
}

export function removeAgent(text: string, name: string): Edit {
  return edit(text, {
    change: (document) => (document.deleteIn(["agents", name]) ? null : `there is no agent ${name} in the file`),
    splice: (document) => cutAgent(text, document, name),
  });
}

interface Change {
  /** Changes the document; gives the reason where that can't be done. */
  readonly change: (document: Document.Parsed) => string | null;
  /** The text with the same change, made after `change`; null where its layout is not foreseen. Gets the unchanged document. */
  readonly splice: (document: Document.Parsed) => string | null;
}

function edit(text: string, { change, splice }: Change): Edit {
  const document = parse(text);
  const agents: unknown = document.get("agents", true);
  if (isAlias(agents)) return { problem: "agents is written as an alias: edit the file by hand" };
  const problem = change(document);
  if (problem !== null) return { problem };
  try {
    const wanted = dataOf(document);
    if (isJson(text)) return { text: `${JSON.stringify(wanted, null, 2)}\n` };
    const spliced = splice(parse(text));
    if (spliced !== null && readsAs(spliced, wanted)) return { text: spliced };
    return { text: document.toString({ lineWidth: 0 }) };
  } catch {
    // An anchor was cut off from its aliases: the document can no longer be written.
    return { problem: "other parts of the file refer to this one: edit the file by hand" };
  }
}

function parse(text: string): Document.Parsed {
  return parseDocument(text, { version: "1.2", schema: "core", stringKeys: true, prettyErrors: false });
}

function dataOf(document: Document.Parsed): unknown {
  const data: unknown = document.toJS({ maxAliasCount: 100 });
  if (typeof data !== "object" || data === null) return {};
  // `agents:` with nothing below it is the empty map.
  return "agents" in data && data.agents === null ? { ...data, agents: {} } : data;
}

function readsAs(text: string, wanted: unknown): boolean {
  const document = parse(text);
  return document.errors.length === 0 && isDeepStrictEqual(dataOf(document), wanted);
}

function isJson(text: string): boolean {
  if (!text.trimStart().startsWith("{")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    // YAML that begins with a brace.
    return false;
  }
}

/** With cents, where that is exact. */
function formatUsd(usd: number): string {
  const cents = usd.toFixed(2);
  return Number(cents) === usd ? cents : String(usd);
}

function flowList(hashes: readonly string[]): string {
  return `[${hashes.map((hash) => JSON.stringify(hash)).join(", ")}]`;
}

// ------------------------------------------------------------------------------------------------------ splices

function insertAgent(text: string, document: Document.Parsed, line: string): string | null {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const pair = isMap(document.contents) ? pairOf(document.contents, "agents") : undefined;
  if (pair === undefined) {
    const gap = text === "" || /(^|\n)\r?\n$/.test(text) ? "" : text.endsWith("\n") ? newline : newline + newline;
    return `${text}${gap}agents:${newline}  ${line}${newline}`;
  }
  if (isMap(pair.value) && pair.value.flow !== true && pair.value.items.length > 0) {
    const indent = indentAt(text, startOf(pair.value.items[0]!.key));
    return indent === null ? null : insertLine(text, endOfPair(pair.value.items.at(-1)!), indent + line, newline);
  }
  if (isScalar(pair.value) && pair.value.value === null) {
    const indent = indentAt(text, startOf(pair.key));
    return indent === null ? null : insertLine(text, endOf(pair.key), `${indent}  ${line}`, newline);
  }
  return null;
}

/** After the line in which `offset` is. */
function insertLine(text: string, offset: number, line: string, newline: string): string {
  const end = lineEnd(text, offset);
  const head = text.slice(0, end);
  return `${head}${head.endsWith("\n") ? "" : newline}${line}${newline}${text.slice(end)}`;
}

function replaceTokens(
  text: string,
  document: Document.Parsed,
  name: string,
  hashes: readonly string[],
): string | null {
  const pair = agentPair(document, name);
  if (pair === undefined) return null;
  const agent = pair.value;
  const list = flowList(hashes);
  if (!isMap(agent)) {
    const colon = text.indexOf(":", endOf(pair.key));
    return isScalar(agent) && agent.value === null && colon >= 0
      ? `${text.slice(0, colon + 1)} { tokens: ${list} }${text.slice(colon + 1)}`
      : null;
  }
  const tokens = pairOf(agent, "tokens")?.value;
  if (isSeq(tokens)) {
    const indent = tokens.flow === true ? "" : indentAt(text, startOf(tokens));
    if (indent === null) return null;
    const written = tokens.flow === true ? list : hashes.map((hash) => `- ${JSON.stringify(hash)}`).join(`\n${indent}`);
    const end = tokens.flow === true ? endOf(tokens) : lastOffset(tokens);
    return text.slice(0, startOf(tokens)) + written + text.slice(end);
  }
  if (tokens !== undefined) return null;
  if (agent.items.length === 0) return `${text.slice(0, startOf(agent))}{ tokens: ${list} }${text.slice(endOf(agent))}`;
  if (agent.flow === true) {
    const end = endOfPair(agent.items.at(-1)!);
    return `${text.slice(0, end)}, tokens: ${list}${text.slice(end)}`;
  }
  const first = startOf(agent.items[0]!.key);
  const indent = indentAt(text, first);
  return indent === null ? null : `${text.slice(0, first)}tokens: ${list}\n${indent}${text.slice(first)}`;
}

function cutAgent(text: string, document: Document.Parsed, name: string): string | null {
  const pair = agentPair(document, name);
  if (pair === undefined) return null;
  const start = startOf(pair.key);
  const indent = indentAt(text, start);
  if (indent === null) return null;
  return text.slice(0, start - indent.length) + text.slice(lineEnd(text, endOfPair(pair)));
}

function agentPair(document: Document.Parsed, name: string): Pair | undefined {
  const agents: unknown = document.get("agents", true);
  return isMap(agents) ? pairOf(agents, name) : undefined;
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find((item) => isScalar(item.key) && item.key.value === key);
}

/** The blanks before `offset` on its line; null where something else is there. */
function indentAt(text: string, offset: number): string | null {
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return /^ *$/.test(before) ? before : null;
}

/** Behind the line end at or after `offset`. */
function lineEnd(text: string, offset: number): number {
  if (offset > 0 && text[offset - 1] === "\n") return offset;
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end + 1;
}

function startOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

function endOf(node: unknown): number {
  return isNode(node) ? (node.range?.[1] ?? 0) : 0;
}

function endOfPair(pair: Pair): number {
  const empty = pair.value === null || (isScalar(pair.value) && pair.value.value === null);
  return empty ? endOf(pair.key) : lastOffset(pair.value);
}

/** Where the last thing in `node` ends: unlike the node's own range without the comments behind it. */
function lastOffset(node: unknown): number {
  if ((isMap(node) || isSeq(node)) && node.flow !== true && node.items.length > 0) {
    const last: unknown = node.items.at(-1);
    return isPair(last) ? endOfPair(last) : lastOffset(last);
  }
  return endOf(node);
}
