import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "./budget-fixture.ts";
import { doErrand, viewOf } from "./do-errand.ts";
import type { Hold, HoldAsk } from "./ledger.ts";
import { MovingLedger } from "./moving-ledger.ts";
import type { OpenHold } from "./open-hold.ts";
import { RemoteLedger } from "./remote-ledger.ts";
import { openSqliteLedger, type SqliteLedger } from "./sqlite-ledger.ts";

const usd = 1_000_000_000;
const caps = { daily: 10 * usd, hourly: undefined, monthly: undefined };
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-remote-"));
  folders.push(folder);
  return join(folder, "ledger.sqlite");
}

const clock = new ManualClock("2026-11-23T12:00:00Z");
const ask = (requestId: string, nanos: number): HoldAsk => ({
  requestId,
  attempt: 1,
  agent: "windu",
  caps,
  nanos,
  candidate: "anthropic/x",
  facts: () => `{"id":"${requestId}"}`,
});

interface Moved {
  readonly file: string;
  readonly holds: Hold[];
  readonly remote: RemoteLedger;
  /** Of the process that has taken over. */
  readonly keeper: SqliteLedger;
  readonly told: Promise<unknown>[];
}

/** A ledger with these holds, whose file another opening of it keeps now. */
async function moved(...amounts: readonly number[]): Promise<Moved> {
  const file = newFile();
  const first = openSqliteLedger({ file, clock, timezone: "UTC" });
  const ledger = new MovingLedger(first);
  const holds = (await Promise.all(amounts.map((nanos, i) => ledger.hold(ask(`r${i}`, nanos))))) as Hold[];
  const keeper: { now?: SqliteLedger } = {};
  const told: Promise<unknown>[] = [];
  const remote = new RemoteLedger({
    clock,
    timezone: "UTC",
    returned: () => ledger,
    tell: async (errand) => {
      const done = doErrand(keeper.now!, errand);
      told.push(done);
      return done;
    },
  });
  const handed = first.handOver(remote, new Set());
  remote.adopt(handed.holds);
  remote.see([["windu", viewOf(first, "windu")]]);
  ledger.target = remote;
  await first.close();
  keeper.now = openSqliteLedger({
    file,
    clock,
    timezone: "UTC",
    handed: {
      requests: handed.requests,
      holds: handed.holds.map(({ id, requestId, caps: own, lifeMs }) => ({ id, requestId, caps: own, lifeMs })),
    },
  });
  return { file, holds, remote, keeper: keeper.now, told };
}

describe("holds whose books another process keeps", () => {
  test("are not charged when it opens the file, and end there at their cost", async () => {
    const { holds, keeper, told } = await moved(usd, usd);
    expect(keeper.balances("windu").spentNanos).toBe(0);
    expect(keeper.openRequests()).toEqual([]);
    expect(holds[0]!.settle(usd / 4, "usage")).toBe(true);
    expect(holds[1]!.void("refused")).toBe(true);
    expect(holds[0]!.settle(usd, "twice")).toBe(false);
    await Promise.all(told);
    expect(keeper.balances("windu")).toEqual({ spentNanos: usd / 4, heldNanos: 0 });
    await keeper.close();
  });

  test("draw from what lies ahead at once, and get more from there before it is used up", async () => {
    const { holds, keeper, told } = await moved(usd);
    const [hold] = holds as [OpenHold];
    const ahead = hold.ahead;
    expect(ahead).toBe(usd);
    expect(keeper.balances("windu").heldNanos).toBe(2 * usd);
    expect(hold.extend(usd)).toBe(true);
    expect([hold.nanos, hold.ahead]).toEqual([2 * usd, 0]);
    // Nothing lies ahead until the answer is there.
    expect(hold.extend(usd)).toBe(false);
    await Promise.all(told);
    await Bun.sleep(0);
    expect(hold.extend(usd)).toBe(true);
    expect(keeper.balances("windu").heldNanos).toBe(hold.nanos + hold.ahead);
    await keeper.close();
  });

  test("never take more than the caps leave, whoever draws", async () => {
    const { holds, keeper, told, remote } = await moved(4 * usd);
    const [hold] = holds as [OpenHold];
    expect(await keeper.hold(ask("new", 4 * usd))).not.toBeNull();
    for (let i = 0; i < 40; i++) {
      hold.extend(usd / 2);
      await Promise.all(told.splice(0));
    }
    const { heldNanos } = keeper.balances("windu");
    expect(heldNanos).toBeLessThanOrEqual(caps.daily);
    expect(hold.nanos + hold.ahead + 4 * usd).toBe(heldNanos);
    expect(await remote.hold(ask("r9", 4 * usd))).toBeNull();
    await keeper.close();
  });

  test("are charged in full when their process is gone, with what lay ahead, and their requests are told", async () => {
    const { keeper } = await moved(usd);
    const lost = await keeper.chargeLost(new Set(["r0"]));
    expect(lost).toMatchObject([{ requestId: "r0", chargedNanos: 2 * usd }]);
    expect(keeper.balances("windu")).toEqual({ spentNanos: 2 * usd, heldNanos: 0 });
    await keeper.close();
  });

  test("come back as they stand in the file, and what was ahead is free again", async () => {
    const { file, holds, remote, keeper, told } = await moved(usd);
    const [hold] = holds as [OpenHold];
    hold.extend(usd / 2);
    await Promise.all(told);
    await keeper.close();
    const live = [...remote.live];
    const again = openSqliteLedger({
      file,
      clock,
      timezone: "UTC",
      handed: {
        requests: ["r0"],
        holds: live.map(({ id, requestId, caps: own, lifeMs }) => ({ id, requestId, caps: own, lifeMs })),
      },
    });
    for (const one of live) again.rebind(one);
    expect([hold.nanos, again.balances("windu").heldNanos]).toEqual([1.5 * usd, 1.5 * usd]);
    expect(hold.extend(usd)).toBe(true);
    expect(hold.settle(2 * usd, "usage")).toBe(true);
    await again.close();
    const last = openSqliteLedger({ file, clock, timezone: "UTC" });
    expect(last.balances("windu")).toEqual({ spentNanos: 2 * usd, heldNanos: 0 });
    await last.close();
  });
});
