// How a fault is put together and shown. Nothing here repeats a value of the file: a value may be a secret in the wrong
// place, and faults are printed, logged and served by `/stats`.

import { findSecrets } from "./secret-scan.ts";
import type { Fault } from "./types.ts";

/** Map keys and list indexes, outermost first. */
export type KeyPath = readonly (string | number)[];

/** What is wrong and what to do, as one string, for libraries that carry only one. */
export function say(problem: string, remedy: string): string {
  return `${problem}; ${remedy}`;
}

/** The reverse of `say`. */
export function unsay(message: string): { problem: string; remedy: string } {
  const at = message.indexOf("; ");
  if (at < 0) return { problem: message, remedy: "see the reference of config.yaml" };
  return { problem: message.slice(0, at), remedy: message.slice(at + 2) };
}

/** `file:line:column key.path: what is wrong; what to do`. */
export function formatFault(fault: Fault): string {
  const place = `${fault.file}:${fault.line}:${fault.column}`;
  return `${fault.keyPath === "" ? place : `${place} ${fault.keyPath}`}: ${say(fault.problem, fault.remedy)}`;
}

/** `agents.windu.tokens[0]`. A key that is itself a secret, or unprintable, is not shown. */
export function formatKeyPath(path: KeyPath): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += `${text === "" ? "" : "."}${showKey(key)}`;
  }
  return text;
}

const longestShownKey = 64;

function showKey(key: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(key) && findSecrets(key).length === 0) return key;
  if (findSecrets(key).length > 0) return "[redacted]";
  return JSON.stringify(key.length > longestShownKey ? `${key.slice(0, longestShownKey)}…` : key);
}

/** The known word that a mistyped one was probably meant to be; undefined where none is near. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 40) return undefined;
  let best: string | undefined;
  let bestDistance = Math.min(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance with swapped neighbours counted as one; gives up at `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length]!;
}
