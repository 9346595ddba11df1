import { expect, setDefaultTimeout, test } from "bun:test";
import { runDepartures } from "./departures.ts";

setDefaultTimeout(240_000);

const departures = 1_000;
const atOnce = 50;
/** A connection that is being closed stands beside the one that takes its place. */
const mostConnections = 3 * atOnce;
const mostGrowthMegabytes = 120;

test("of a thousand clients that hang up at random moments each one is charged, and neither a connection, a hold nor a request stays", async () => {
  const result = await runDepartures({ departures, atOnce, seed: 1 });
  const { books, samples, noticedMs } = result;
  const at = (share: number): string => (noticedMs[Math.floor((noticedMs.length - 1) * share)] ?? NaN).toFixed(0);
  console.log(
    `${books.outcomes["client_gone"]} gone, ${noticedMs.length} calls broken off: after ${at(0.5)} ms (p50), ${at(0.99)} ms (p99)`,
  );
  expect(books.faults).toEqual([]);
  expect(books.lines + books.unread).toBe(departures);
  expect(books.outcomes["client_gone"]).toBeGreaterThan(departures / 2);
  expect(noticedMs.length).toBeGreaterThan(departures / 20);
  expect(books.micros.countedCharged).toBeGreaterThan(books.micros.countedBilled);
  expect(result.heldUsdAfter).toBe(0);
  expect(result.mostConnections).toBeLessThanOrEqual(mostConnections);
  expect(result.sockets.after).toBeLessThanOrEqual(result.sockets.before);
  const megabytes = samples.map((sample) => sample.megabytes);
  expect(Math.max(...megabytes) - megabytes[0]!).toBeLessThan(mostGrowthMegabytes);
});
