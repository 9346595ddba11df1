// `sanctum audit verify` and `accept`.

import { Command, InvalidArgumentError } from "commander";
import { systemClock } from "../clock.ts";
import {
  auditFiles,
  printable,
  verifyAudit,
  withoutSeals,
  type KnownLine,
  type SealCheck,
  type VerifyResult,
} from "../layers/audit/index.ts";
import type { AuditCommandParts } from "./audit.ts";
import type { Io } from "./io.ts";
import { Progress } from "./progress.ts";
import { painted, wantsColour } from "./table.ts";

const examples = `
Examples:
  sanctum audit verify                       the configured trail, its rotated files and its seals
  sanctum audit verify --expect 1200:sha256:0c…   it must have this line: a position that was kept elsewhere
  sanctum audit verify old/*.jsonl           files from anywhere, in order, by their chain alone

Exit code 0: whole. 1: something was changed, removed, added or moved; or the gateway has noticed that somebody touched the
trail and nobody has accepted it; or the seals can't be checked.
`;

interface VerifyFlags {
  readonly json?: boolean;
  readonly chainOnly?: boolean;
  readonly expect?: KnownLine;
}

export function auditVerifyCommand(io: Io, parts: AuditCommandParts): Command {
  return new Command("verify")
    .description("check that no line was changed, removed, added or moved; exit code 1 if one was")
    .argument("[files...]", "files in order; without any: the configured trail with its rotated files")
    .option("--chain-only", "do not look at the seals, whose key is in the keychain or the vault")
    .option("--expect <position>", "NUMBER:HASH of a line that the trail must have", parseExpected)
    .option("--json", "print the result as JSON")
    .addHelpText("after", examples)
    .action((files: string[], flags: VerifyFlags) => verify(io, parts, files, flags));
}

export function auditAcceptCommand(io: Io, parts: AuditCommandParts): Command {
  return new Command("accept")
    .description("close the alarms of the trail after looking into them; it is verified from here on")
    .action(async () => {
      const { ok, text } = await parts.accept();
      if (ok) io.out(`${text}\n`);
      else io.err(`sanctum: ${text}\n`);
      if (!ok) process.exitCode = 1;
    });
}

function parseExpected(text: string): KnownLine {
  const match = /^(\d{1,15}):(?:sha256:)?([0-9a-f]{64})$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError("write NUMBER:HASH, as `sanctum audit verify` prints it at the end.");
  return { seq: Number(match[1]), head: `sha256:${match[2]!}`, by: "--expect" };
}

async function verify(io: Io, parts: AuditCommandParts, given: readonly string[], flags: VerifyFlags): Promise<void> {
  const json = flags.json === true;
  let seals: SealCheck;
  let result: VerifyResult;
  try {
    const configured = given.length === 0 ? (await parts.settings()).auditFile : null;
    // Seals and the gateway are asked before the files are read: what is written meanwhile only makes the trail longer.
    seals =
      configured === null || flags.chainOnly === true ? withoutSeals(configured) : await parts.vault.seals(configured);
    const anchor = configured === null ? null : await parts.anchor();
    const known = [...seals.known];
    if (anchor !== null) known.push({ ...anchor, by: "the running gateway" });
    if (flags.expect !== undefined) known.push(flags.expect);
    const files = configured === null ? given : auditFiles(configured);
    const progress = new Progress(io, systemClock, files, json);
    try {
      result = await verifyAudit(files, { start: seals.start, known, onProgress: progress.show });
    } finally {
      progress.end();
    }
  } catch (error) {
    io.err(`the audit trail cannot be read: ${error instanceof Error ? printable(error.message) : "unknown"}\n`);
    process.exitCode = 1;
    return;
  }
  const ok = result.ok && seals.faults.length === 0 && seals.alarms.length === 0 && seals.state !== "unchecked";
  if (!ok) process.exitCode = 1;
  io.out(json ? jsonText(result, seals, ok) : verdictText(result, seals, wantsColour(io)));
}

function jsonText(result: VerifyResult, seals: SealCheck, ok: boolean): string {
  const { state, place, why, faults, alarms, start } = seals;
  const { broken, lines, skipped, files, last } = result;
  const document = {
    ok,
    lines,
    skipped,
    files,
    start,
    last,
    broken,
    seals: { state, key: place, why, faults, alarms },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function verdictText(result: VerifyResult, seals: SealCheck, colour: boolean): string {
  const { broken, lines, skipped, files, last } = result;
  let text = "";
  if (broken === null) {
    text += `${painted("the chain is whole", "green", colour)}: ${lines} lines in ${files} files, head ${last.head}\n`;
  } else {
    const place = `${printable(broken.file)}:${broken.line}`;
    text += `${painted(broken.rule, "red", colour)}: ${place}: ${printable(broken.detail)}\n`;
    text += `${lines} lines before it are sound; the last one is ${last.seq}\n`;
  }
  if (skipped > 0) text += `${skipped} lines up to ${seals.start.seq} were given up before and are not looked at\n`;
  for (const fault of seals.faults) text += `${painted("seal", "red", colour)}: ${printable(fault)}\n`;
  for (const alarm of seals.alarms) {
    text += `${painted("alarm", "red", colour)}: ${printable(alarm.at)}: ${printable(alarm.text)}\n`;
  }
  if (seals.alarms.length > 0) text += "When you know what happened: `sanctum audit accept`\n";
  return text + sealText(seals, colour);
}

function sealText({ state, place, why, known }: SealCheck, colour: boolean): string {
  if (state === "unchecked") {
    return `${painted("not checked against its seals", "yellow", colour)}: ${printable(why ?? "")}\n`;
  }
  const sealed = known.reduce((farthest, { seq }) => Math.max(farthest, seq), 0);
  return place === null || sealed === 0
    ? ""
    : `sealed up to line ${sealed} or later; the key is in the ${placeNames[place]}\n`;
}

const placeNames = { keychain: "keychain", vault: "vault", file: "file state/audit*.key, which is weaker" } as const;
