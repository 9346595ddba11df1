// When a person was last asked for the key of which provider, in `state/asked.json`, so that a restart does not ask again:
//
//   {"anthropic":1795…}        milliseconds since the epoch

import { readFileSync } from "node:fs";
import { replaceFile } from "./replace-file.ts";

/** Asked for again no sooner than this. */
const AGAIN_MS = 3_600_000;

export class AskedMarks {
  readonly #file: string;
  readonly #now: () => number;
  readonly #askedAt: Map<string, number>;

  /** `now`: wall clock, milliseconds. A file that is missing or unreadable marks nothing. */
  constructor(file: string, now: () => number) {
    this.#file = file;
    this.#now = now;
    this.#askedAt = readMarks(file);
  }

  isDue(provider: string): boolean {
    const askedAt = this.#askedAt.get(provider);
    if (askedAt === undefined) return true;
    const since = this.#now() - askedAt;
    // A mark of the future is of a clock that was set back since: it counts as of now, once.
    if (since < 0) this.#askedAt.set(provider, this.#now());
    return since >= AGAIN_MS;
  }

  /** Rejects where it can't be written; in this process it holds all the same. */
  async mark(provider: string): Promise<void> {
    this.#askedAt.set(provider, this.#now());
    const text = JSON.stringify(Object.fromEntries(this.#askedAt));
    await replaceFile(this.#file, this.#now(), async () => Buffer.from(`${text}\n`));
  }
}

function readMarks(file: string): Map<string, number> {
  try {
    const content = Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>);
    return new Map(content.filter((entry): entry is [string, number] => Number.isSafeInteger(entry[1])));
  } catch {
    // Without it a person may be asked once more, no worse.
    return new Map();
  }
}
