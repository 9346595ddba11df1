import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { Book } from "./books.ts";
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
    expect(ledger.health()).toMatchObject({ fault: null, exceeded: 1 });
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

  test("gives back what it will not need, for others at once, and never more than it has", async () => {
    using folder = temporaryFolder();
    const ledger = openAt(folder.file);
    const hold = (await ledger.hold(askFor(100, capOf(100))))!;
    expect(await ledger.hold(askFor(60, capOf(100)))).toBeNull();
    expect([hold.shrink(101), hold.shrink(0), hold.shrink(1.5), hold.shrink(-1)]).toEqual([false, false, false, false]);
    expect([hold.shrink(70), hold.nanos]).toEqual([true, 30]);
    expect(ledger.balances("windu")).toEqual({ spentNanos: 0, heldNanos: 30 });
    expect([ledger.room("windu", capOf(100)), ledger.unspent("windu", capOf(100))]).toEqual([70, 100]);
    const other = (await ledger.hold(askFor(60, capOf(100))))!;
    expect(hold.extend(10)).toBe(true);
    expect(hold.settle(35, "usage")).toBe(true);
    expect(hold.shrink(1)).toBe(false);
    other.void("none");
    expect(ledger.balances("windu")).toEqual({ spentNanos: 35, heldNanos: 0 });
    await ledger.close();
  });

  test("that gave something back is charged only for the rest where it is found open", async () => {
    using folder = temporaryFolder();
    const ledger = openAt(folder.file);
    const ask = askFor(100, capOf(100));
    const hold = (await ledger.hold(ask))!;
    hold.shrink(70);
    hold.extend(5);
    await ledger.close();
    const next = openAt(folder.file);
    expect(next.balances("windu")).toEqual({ spentNanos: 35, heldNanos: 0 });
    expect(next.openRequests()).toMatchObject([
      { requestId: ask.requestId, attempts: [{ heldNanos: 35, chargedNanos: 35 }] },
    ]);
    await next.close();
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

describe("a hold that nobody ends", () => {
  test("is charged in full once its deadline has passed, and that is told", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    const notes: string[] = [];
    const onNote = (note: string): void => void notes.push(note);
    await using ledger = closing(openSqliteLedger({ file: folder.file, timezone: "UTC", clock, gatherMs: 0, onNote }));
    const caps = capOf(1_000);
    const forgotten = (await ledger.hold(askFor(100, caps, { requestId: "req_forgotten", lifeMs: 3_600_000 })))!;
    const slow = (await ledger.hold(askFor(200, caps, { lifeMs: 3_600_000 })))!;
    clock.ms += 50 * 60_000;
    expect(slow.extend(10)).toBe(true);
    expect(ledger.balances("windu")).toEqual({ spentNanos: 0, heldNanos: 310 });
    clock.ms += 11 * 60_000;
    expect(ledger.balances("windu")).toEqual({ spentNanos: 100, heldNanos: 210 });
    expect([forgotten.settle(1, "late"), forgotten.void("late"), forgotten.extend(1)]).toEqual([false, false, false]);
    expect(ledger.health()).toMatchObject({ fault: null, expired: 1 });
    expect(notes).toEqual([expect.stringContaining("1 holds were open past their deadline and are charged in full")]);
    expect(notes[0]).toContain("req_forgotten");
    slow.settle(20, "usage");
    await ledger.close();
    using db = new Database(folder.file);
    expect(db.query("SELECT ended, nanos FROM ends ORDER BY hold").all()).toEqual([
      { ended: "expired", nanos: 100 },
      { ended: "settled", nanos: 20 },
    ]);
    expect(db.query("SELECT text FROM notes").all()).toEqual([{ text: notes[0] }]);
    const taken = Date.parse("2026-11-23T12:00:00Z");
    expect(db.query("SELECT deadline FROM holds ORDER BY id").all()).toEqual([
      { deadline: taken + 3_600_000 },
      { deadline: taken + 50 * 60_000 + 3_600_000 },
    ]);
  });
});

describe("a clock that is set", () => {
  const caps = capOf(100);

  async function spendAll(ledger: ReturnType<typeof openAt>): Promise<number> {
    let spent = 0;
    for (let hold = await ledger.hold(askFor(10, caps)); hold !== null; hold = await ledger.hold(askFor(10, caps))) {
      hold.settle(10, "usage");
      spent += 10;
    }
    return spent;
  }

  test("a day forward and back again gives two days' caps for the two days, and is told both times", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    const notes: string[] = [];
    const open = (): ReturnType<typeof openAt> =>
      openSqliteLedger({
        file: folder.file,
        timezone: "UTC",
        clock,
        sinceBootMs: clock.sinceBoot,
        gatherMs: 0,
        onNote: (note) => notes.push(note),
      });
    let ledger = open();
    let total = await spendAll(ledger);
    clock.setBy = 24 * 3_600_000;
    total += await spendAll(ledger);
    expect(notes).toEqual([
      expect.stringContaining(
        "the clock was set forward by 24 h; the budget's day is 2026-11-24 instead of 2026-11-23",
      ),
    ]);
    clock.setBy = 0;
    total += await spendAll(ledger);
    expect(notes[1]).toContain("the clock was set back by 24 h; the budget's day stays 2026-11-24");
    await ledger.close();
    ledger = open();
    expect(notes[2]).toContain("the clock says 2026-11-23, but the budget's day is 2026-11-24 already");
    // Through the rest of both days, forward and back once more.
    for (const [hours, set] of [
      [6, 0],
      [6, 24],
      [11, 0],
      [0, -48],
      [12, 0],
    ] as const) {
      clock.ms += hours * 3_600_000;
      clock.setBy = set * 3_600_000;
      if (set !== 24) total += await spendAll(ledger);
    }
    expect(new Date(clock.now()).toISOString()).toBe("2026-11-24T23:00:00.000Z");
    expect(total).toBe(200);
    await ledger.close();
    using db = new Database(folder.file);
    expect(
      db
        .query<{ text: string }, []>("SELECT text FROM notes")
        .all()
        .map(({ text }) => text),
    ).toEqual(notes);
  });

  test("is not suspected where the machine slept, or where the clock was put right by a few minutes", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    const options = { file: folder.file, timezone: "UTC", clock, sinceBootMs: clock.sinceBoot, gatherMs: 0 };
    await using ledger = closing(openSqliteLedger(options));
    clock.sleep(20 * 3_600_000);
    expect(ledger.day().key).toBe("2026-11-24");
    clock.setBy = 5 * 60_000;
    expect(ledger.room("windu", caps)).toBe(100);
    expect(ledger.health().notes).toEqual([]);
    clock.setBy = 3_600_000;
    expect(ledger.room("windu", caps)).toBe(100);
    expect(ledger.health().notes).toEqual([
      expect.stringContaining("the clock was set forward by 60 min; the budget's day is still 2026-11-24"),
    ]);
  });
});

describe("caps of day, hour and month together", () => {
  test("hold over restarts, a day of 25 hours and the turn of the month", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-10-24T21:30:00Z");
    const caps = capOf(60, { hourly: 10, monthly: 150 });
    const spent: Record<string, number> = {};
    // Each quarter of an hour as much as is granted, with a restart every three hours.
    let ledger = openAt(folder.file, clock, "Europe/Berlin");
    for (let quarter = 0; quarter < 9 * 96; quarter++) {
      if (quarter % 12 === 11) {
        await ledger.close();
        ledger = openAt(folder.file, clock, "Europe/Berlin");
      }
      const { key } = ledger.day();
      for (;;) {
        const ask = askFor(4, caps);
        const hold = await ledger.hold(ask);
        if (hold === null) break;
        hold.settle(3, "usage");
        ledger.closeRequest(ask.requestId);
        spent[key] = (spent[key] ?? 0) + 3;
      }
      clock.ms += 900_000;
    }
    await ledger.close();
    // An hour: three times 3, for a fourth hold of 4 does not fit into 10. A day: nineteen, for 57 + 4 is over 60. The month: 150.
    expect(spent).toEqual({
      "2026-10-24": 9,
      "2026-10-25": 57,
      "2026-10-26": 57,
      "2026-10-27": 24,
      "2026-11-01": 57,
      "2026-11-02": 57,
    });
  });
});

describe("a ledger of version 1", () => {
  test("is brought up to date and keeps what was spent, held and open", async () => {
    using folder = temporaryFolder();
    mkdirSync(dirname(folder.file), { recursive: true });
    using old = new Database(folder.file);
    for (const statement of version1) old.run(statement);
    old.close();
    await using ledger = closing(openAt(folder.file));
    expect(ledger.balances("windu")).toEqual({ spentNanos: 5 + 7 + 11, heldNanos: 0 });
    expect(ledger.openRequests().map(({ requestId, chargedNanos }) => [requestId, chargedNanos])).toEqual([
      ["req_2", 7],
    ]);
    expect(ledger.health().notes).toEqual([]);
    expect(await ledger.hold(askFor(1, capOf(24)))).not.toBeNull();
  });

  test("and one of a later version is not opened", () => {
    using folder = temporaryFolder();
    mkdirSync(dirname(folder.file), { recursive: true });
    using later = new Database(folder.file);
    later.run("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID");
    later.run("INSERT INTO meta VALUES ('schema', '3')");
    later.close();
    expect(() => openAt(folder.file)).toThrow(/newer version/u);
  });
});

const version1 = [
  `CREATE TABLE holds (
     id INTEGER PRIMARY KEY, request TEXT NOT NULL, attempt INTEGER NOT NULL, agent TEXT NOT NULL,
     day TEXT NOT NULL, hour TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
     candidate TEXT NOT NULL, taken_at INTEGER NOT NULL, facts TEXT) STRICT`,
  `CREATE TABLE ends (
     hold INTEGER PRIMARY KEY, ended TEXT NOT NULL CHECK (ended IN ('settled', 'voided', 'crashed')),
     nanos INTEGER NOT NULL CHECK (nanos >= 0), why TEXT NOT NULL) STRICT`,
  `CREATE TABLE totals (
     agent TEXT NOT NULL, day TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
     PRIMARY KEY (agent, day)) STRICT, WITHOUT ROWID`,
  "CREATE TABLE counters (key TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID",
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
  "INSERT INTO meta VALUES ('schema', '1')",
  "INSERT INTO totals VALUES ('windu', '2026-11-23', '2026-11', 11)",
  "INSERT INTO holds VALUES (1, 'req_1', 1, 'windu', '2026-11-23', '2026-11-23T12:00Z', '2026-11', 9, 'a/b', 0, NULL)",
  "INSERT INTO ends VALUES (1, 'settled', 5, 'usage')",
  "INSERT INTO holds VALUES (2, 'req_2', 1, 'windu', '2026-11-23', '2026-11-23T12:00Z', '2026-11', 7, 'a/b', 0, '{}')",
];

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

  test.each([
    ["spent in the day", (book: Book) => (book.day.spent -= 1)],
    ["spent in the hour", (book: Book) => (book.hour.spent += 1)],
    ["spent in the month", (book: Book) => (book.month.spent -= 1)],
  ])("stops when its records and its balances differ in what was %s", async (_, tamper) => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    const faults: (string | null)[] = [];
    const onFault = (fault: string | null): void => void faults.push(fault);
    await using ledger = closing(openSqliteLedger({ file: folder.file, timezone: "UTC", clock, gatherMs: 0, onFault }));
    const hold = await ledger.hold(askFor(10, capOf(100)));
    if (!(hold instanceof OpenHold)) throw new Error("not granted");
    hold.settle(5, "usage");
    tamper(hold.book);
    clock.ms += 3_600_000;
    expect(await failureOf(ledger.hold(askFor(10, capOf(100))))).toMatchObject({ code: "BUDGET_LEDGER" });
    expect(ledger.health().fault).toContain("records and balances differ");
    expect(await failureOf(ledger.hold(askFor(0, capOf(100))))).toMatchObject({ code: "BUDGET_LEDGER" });
    expect(faults).toHaveLength(1);
  });

  test("stops when its open holds differ from what is held", async () => {
    using folder = temporaryFolder();
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    await using ledger = closing(openAt(folder.file, clock));
    const hold = await ledger.hold(askFor(10, capOf(100)));
    if (!(hold instanceof OpenHold)) throw new Error("not granted");
    hold.nanos -= 1;
    clock.ms += 3_600_000;
    expect(await failureOf(ledger.hold(askFor(10, capOf(100))))).toMatchObject({ code: "BUDGET_LEDGER" });
    expect(ledger.health().fault).toContain("open holds of windu do not add up");
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
