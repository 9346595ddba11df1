// `sanctum audit show`: one request with all that is known of it, its prompt and its answer where they are kept.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import {
  ContentDamaged,
  contentFolder,
  findContents,
  linesBackwards,
  parseTrailEntry,
  printable,
  type KeptContents,
  type Part,
} from "../layers/audit/index.ts";
import type { AuditCommandParts } from "./audit.ts";
import type { Io } from "./io.ts";
import { exitFailed, exitUsage, Refusal } from "./refusal.ts";

const examples = `
Examples:
  sanctum audit show req_01KASC2T48TGVJR0Y4YQZ5N3M7            the line, and prompt and answer where they are kept
  sanctum audit show req_01KASC2T48TGVJR0Y4YQZ5N3M7 --answer   the answer alone, byte for byte
  sanctum audit show req_01KASC2T48TGVJR0Y4YQZ5N3M7 --json | jq .attempts

An answer's id is in its header x-sanctum-request-id.
`;

interface ShowFlags {
  readonly json?: boolean;
  readonly request?: boolean;
  readonly answer?: boolean;
  readonly identity?: string;
}

export function auditShowCommand(io: Io, parts: AuditCommandParts): Command {
  return new Command("show")
    .description("one request: its line, and its prompt and answer where `audit.content` is full")
    .argument("<id>")
    .option("--request", "print the prompt alone")
    .option("--answer", "print the answer alone")
    .option("--identity <file>", "the age identity, where the files are sealed for a recipient")
    .option("--json", "the line as it is in the file")
    .addHelpText("after", examples)
    .action(async (id: string, flags: ShowFlags) => {
      try {
        await show(io, parts, id, flags);
      } catch (error) {
        io.err(`sanctum: ${messageOf(error)}\n`);
        process.exitCode = error instanceof Refusal ? error.exitCode : exitFailed;
      }
    });
}

async function show(io: Io, parts: AuditCommandParts, id: string, flags: ShowFlags): Promise<void> {
  if (flags.request === true && flags.answer === true) throw new Refusal(exitUsage, "--request or --answer, not both");
  const { auditFile } = await parts.settings();
  const line = findLine(auditFile, id);
  if (line === null) throw new Refusal(exitFailed, `no line of the trail has the id ${printable(id)}`);
  if (flags.json === true) {
    io.out(`${line}\n`);
    return;
  }
  const only = flags.request === true ? "request" : flags.answer === true ? "answer" : null;
  const fields = JSON.parse(line) as Record<string, unknown>;
  if (only === null) io.out(`${JSON.stringify(fields, null, 2)}\n`);
  const content = contentOf(fields["content"]);
  if (content === null || content.kept === undefined) {
    if (only !== null) throw new Refusal(exitFailed, "of this request no prompt and no answer was kept");
    return;
  }
  if (content.kept === null)
    throw new Refusal(exitFailed, "its prompt and answer could not be kept: the disk was at fault");
  const path = join(contentFolder(auditFile), content.kept.file);
  if (!existsSync(path)) {
    if (only === null) io.err("prompt and answer have expired; the line keeps their hashes\n");
    else throw new Refusal(exitFailed, "prompt and answer have expired; the line keeps their hashes");
    return;
  }
  const keys = { house: () => houseKey(io, parts, auditFile), identity: identityIn(flags.identity) };
  await using contents = await findContents(path, content.kept, id, keys);
  await print(io, contents, content, only);
}

interface LineContent {
  readonly request: string | null;
  readonly answer: string | null;
  readonly kept: { readonly file: string; readonly from: number; readonly to: number } | null | undefined;
}

/** In the order in which they were written. A part is held against its hash when it is over. */
async function print(io: Io, contents: KeptContents, hashes: LineContent, only: Part | null): Promise<void> {
  const sums = { request: createHash("sha256"), answer: createHash("sha256") };
  const decoders = { request: new TextDecoder(), answer: new TextDecoder() };
  let part: Part | null = null;
  for await (const piece of contents.pieces()) {
    sums[piece.part].update(piece.data);
    if (only !== null && piece.part !== only) continue;
    if (only === null && part !== piece.part) io.out(`${part === null ? "" : "\n"}\n--- ${piece.part} ---\n`);
    part = piece.part;
    const text = decoders[part].decode(piece.data, { stream: true });
    // Asked for alone it may go into a file; on a terminal nothing that is in it may act.
    io.out(only === null || io.isTty ? harmless(text) : text);
  }
  if (only === null && part !== null) io.out("\n");
  for (const name of ["request", "answer"] as const) {
    const wanted = hashes[name];
    if (wanted === null || `sha256:${sums[name].digest("hex")}` === wanted) continue;
    throw new ContentDamaged(`the ${name} is not what the line has the hash of`);
  }
}

function harmless(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

function findLine(trail: string, id: string): string | null {
  // A search of the text is a tenth of the cost of reading each line.
  const quoted = `"id":${JSON.stringify(id)}`;
  for (const line of linesBackwards(trail)) {
    if (line.includes(quoted) && parseTrailEntry(line)?.id === id) return line;
  }
  return null;
}

async function houseKey(io: Io, parts: AuditCommandParts, trail: string) {
  const loaded = await parts.vault.contentKey(trail);
  if (loaded.state === "found") return loaded.key;
  if (loaded.state === "locked") io.err(`sanctum: ${loaded.why}\n`);
  return null;
}

function identityIn(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    const line = readFileSync(file, "utf8")
      .split("\n")
      .find((text) => text.trim().startsWith("AGE-SECRET-KEY-1"));
    if (line !== undefined) return line.trim();
  } catch {
    throw new Refusal(exitUsage, `--identity: ${printable(file)} can't be read`);
  }
  throw new Refusal(exitUsage, `--identity: ${printable(file)} holds no line AGE-SECRET-KEY-1…`);
}

function contentOf(value: unknown): LineContent | null {
  if (typeof value !== "object" || value === null) return null;
  const { request, answer, kept } = value as Record<string, unknown>;
  const hash = (text: unknown): string | null => (typeof text === "string" ? text : null);
  return { request: hash(request), answer: hash(answer), kept: placeOf(kept) };
}

function placeOf(value: unknown): LineContent["kept"] {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null) return null;
  const { file, from, to } = value as Record<string, unknown>;
  // A line may have been edited: no path of somebody else's choice is opened.
  if (typeof file !== "string" || !/^[\w-]+\.sealed$/.test(file)) return null;
  return typeof from === "number" && typeof to === "number" ? { file, from, to } : null;
}

function messageOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof ContentDamaged) return `prompt and answer can't be shown: ${error.message}`;
  return error instanceof Error ? printable(error.message) : "unknown";
}
