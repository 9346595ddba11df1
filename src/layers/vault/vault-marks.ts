// What is remembered of a vault outside of it, in `state/vault.json`: the newest generation that was seen, so that an older
// copy in its place is noticed, and wrong tries, so that guessing does not get faster by starting anew.
//
//   {"generation":7,"wrong":2,"triedAt":1795…}

import { readFileSync } from "node:fs";
import { replaceFile } from "./replace-file.ts";

export interface VaultMarks {
  readonly generation: number;
  /** Wrong passphrases since the last right one. */
  readonly wrong: number;
  /** Milliseconds since the epoch. */
  readonly triedAt: number;
}

const none: VaultMarks = { generation: 0, wrong: 0, triedAt: 0 };
/** So many wrong tries are taken for typing errors. */
const freeTries = 3;
const longestWaitMs = 60_000;

/** Milliseconds until the next try is taken: a second after the third wrong one, twice as much after each further one. */
export function waitMs({ wrong, triedAt }: VaultMarks, nowMs: number): number {
  if (wrong < freeTries) return 0;
  const wait = Math.min(longestWaitMs, 1_000 * 2 ** (wrong - freeTries));
  // A clock that was set back must not lock anyone out for longer than that.
  return Math.min(wait, Math.max(0, triedAt + wait - nowMs));
}

/** A file that is missing or unreadable marks nothing. */
export function readMarks(file: string): VaultMarks {
  try {
    const { generation, wrong, triedAt } = JSON.parse(readFileSync(file, "utf8")) as Partial<VaultMarks>;
    return { generation: whole(generation), wrong: whole(wrong), triedAt: whole(triedAt) };
  } catch {
    // The vault itself is what counts; without marks it is as safe as its passphrase.
    return none;
  }
}

export async function writeMarks(file: string, nowMs: number, marks: VaultMarks): Promise<void> {
  await replaceFile(file, nowMs, async () => Buffer.from(`${JSON.stringify(marks)}\n`));
}

function whole(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
