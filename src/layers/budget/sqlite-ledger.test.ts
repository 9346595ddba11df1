import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import { askFor, capOf, failureOf, ManualClock, openAt, temporaryFolder } from "./budget-fixture.ts";
import { OpenHold } from "./open-hold.ts";
import { openSqliteLedger } from "./sqlite-ledger.ts";

describe("a hold", () => {
  test("is granted to exactly as many of 1,000 at once as the cap is worth", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const caps = capOf(50_000);
    const holds = await Promise.all(Array.from({ length: 1_000 }, () => ledger.hold(askFor(1_000, caps))));
    expect(holds.filter((hold) => hold !== null)).toHaveLength(50);
    expect(ledger.balances("windu")).toEqual({ spentNanos: 0, heldNanos: 50_000 });
    expect(ledger.room("windu", caps)).toBe(0);
  });

  test("is in the file before it is granted", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const hold = await ledger.hold(askFor(7_000, capOf(10_000), { requestId: "req_a" }));
    expect(hold).not.toBeNull();
    expect(recordsOf(crashImage(folder.file)).holds).toMatchObject([
      { request: "req_a", nanos: 7_000, agent: "windu" },
    ]);
  });

  test("must fit the hourly and the monthly cap as well, and takes nothing where one refuses", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:10:00Z");
    await using ledger = closing(openAt(folder.file, clock));
    const caps = capOf(100, { hourly: 10, monthly: 25 });
    expect(await ledger.hold(askFor(11, caps))).toBeNull();
    (await ledger.hold(askFor(10, caps)))!.settle(10, "usage");
    expect(await ledger.hold(askFor(1, caps))).toBeNull();
    clock.ms += 3_600_000;
    (await ledger.hold(askFor(10, caps)))!.settle(10, "usage");
    clock.ms += 3_600_000;
    expect(ledger.room("windu", caps)).toBe(5);
    expect(await ledger.hold(askFor(6, caps))).toBeNull();
    expect(ledger.balances("windu")).toEqual({ spentNanos: 20, heldNanos: 0 });
    expect(await ledger.hold(askFor(5, caps))).not.toBeNull();
  });

  test("of nothing is always granted, also over the cap", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    (await ledger.hold(askFor(100, capOf(100))))!.settle(100, "usage");
    expect(await ledger.hold(askFor(0, capOf(0)))).not.toBeNull();
    expect(await ledger.hold(askFor(1, capOf(0), { agent: "other" }))).toBeNull();
  });

  test("of one agent takes nothing from another", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    await ledger.hold(askFor(100, capOf(100)));
    expect(await ledger.hold(askFor(100, capOf(100), { agent: "mothma" }))).not.toBeNull();
  });

  test("is refused where a cap is not a number", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    expect(await ledger.hold(askFor(1, capOf(Number.NaN)))).toBeNull();
  });

  test("ends once: whatever comes after changes nothing", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const hold = (await ledger.hold(askFor(100, capOf(1_000))))!;
    expect(hold.settle(40, "usage")).toBe(true);
    expect([hold.settle(50, "usage"), hold.void("late"), hold.extend(1)]).toEqual([false, false, false]);
    expect(ledger.balances("windu")).toEqual({ spentNanos: 40, heldNanos: 0 });
  });

  test("that is voided costs nothing", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    (await ledger.hold(askFor(100, capOf(100))))!.void("connect_failed");
    expect(ledger.balances("windu")).toEqual({ spentNanos: 0, heldNanos: 0 });
  });

  test("whose bound was wrong is charged what it really cost, and counted", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const hold = (await ledger.hold(askFor(100, capOf(100))))!;
    hold.settle(250, "usage");
    expect(ledger.balances("windu")).toEqual({ spentNanos: 250, heldNanos: 0 });
    expect(ledger.health()).toEqual({ fault: null, exceeded: 1 });
    expect(await ledger.hold(askFor(1, capOf(100)))).toBeNull();
  });

  test("grows as far as its caps reach, and the file follows", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const hold = (await ledger.hold(askFor(60, capOf(100))))!;
    expect([hold.extend(30), hold.extend(11), hold.extend(10)]).toEqual([true, false, true]);
    expect(hold.nanos).toBe(100);
    await ledger.hold(askFor(1, capOf(1), { agent: "other" }));
    expect(recordsOf(crashImage(folder.file)).holds[0]).toMatchObject({ nanos: 100 });
  });

  test("taken before a cap was lowered goes on; only new ones are refused", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const hold = (await ledger.hold(askFor(500, capOf(1_000))))!;
    expect(ledger.room("windu", capOf(100))).toBe(-400);
    expect(await ledger.hold(askFor(1, capOf(100)))).toBeNull();
    expect(hold.extend(100)).toBe(true);
    hold.settle(50, "usage");
    expect(await ledger.hold(askFor(50, capOf(100)))).not.toBeNull();
  });

  test("taken before midnight is charged to the day in which it was taken", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T23:59:59.900Z");
    await using ledger = closing(openAt(folder.file, clock));
    const hold = (await ledger.hold(askFor(100, capOf(100))))!;
    clock.ms += 1_000;
    expect(await ledger.hold(askFor(100, capOf(100)))).not.toBeNull();
    hold.settle(100, "usage");
    expect(ledger.balances("windu")).toEqual({ spentNanos: 0, heldNanos: 100 });
    expect(ledger.day()).toEqual({ key: "2026-11-24", endsAt: Date.parse("2026-11-25T00:00:00Z") });
  });
});

describe("a restart", () => {
  test("keeps what was spent, in the windows where it was", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    const caps = capOf(100, { hourly: 50, monthly: 1_000 });
    const first = openAt(folder.file, clock);
    (await first.hold(askFor(40, caps)))!.settle(30, "usage");
    (await first.hold(askFor(10, caps)))!.void("upstream_429");
    await first.close();
    await using second = closing(openAt(folder.file, clock));
    expect(second.balances("windu")).toEqual({ spentNanos: 30, heldNanos: 0 });
    expect(second.room("windu", caps)).toBe(20);
    clock.ms += 3_600_000;
    expect(second.room("windu", caps)).toBe(50);
    expect(second.room("windu", capOf(100, { monthly: 31 }))).toBe(1);
  });

  test("charges what it finds open in full, grown holds included, and tells which requests those were", async () => {
    using folder = temporaryFolder();
    await using first = closing(openAt(folder.file));
    const caps = capOf(1_000);
    const facts = (): string => '{"path":"/v1/messages"}';
    const failed = (await first.hold(askFor(5, caps, { requestId: "req_open", attempt: 1, candidate: "a/b", facts })))!;
    failed.settle(3, "counted");
    const hold = (await first.hold(askFor(100, caps, { requestId: "req_open", attempt: 2 })))!;
    hold.extend(20);
    (await first.hold(askFor(40, caps, { requestId: "req_done" })))!.settle(30, "usage");
    first.closeRequest("req_done");
    (await first.hold(askFor(7, caps, { requestId: "req_unlogged" })))!.settle(6, "usage");
    await first.hold(askFor(1, capOf(1), { agent: "flush", requestId: "req_flush" }));

    const image = crashImage(folder.file);
    await using second = closing(openAt(image));
    expect(second.balances("windu")).toEqual({ spentNanos: 3 + 120 + 30 + 6, heldNanos: 0 });
    expect(second.balances("flush")).toEqual({ spentNanos: 1, heldNanos: 0 });
    const open = second.openRequests();
    expect(open.map((request) => [request.requestId, request.chargedNanos])).toEqual([
      ["req_open", 123],
      ["req_unlogged", 6],
      ["req_flush", 1],
    ]);
    expect(open[0]!.facts).toBe('{"path":"/v1/messages"}');
    expect(open[0]!.attempts).toEqual([
      { attempt: 1, candidate: "a/b", heldNanos: 5, chargedNanos: 3, ended: "settled" },
      { attempt: 2, candidate: "anthropic/claude-sonnet-4-5", heldNanos: 120, chargedNanos: 120, ended: "crashed" },
    ]);
    for (const { requestId } of open) second.closeRequest(requestId);
    expect(second.openRequests()).toEqual([]);
    await second.close();
    await using third = closing(openAt(image));
    expect(third.openRequests()).toEqual([]);
    expect(third.balances("windu")).toEqual({ spentNanos: 159, heldNanos: 0 });
  });

  test("charges a request that was cut between its line and its settlement what the line says, others in full", async () => {
    using folder = temporaryFolder();
    await using first = closing(openAt(folder.file));
    const caps = capOf(1_000);
    (await first.hold(askFor(9, caps, { requestId: "req_lined", attempt: 1 })))!.settle(4, "counted");
    await first.hold(askFor(100, caps, { requestId: "req_lined", attempt: 2 }));
    await first.hold(askFor(50, caps, { requestId: "req_unlined" }));

    const asked: string[] = [];
    const recordedCosts = (ids: ReadonlySet<string>): Map<string, number> => {
      asked.push(...ids);
      return new Map([["req_lined", 34]]);
    };
    const file = crashImage(folder.file);
    await using second = closing(
      openSqliteLedger({ file, timezone: "UTC", clock: new ManualClock("2026-11-23T12:20:00Z"), recordedCosts }),
    );
    expect(asked.sort()).toEqual(["req_lined", "req_unlined"]);
    expect(second.balances("windu")).toEqual({ spentNanos: 34 + 50, heldNanos: 0 });
  });

  test("reads an hour's records at a start: earlier ones are folded into the day without changing its sum", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:10:00Z");
    await using first = closing(openAt(folder.file, clock));
    const caps = capOf(1_000);
    for (let i = 0; i < 3; i++) {
      (await first.hold(askFor(10, caps, { requestId: `req_${i}` })))!.settle(10, "usage");
      first.closeRequest(`req_${i}`);
    }
    clock.ms += 3_600_000;
    // The first batch of the new hour folds what was closed before.
    (await first.hold(askFor(1, caps)))!.settle(1, "usage");
    (await first.hold(askFor(1, caps)))!.settle(1, "usage");
    await first.close();
    expect(recordsOf(folder.file).holds.every((hold) => hold.nanos === 1)).toBe(true);
    await using second = closing(openAt(folder.file, clock));
    expect(second.balances("windu")).toEqual({ spentNanos: 32, heldNanos: 0 });
  });

  test("with the clock set back refills nothing", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    const first = openAt(folder.file, clock);
    (await first.hold(askFor(100, capOf(100))))!.settle(100, "usage");
    await first.close();
    clock.ms -= 48 * 3_600_000;
    await using second = closing(openAt(folder.file, clock));
    expect(second.room("windu", capOf(100))).toBe(0);
    expect(second.day().key).toBe("2026-11-23");
  });

  test("keeps counters, the newest of each key", async () => {
    using folder = temporaryFolder();
    const first = openAt(folder.file);
    first.saveCounters("stats.windu", "1");
    first.saveCounters("stats.windu", "2");
    first.saveCounters("other", "3");
    expect(first.loadCounters("stats.")).toEqual(new Map([["stats.windu", "2"]]));
    await first.close();
    await using second = closing(openAt(folder.file));
    expect(second.loadCounters("stats.")).toEqual(new Map([["stats.windu", "2"]]));
    expect(second.loadCounters("s%")).toEqual(new Map());
  });

  test("folds days that are over into totals, and their sum stays in the month", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-20T12:00:00Z");
    const caps = capOf(1_000, { monthly: 10_000 });
    const first = openAt(folder.file, clock);
    for (let day = 0; day < 3; day++) {
      for (let i = 0; i < 5; i++) {
        const ask = askFor(100, caps);
        (await first.hold(ask))!.settle(10, "usage");
        first.closeRequest(ask.requestId);
      }
      clock.ms += 24 * 3_600_000;
    }
    (await first.hold(askFor(1, caps)))!.settle(1, "usage");
    await first.close();
    const records = recordsOf(folder.file);
    expect(records.totals).toEqual([
      { agent: "windu", day: "2026-11-20", month: "2026-11", nanos: 50 },
      { agent: "windu", day: "2026-11-21", month: "2026-11", nanos: 50 },
      { agent: "windu", day: "2026-11-22", month: "2026-11", nanos: 50 },
    ]);
    expect(records.holds).toHaveLength(1);
    await using second = closing(openAt(folder.file, clock));
    expect(second.room("windu", caps)).toBe(999);
    expect(second.room("windu", { ...caps, daily: 100_000 })).toBe(10_000 - 151);
  });

  test("finds its file private", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    await ledger.hold(askFor(1, capOf(1)));
    for (const name of readdirSync(dirname(folder.file))) {
      expect(statSync(join(dirname(folder.file), name)).mode & 0o777).toBe(0o600);
    }
    expect(statSync(dirname(folder.file)).mode & 0o777).toBe(0o700);
  });
});

describe("a ledger that cannot be trusted", () => {
  test("is not opened while another process has it", async () => {
    using folder = temporaryFolder();
    await using ledger = closing(openAt(folder.file));
    const code = `import { openAt } from ${JSON.stringify(join(import.meta.dir, "budget-fixture.ts"))};
      try { openAt(process.argv[1]); console.log("opened"); } catch (error) { console.log(error.publicMessage); }`;
    const child = Bun.spawnSync([process.execPath, "-e", code, folder.file]);
    expect(child.stdout.toString()).toBe("The ledger is in use by another running gateway; stop it first.\n");
    expect(await ledger.hold(askFor(1, capOf(1)))).not.toBeNull();
  });

  test("is not opened where it is not a ledger, with a word on what to do", () => {
    using folder = temporaryFolder();
    mkdirSync(dirname(folder.file), { recursive: true });
    writeFileSync(folder.file, "this is no database, and long enough to be read as one".repeat(50));
    expect(() => openAt(folder.file)).toThrow(/damaged; restore it/u);
  });

  test("whose file is taken away grants nothing any more and says so once", async () => {
    using folder = temporaryFolder();
    const faults: (string | null)[] = [];
    const clock = systemClock;
    const ledger = openSqliteLedger({ file: folder.file, timezone: "UTC", clock, onFault: (f) => faults.push(f) });
    const hold = (await ledger.hold(askFor(1, capOf(10))))!;
    renameSync(dirname(folder.file), `${dirname(folder.file)}-away`);
    // A rename keeps the file linked; what matters is a file that nobody will find again.
    for (const name of readdirSync(`${dirname(folder.file)}-away`)) {
      await Bun.file(join(`${dirname(folder.file)}-away`, name)).delete();
    }
    expect(await failureOf(ledger.hold(askFor(1, capOf(10))))).toMatchObject({ code: "BUDGET_LEDGER" });
    expect(await failureOf(ledger.hold(askFor(0, capOf(10))))).toBeInstanceOf(GatewayError);
    expect(hold.extend(1)).toBe(false);
    expect(ledger.balances("windu")).toEqual({ spentNanos: 0, heldNanos: 1 });
    expect(faults).toHaveLength(1);
    expect(ledger.health().fault).toContain("restart the gateway");
    await ledger.close();
  });

  test("stops when its records and its balances differ", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    await using ledger = closing(openAt(folder.file, clock));
    const hold = await ledger.hold(askFor(10, capOf(100)));
    if (!(hold instanceof OpenHold)) throw new Error("not granted");
    hold.settle(5, "usage");
    hold.book.day.spent -= 1;
    clock.ms += 24 * 3_600_000;
    expect(await failureOf(ledger.hold(askFor(10, capOf(100))))).toMatchObject({ code: "BUDGET_LEDGER" });
    expect(ledger.health().fault).toContain("records and balances differ");
  });

  test("on a full disk refuses, gives back what it took, and goes on when there is room again", async () => {
    using folder = temporaryFolder();
    const mount = join(folder.path, "small");
    mkdirSync(mount);
    const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]);
    // Only root may mount; elsewhere the rule is shown by the file that is taken away.
    if (mounted.exitCode !== 0) return;
    try {
      const file = join(mount, "state", "ledger.sqlite");
      const caps = capOf(1_000_000);
      const over = Promise.withResolvers<void>();
      const onFault = (fault: string | null): void => (fault === null ? over.resolve() : undefined);
      const ledger = openSqliteLedger({ file, timezone: "UTC", clock: systemClock, onFault });
      const early = (await ledger.hold(askFor(10, caps)))!;
      Bun.spawnSync(["sh", "-c", `cat /dev/zero > ${mount}/filler 2>/dev/null`]);
      let refused: unknown = null;
      for (let i = 0; i < 200 && refused === null; i++) {
        const answer = ledger.hold(askFor(10, caps));
        refused = await failureOf(answer);
        if (refused === null) (await answer)!.settle(1, "usage");
      }
      expect(refused).toMatchObject({ code: "BUDGET_LEDGER" });
      expect(ledger.health().fault).toContain("free space");
      expect(ledger.balances("windu").heldNanos).toBe(10);
      early.settle(7, "usage");
      await Bun.file(join(mount, "filler")).delete();
      await over.promise;
      const spent = ledger.balances("windu").spentNanos;
      expect(await ledger.hold(askFor(10, caps))).not.toBeNull();
      await ledger.close();
      await using again = closing(openSqliteLedger({ file, timezone: "UTC", clock: systemClock }));
      expect(again.balances("windu")).toEqual({ spentNanos: spent + 10, heldNanos: 0 });
    } finally {
      Bun.spawnSync(["umount", mount]);
    }
  }, 20_000);
});

/** The ledger, closed at the end of the block. */
function closing<T extends { close(): Promise<void> }>(ledger: T): T & AsyncDisposable {
  return Object.assign(ledger, { [Symbol.asyncDispose]: () => ledger.close() });
}

let images = 0;

/** What a process that was killed now would leave: a copy of the files as they are. */
function crashImage(file: string): string {
  images++;
  const copy = `${dirname(file)}-${images}`;
  cpSync(dirname(file), copy, { recursive: true });
  return join(copy, "ledger.sqlite");
}

interface Records {
  holds: { id: number; request: string; agent: string; nanos: number }[];
  totals: unknown[];
}

function recordsOf(file: string): Records {
  expect(existsSync(file)).toBe(true);
  chmodSync(file, 0o600);
  using db = new Database(file);
  return {
    holds: db.query<Records["holds"][number], []>("SELECT id, request, agent, nanos FROM holds ORDER BY id").all(),
    totals: db.query("SELECT * FROM totals").all(),
  };
}
