// `kill -9` at random moments under load, again and again on one home. `npm test` does it 20 times, `npm run test:crash`
// (KILL9_ROUNDS) 200 times.

import { Database } from "bun:sqlite";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { baseConfig, merge, smallBody } from "../fakes/house.ts";
import { parseObject, textOf } from "../fakes/json-access.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { RemoteProvider } from "../fakes/remote-provider.ts";
import { createSeededRandom } from "../fuzz/seeded-random.ts";
import { faultsOfChain, startGateway, tokenOf, type AuditLine, type Gateway } from "../harness.ts";

const rounds = Number(process.env["KILL9_ROUNDS"] ?? 20);
const seed = Number(process.env["KILL9_SEED"] ?? 1);
const workers = 64;
const capUsd = 1_000;
const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };

/** A model for each worker, so that what reached the cloud can be told from the outside. */
function configFor(cloud: string, local: string): Record<string, unknown> {
  const models: Record<string, object> = {};
  for (let worker = 0; worker < workers; worker++) {
    models[`asked-${worker}`] = { provider: "anthropic", model: `sent-${worker}`, price };
  }
  const agents = { windu: { daily_usd: capUsd, monthly_usd: capUsd, tokens: [tokenOf("windu").hash] } };
  return { ...merge(baseConfig(cloud, local), { agents, models }), fallback: [] };
}

/** One after the other until the gateway is gone; the ids of the requests that were answered whole. */
async function askUntilKilled(gateway: Gateway, worker: number): Promise<string[]> {
  const answered: string[] = [];
  const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
  const body = smallBody("messages", `asked-${worker}`, { stream: worker % 2 === 0 });
  for (;;) {
    try {
      const answer = await rawPost(gateway.url, { path: "/v1/messages", body, headers });
      const id = answer.headers["x-sanctum-request-id"];
      if (answer.status !== 200 || id === undefined) return answered;
      if (worker % 2 === 1 || answer.body.includes("message_stop")) answered.push(id);
    } catch {
      return answered;
    }
  }
}

/** How often each worker's model was asked for at the cloud. */
async function arrivals(cloud: RemoteProvider): Promise<number[]> {
  const counts = Array.from({ length: workers }, () => 0);
  for (const { text } of await cloud.requests()) {
    const worker = /^sent-(\d+)$/.exec(textOf(parseObject(text)["model"]))?.[1];
    if (worker !== undefined) counts[Number(worker)]!++;
  }
  return counts;
}

/** Every charge of the ledger, summed by SQL alone, in USD. */
function chargedByRecords(home: string): number {
  const copy = mkdtempSync(join(tmpdir(), "sanctum-kill9-"));
  try {
    cpSync(join(home, "state"), copy, { recursive: true });
    using db = new Database(join(copy, "ledger.sqlite"));
    const row = db
      .query<{ nanos: number; open: number; requests: number }, []>(
        `SELECT coalesce((SELECT sum(nanos) FROM ends), 0) + coalesce((SELECT sum(nanos) FROM totals), 0) AS nanos,
           (SELECT count(*) FROM holds WHERE id NOT IN (SELECT hold FROM ends)) AS open,
           (SELECT count(*) FROM ends WHERE hold NOT IN (SELECT id FROM holds)) AS requests`,
      )
      .get()!;
    expect({ open: row.open, orphans: row.requests }).toEqual({ open: 0, orphans: 0 });
    return row.nanos / 1e9;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

test(
  "kill -9 at random moments under 64-way load: no cloud call without a charge, none lost, none twice, the chain whole",
  async () => {
    const random = createSeededRandom(seed);
    const cycle = [...Array.from({ length: 15 }, () => ({})), { stall: { afterEvents: 4 } }] as const;
    await using cloud = await RemoteProvider.start({ cycle });
    await using local = await FakeProvider.start({ local: true });
    await using gateway = await startGateway({ config: configFor(cloud.url, local.url) });
    const lines: AuditLine[] = [];
    const restarts: number[] = [];
    let answered = 0;
    for (let round = 0; round < rounds; round++) {
      const asking = Promise.all(Array.from({ length: workers }, (_, worker) => askUntilKilled(gateway, worker)));
      // The moment itself is what is random here.
      await Bun.sleep(40 + random.next() * 260);
      await gateway.kill9();
      const whole = (await asking).flat();
      answered += whole.length;
      const begun = performance.now();
      await gateway.restart();
      restarts.push(performance.now() - begun);

      const fresh = gateway.auditText().slice(lines.length);
      lines.push(...fresh.map((line) => JSON.parse(line) as AuditLine));
      const charged = new Map(lines.slice(-fresh.length).map((line) => [line.id, line]));
      for (const id of whole)
        expect(charged.get(id)).toMatchObject({ outcome: expect.stringMatching(/ok|interrupted/) });
      const [arrived, recorded] = [await arrivals(cloud), Array.from({ length: workers }, () => 0)];
      let safeSide = 0;
      for (const line of lines) {
        const worker = /^asked-(\d+)$/.exec(textOf(line["requested_model"]))?.[1];
        if (worker === undefined || !(line.usd > 0))
          throw new Error(`a line without a charge: ${JSON.stringify(line)}`);
        recorded[Number(worker)]!++;
        if (line.outcome === "interrupted") safeSide++;
      }
      // A hold that was on the disk when the process died may not have been sent: it is charged all the same, once.
      for (let worker = 0; worker < workers; worker++) {
        expect(recorded[worker]).toBeGreaterThanOrEqual(arrived[worker]!);
      }
      const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
      expect(sum(recorded) - sum(arrived)).toBeLessThanOrEqual(safeSide);

      const { spent_usd: spent, held_usd: held } = (await gateway.stats()).agents["windu"]!;
      expect(held).toBe(0);
      expect(spent).toBeLessThanOrEqual(capUsd);
      const told = lines.reduce((total, line) => total + line.usd, 0);
      expect(Math.abs(spent - told)).toBeLessThan((lines.length + 1) * 1e-6);
    }
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    expect(faultsOfChain(gateway.auditText())).toEqual([]);
    const { spent_usd: spent } = (await gateway.stats()).agents["windu"]!;
    expect(await gateway.stop()).toBe(0);
    expect(chargedByRecords(gateway.home)).toBeCloseTo(spent, 5);
    const cut = lines.filter(({ outcome }) => outcome === "interrupted").length;
    restarts.sort((a, b) => a - b);
    console.log(
      `${rounds} kills (seed ${seed}): ${lines.length} requests charged, ${answered} answered whole, ${cut} interrupted; ` +
        `restart in ${Math.round(restarts[rounds >> 1]!)} ms (median), ${Math.round(restarts.at(-1)!)} ms at most`,
    );
  },
  30_000 + rounds * 6_000,
);
