// The check: pure, and complete in one go. Shape first, then what refers to what; both run whatever the other finds.

import * as v from "valibot";

import { readDocument } from "./document.ts";
import type { ConfigDocument } from "./document.ts";
import { nearest, say } from "./fault.ts";
import type { KeyPath } from "./fault.ts";
import { checkReferences } from "./references.ts";
import { unknownKeyMark } from "./schema-parts.ts";
import { configSchema } from "./schema.ts";
import type { ConfigFile } from "./schema.ts";
import { isSecretName } from "./secret-scan.ts";
import type { Fault } from "./types.ts";

export interface CheckOptions {
  /** Tells bare catalogue names from typing errors; without it, names that fit a vendor's naming pass. */
  readonly isKnownModel?: (name: string) => boolean;
}

/** More faults than these help nobody. */
const maxFaults = 100;

/** Reads no file, resolves no name, changes nothing. `file` is for the faults only. Never throws. */
export function checkConfig(
  text: string,
  file: string,
  options: CheckOptions = {},
): { content: ConfigFile } | { faults: Fault[] } {
  const document = readDocument(text, file);
  const faults: Fault[] = [...document.faults];
  if (document.data === undefined) return { faults: inOrder(faults) };
  const result = v.safeParse(configSchema, document.data, { message: say("is not valid", "see the reference") });
  for (const issue of (result.issues ?? []).slice(0, maxFaults)) faults.push(faultOfIssue(document, issue));
  for (const { path, at, message } of checkReferences(document.data, options)) {
    faults.push(document.faultAt(path, at, message));
  }
  return faults.length === 0 && result.success ? { content: result.output } : { faults: inOrder(faults) };
}

function faultOfIssue(document: ConfigDocument, issue: v.BaseIssue<unknown>): Fault {
  const path: KeyPath = (issue.path ?? []).map((item) => (typeof item.key === "number" ? item.key : String(item.key)));
  const at = issue.path?.at(-1)?.origin === "key" ? "key" : "value";
  if (!issue.message.startsWith(unknownKeyMark)) return document.faultAt(path, at, issue.message);
  const known = issue.message.slice(unknownKeyMark.length).split(",");
  const meant = nearest(String(path.at(-1)), known);
  let remedy = meant === undefined ? `the keys here are: ${known.join(", ")}` : `did you mean ${meant}?`;
  if (meant === undefined && isSecretName(String(path.at(-1)))) {
    remedy = "no secret goes in here: store a provider's key with `sanctum keys set PROVIDER`";
  }
  return document.faultAt(path, "key", say("is not a known key", remedy));
}

/** By place; one fault a place and wording. */
function inOrder(faults: Fault[]): Fault[] {
  const sorted = faults.sort((a, b) => a.line - b.line || a.column - b.column);
  const seen = new Set<string>();
  const distinct = sorted.filter((fault) => {
    const identity = `${fault.line}:${fault.column} ${fault.keyPath} ${fault.problem}`;
    return !seen.has(identity) && seen.add(identity);
  });
  return distinct.slice(0, maxFaults);
}
