// The check of the books must find what it is for: each case spoils one of them.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { Bill } from "./billing-provider.ts";
import { checkBooks, type BooksFound } from "./books.ts";

interface Line {
  id: string;
  agent: string;
  outcome: string;
  usd: number;
  held_usd: number;
  attempts: { candidate: string; outcome: string; usd: number; upstream_id?: string }[];
}

interface Books {
  lines: Line[];
  bills: Map<string, Bill>;
  asked: number;
  heardIds: Set<string>;
  spentUsd: Record<string, number>;
  ledgerNanos: number;
  openHolds: number;
  /** What is done to the text of the trail. */
  edit: (text: string) => string;
}

const bill = (end: Bill["end"], micros: number, fullMicros = micros): Bill => ({
  n: 1,
  end,
  micros,
  fullMicros,
  lostMicros: 0,
  closedAt: null,
});

function soundBooks(): Books {
  const cloud = "asked-chat-1";
  return {
    lines: [
      {
        id: "req_1",
        agent: "ample",
        outcome: "ok",
        usd: 0.0012,
        held_usd: 0.1,
        attempts: [{ candidate: cloud, outcome: "ok", usd: 0.0012, upstream_id: "up-1" }],
      },
      {
        id: "req_2",
        agent: "ample",
        outcome: "ok",
        usd: 0.005,
        held_usd: 0.1,
        attempts: [
          { candidate: cloud, outcome: "cut_stream", usd: 0.005, upstream_id: "up-2" },
          { candidate: "at-home", outcome: "ok", usd: 0 },
        ],
      },
      {
        id: "req_3",
        agent: "tight",
        outcome: "client_gone",
        usd: 0.002,
        held_usd: 0.1,
        attempts: [{ candidate: cloud, outcome: "client_gone", usd: 0.002 }],
      },
    ],
    bills: new Map([
      ["up-1", bill("answered", 1_200)],
      ["up-2", bill("broken", 4_000, 9_000)],
      ["up-3", bill("left", 1_500, 9_000)],
    ]),
    asked: 3,
    heardIds: new Set(["req_1", "req_2"]),
    spentUsd: { ample: 0.0062, tight: 0.002 },
    ledgerNanos: 8_200_000,
    openHolds: 0,
    edit: (text) => text,
  };
}

async function check(spoil: (books: Books) => void): Promise<BooksFound> {
  const books = soundBooks();
  spoil(books);
  const home = mkdtempSync(join(tmpdir(), "sanctum-books-test-"));
  try {
    mkdirSync(join(home, "logs"));
    mkdirSync(join(home, "state"));
    let prev = `sha256:${"0".repeat(64)}`;
    const lines = books.lines.map((line, at) => {
      const text = JSON.stringify({ v: 1, seq: at + 1, prev, ...line });
      prev = `sha256:${createHash("sha256").update(text).digest("hex")}`;
      return `${text}\n`;
    });
    writeFileSync(join(home, "logs", "cloud-proxy-audit.jsonl"), books.edit(lines.join("")));
    using db = new Database(join(home, "state", "ledger.sqlite"), { create: true });
    db.run("CREATE TABLE holds (id INTEGER); CREATE TABLE ends (hold INTEGER, nanos INTEGER)");
    db.run("CREATE TABLE totals (nanos INTEGER)");
    db.run("INSERT INTO ends VALUES (0, ?)", [books.ledgerNanos]);
    for (let id = 1; id <= books.openHolds; id++) db.run("INSERT INTO holds VALUES (?)", [id]);
    return await checkBooks({ home, leftUnheard: 1, ...books });
  } finally {
    rmSync(home, { recursive: true });
  }
}

test("sound books have no fault", async () => {
  const found = await check(() => undefined);
  expect(found.faults).toEqual([]);
  expect(found.micros).toEqual({
    trail: 8_200,
    ledger: 8_200,
    stats: 8_200,
    billed: 6_700,
    exact: 1_200,
    countedCharged: 7_000,
    countedBilled: 5_500,
  });
});

const spoilt: readonly (readonly [name: string, kind: string, spoil: (books: Books) => void])[] = [
  ["a changed line", "chain", (books) => (books.edit = (text) => text.replace('"req_1"', '"req_9"'))],
  ["a line that is missing", "seq", (books) => (books.edit = (text) => text.slice(text.indexOf("\n") + 1))],
  ["a request with two lines", "twice", (books) => books.lines.push(books.lines[0]!)],
  ["a request that has no line", "lines", (books) => (books.asked = 5)],
  ["an answer that has no line", "no line", (books) => books.heardIds.add("req_7")],
  [
    "an answer that costs more than its provider bills",
    "exact",
    (books) => books.bills.set("up-1", bill("answered", 1_199)),
  ],
  [
    "a broken answer below its bill",
    "below the bill",
    (books) => books.bills.set("up-2", bill("broken", 6_000, 9_000)),
  ],
  ["a broken answer above its hold", "above the hold", (books) => (books.lines[1]!.held_usd = 0.004)],
  ["a call that nobody recorded", "calls", (books) => books.bills.set("up-9", bill("answered", 10))],
  ["an answer that nobody gave", "no bill", (books) => books.bills.delete("up-1")],
  ["a fallback that costs something", "free", (books) => (books.lines[1]!.attempts[1]!.usd = 0.001)],
  ["a line that is not the sum of its attempts", "sum", (books) => (books.lines[0]!.usd = 0.0013)],
  ["counters that differ from the trail", "stats", (books) => (books.spentUsd["tight"] = 0.003)],
  ["a ledger that differs from the trail", "ledger", (books) => (books.ledgerNanos = 8_200_001)],
  ["a hold that stays", "ledger", (books) => (books.openHolds = 1)],
];

for (const [name, kind, spoil] of spoilt) {
  test(`${name} is found`, async () => {
    const { faults } = await check(spoil);
    expect(faults.map((fault) => fault.split(":")[0])).toContain(kind);
  });
}
