// A minute of what `npm run soak` does for half an hour. The rate is one that a busy machine keeps up with.

import { expect, setDefaultTimeout, test } from "bun:test";
import { runSoak } from "./soak.ts";

setDefaultTimeout(240_000);

const seconds = 60;
const perSecond = 40;
/** A leak of a kilobyte a request would not pass: the rest is what a young process grows by until its compilers are done. */
const mostGrowthMegabytes = 120;

const mustOccur = [
  "ok",
  "connect_failed",
  "upstream_429",
  "upstream_500",
  "upstream_503",
  "cut_stream",
  "error_event",
  "timeout_first_byte",
  "taken_over",
  "client_gone",
  "skipped_budget",
] as const;

test("a minute of every fault at once: no answer is wrong, and trail, ledger, counters and the providers' bills agree to the micro-dollar", async () => {
  const result = await runSoak({
    seconds,
    perSecond,
    seed: 1,
    warmUpSeconds: seconds / 2,
    reloadEverySeconds: 5,
    sampleEverySeconds: 1,
  });
  const { books, descriptors, megabytes, reloads, ends } = result;
  console.log(JSON.stringify({ ends, attempts: books.attempts, micros: books.micros, megabytes, reloads }));
  expect(result.asked).toBe(seconds * perSecond);
  expect(result.illegal).toEqual([]);
  expect(books.faults).toEqual([]);
  expect(books.lines + books.unread).toBe(result.asked);
  expect(books.micros.ledger).toBe(books.micros.trail);
  expect(books.micros.stats).toBe(books.micros.trail);
  expect(books.micros.exact).toBeGreaterThan(0);
  expect(books.micros.countedCharged).toBeGreaterThanOrEqual(books.micros.countedBilled);
  expect(result.inFlightAfter).toBe(0);
  expect(result.heldUsdAfter).toBe(0);
  expect(reloads.missed).toBe(0);
  expect(reloads.sound).toBeGreaterThan(0);
  expect(reloads.faulty).toBeGreaterThan(0);
  expect([...descriptors.after].sort()).toEqual([...descriptors.before].sort());
  expect(Math.max(...result.samples.map((sample) => sample.megabytes)) - megabytes.before).toBeLessThan(
    mostGrowthMegabytes,
  );
  // All kinds of trouble were met, or the run would prove nothing.
  expect(Object.keys(books.attempts)).toEqual(expect.arrayContaining([...mustOccur]));
});
