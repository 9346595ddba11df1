// The power goes, at any moment: a real run of the gateway under load is recorded call by call, and the disk is put into
// a state that it may be in after a cut (disk-model.ts); then the gateway starts on it. `npm test` cuts 5 times,
// `npm run test:crash` (POWER_CUTS) 50 times; POWER_SEED makes other cuts.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { baseConfig, merge, smallBody } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { createSeededRandom, type SeededRandom } from "../fuzz/seeded-random.ts";
import { eventually, faultsOfChain, startGateway, tokenOf, type Gateway } from "../harness.ts";
import { DiskModel } from "./disk-model.ts";
import { needProgram } from "../debian-package.ts";
import { readTrace, straceOptions, type TraceEvent } from "./disk-trace.ts";

const cuts = Number(process.env["POWER_CUTS"] ?? 5);
const seed = Number(process.env["POWER_SEED"] ?? 1);
const workers = 3;
/**
 * The load goes on until the ledger has moved its log into its main file and written the log from its beginning again, which
 * takes some hundred requests, and for so many more of each worker.
 */
const requestsAfterRestart = 30;
const mostRequestsOfEach = 3_000;
const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };

const folder = mkdtempSync(join(tmpdir(), "sanctum-power-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configFor(cloud: string, local: string): Record<string, unknown> {
  const agents = { windu: { daily_usd: 100, tokens: [tokenOf("windu").hash] } };
  return {
    ...merge(baseConfig(cloud, local), { agents, models: { asked: { provider: "anthropic", model: "sent", price } } }),
    fallback: [],
  };
}

/** Words that are found in the bytes that went to the cloud, and nowhere else. */
const markerOf = (worker: number, turn: number): string => `marker-${worker}-${turn}-end`;

interface Run {
  readonly events: readonly TraceEvent[];
  readonly home: string;
  /** Request ids by marker. */
  readonly ids: ReadonlyMap<string, string>;
}

/** A whole life of a gateway: its start, a load, and its stop. */
async function record(config: Record<string, unknown>): Promise<Run> {
  const output = join(folder, "trace");
  const gateway = await startGateway({ config, wrap: straceOptions(output) });
  const ids = new Map<string, string>();
  const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
  const begun = logNumber(gateway.home);
  const work = async (worker: number): Promise<void> => {
    let left = requestsAfterRestart;
    for (let turn = 0; turn < mostRequestsOfEach && left > 0; turn++) {
      if (logNumber(gateway.home) !== begun) left--;
      const messages = [{ role: "user", content: markerOf(worker, turn) }];
      const body = smallBody("messages", "asked", { messages, stream: worker % 2 === 0 });
      const answer = await rawPost(gateway.url, { path: "/v1/messages", body, headers });
      expect(answer.status).toBe(200);
      ids.set(markerOf(worker, turn), answer.headers["x-sanctum-request-id"]!);
    }
  };
  try {
    await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
    expect(await gateway.stop()).toBe(0);
    // The tracer is not our child: it has written the last line when the process is gone for it, too.
    const text = await eventually(() => {
      const traced = readFileSync(output, "latin1");
      const ended = new RegExp(`^${gateway.pid} +\\+\\+\\+ exited with 0`, "m").test(traced);
      if (!ended) throw new Error("the trace is not complete");
      return traced;
    }, 20_000);
    return { events: readTrace(text, gateway.home), home: gateway.home, ids };
  } finally {
    await gateway[Symbol.asyncDispose]();
  }
}

/** Counts how often the log was begun anew (sqlite.org/fileformat2.html, 4.1: "checkpoint sequence number"). */
function logNumber(home: string): number {
  return readFileSync(join(home, "state/ledger.sqlite-wal")).readUInt32BE(12);
}

/** The markers that the cloud may have seen by then. */
function sentBefore(events: readonly TraceEvent[], cut: number): Set<string> {
  const sent = new Set<string>();
  for (const event of events.slice(0, cut)) {
    if (event.what !== "send") continue;
    for (const [marker] of event.bytes.toString("latin1").matchAll(/marker-\d+-\d+-end/g)) sent.add(marker);
  }
  return sent;
}

/** How often the ledger's log was written from its beginning again: the most delicate moment of all. */
function logRestarts(events: readonly TraceEvent[]): number {
  const starts = events.filter((event) => event.what === "write" && event.path.endsWith("-wal") && event.offset === 0);
  return starts.length - 1;
}

/** Moments of the load, of the stop and, now and then, of the start. */
function cutsOf(events: readonly TraceEvent[], random: SeededRandom): number[] {
  const loaded = events.findIndex((event) => event.what === "send" && event.bytes.includes("marker-"));
  const moments = Array.from({ length: cuts }, (_, index) =>
    index % 10 === 9 ? random.integer(loaded) : loaded + random.integer(events.length - loaded + 1),
  );
  return moments.sort((a, b) => a - b);
}

test(
  "after a power cut the ledger opens, no hold that the cloud saw is lost, and at most one torn line is mended",
  async () => {
    needProgram("strace", "the power-cut test");
    const random = createSeededRandom(seed);
    await using cloud = await FakeProvider.start();
    await using local = await FakeProvider.start({ local: true });
    const config = configFor(cloud.url, local.url);
    const { events, home, ids } = await record(config);
    expect(ids.size).toBeGreaterThan(workers * requestsAfterRestart);
    expect(sentBefore(events, events.length).size).toBe(ids.size);
    expect(logRestarts(events)).toBeGreaterThan(0);

    const disk = new DiskModel(home);
    let applied = 0;
    const told = { sent: 0, interrupted: 0, torn: 0 };
    for (const [number, cut] of cutsOf(events, random).entries()) {
      for (; applied < cut; applied++) disk.apply(events[applied]!, applied);
      const image = join(folder, `image-${number}`);
      disk.writeImage(image, random);
      const sent = sentBefore(events, cut);
      await using gateway = await startGateway({ config, home: image });
      try {
        const found = await check(
          gateway,
          [...sent].map((marker) => ids.get(marker)!),
        );
        told.sent += sent.size;
        told.interrupted += found.interrupted;
        told.torn += found.torn;
        expect(await gateway.stop()).toBe(0);
      } catch (cause) {
        throw new Error(`cut ${number} of ${cuts} at event ${cut} of ${events.length}, seed ${seed}`, { cause });
      }
      rmSync(image, { recursive: true });
    }
    console.log(
      `${cuts} power cuts (seed ${seed}) in ${events.length} events: ${told.sent} requests had reached the cloud and are ` +
        `charged, ${told.interrupted} found open, ${told.torn} torn lines mended`,
    );
  },
  60_000 + cuts * 10_000,
);

async function check(gateway: Gateway, sent: readonly string[]): Promise<{ interrupted: number; torn: number }> {
  const lines = gateway.auditLines();
  const byId = new Map(lines.map((line) => [line.id, line]));
  for (const id of sent) expect(byId.get(id)?.usd ?? 0).toBeGreaterThan(0);
  expect(byId.size).toBe(lines.length);
  // The trail has what its seals know.
  expect(gateway.output()).not.toContain("ALARM");
  expect(faultsOfChain(gateway.auditText())).toEqual([]);
  const torn = readdirSync(join(gateway.home, "logs")).filter((name) => name.includes(".torn-"));
  expect(torn.length).toBeLessThanOrEqual(1);

  const { agents, ledger, audit } = await gateway.stats();
  expect({ fault: ledger.fault, notes: ledger.notes, audit: audit.fault }).toEqual({
    fault: null,
    notes: [],
    audit: null,
  });
  const { spent_usd: spent, held_usd: held } = agents["windu"]!;
  expect(held).toBe(0);
  const charged = lines.reduce((sum, line) => sum + line.usd, 0);
  expect(Math.abs(spent - charged)).toBeLessThan((lines.length + 1) * 1e-6);
  return { interrupted: lines.filter((line) => line.outcome === "interrupted").length, torn: torn.length };
}
