import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { openAt, temporaryFolder } from "./budget-fixture.ts";

const child = join(import.meta.dir, "../../../test/crash/ledger-child.ts");

/** Lines that the child wrote before it was killed, after at least `enough` of them. */
async function killedAfter(enough: number, file: string, round: number): Promise<string[]> {
  const process_ = Bun.spawn([process.execPath, child, file, String(round)], { stdout: "pipe", stderr: "inherit" });
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of process_.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.split("\n").length > enough) process_.kill("SIGKILL");
  }
  await process_.exited;
  expect(process_.signalCode).toBe("SIGKILL");
  // The last line may be torn.
  return text.split("\n").slice(0, -1);
}

test("kill -9 in mid-load loses no hold and no settlement, and what was open is charged in full", async () => {
  using folder = temporaryFolder();
  const granted = new Map<string, number>();
  const settled = new Map<string, number>();
  for (let round = 0; round < 5; round++) {
    for (const line of await killedAfter(200 + round * 137, folder.file, round)) {
      const [what, requestId = "", nanos = ""] = line.split(" ");
      (what === "H" ? granted : settled).set(requestId, Number(nanos));
    }
    await openAt(folder.file, systemClock).close();
  }
  expect(granted.size).toBeGreaterThan(300);
  expect(settled.size).toBeGreaterThan(100);

  using db = new Database(folder.file);
  const rows = db
    .query<{ request: string; held: number; ended: string; charged: number }, []>(
      "SELECT request, h.nanos AS held, ended, e.nanos AS charged FROM holds h LEFT JOIN ends e ON e.hold = h.id",
    )
    .all();
  const byRequest = new Map(rows.map((row) => [row.request, row]));
  for (const [requestId, nanos] of granted) {
    expect(byRequest.get(requestId)).toBeDefined();
    expect(byRequest.get(requestId)!.held).toBeGreaterThanOrEqual(nanos);
  }
  for (const [requestId, nanos] of settled) {
    expect(byRequest.get(requestId)).toMatchObject({ ended: "settled", charged: nanos });
  }
  for (const row of rows)
    if (row.ended !== "settled") expect(row).toMatchObject({ ended: "crashed", charged: row.held });
  const spent = rows.filter((row) => !row.request.endsWith("-after")).reduce((sum, row) => sum + row.charged, 0);
  db.close();
  const ledger = openAt(folder.file, systemClock);
  expect(ledger.balances("windu")).toEqual({ spentNanos: spent, heldNanos: 0 });
  await ledger.close();
}, 30_000);
