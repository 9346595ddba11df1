import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { smallBody, startHouse, type House } from "../fakes/house.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { eventually, tokenOf } from "../harness.ts";

setDefaultTimeout(60_000);

const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };
const config = {
  agents: { windu: { daily_usd: 5, monthly_usd: 9, tokens: [tokenOf("windu").hash] } },
  models: {
    asked: { provider: "anthropic", model: "sent", price },
    "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 },
  },
};

/** Serves so many priced requests and waits until each has its line. */
async function spend(house: House, count: number): Promise<void> {
  const before = house.gateway.auditLines().length;
  for (let sent = 0; sent < count; sent++) {
    const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
    const answer = await rawPost(house.gateway.url, {
      path: "/v1/messages",
      body: smallBody("messages", "asked"),
      headers,
    });
    expect(answer.status).toBe(200);
  }
  await eventually(() => expect(house.gateway.auditLines().length).toBe(before + count));
}

async function spentOf({ gateway }: House): Promise<number> {
  return (await gateway.stats()).agents["windu"]!.spent_usd;
}

const notesOf = async ({ gateway }: House): Promise<readonly string[]> => (await gateway.stats()).ledger.notes;

const stateOf = ({ gateway }: House): string => join(gateway.home, "state");

function removeLedger(house: House): void {
  for (const end of ["", "-wal"]) rmSync(join(stateOf(house), `ledger.sqlite${end}`), { force: true });
}

describe("whoever takes the ledger away regains no budget", () => {
  test("a deleted ledger: what the trail says was spent is charged again, once, and told", async () => {
    await using house = await startHouse({ config });
    await spend(house, 5);
    const before = await spentOf(house);
    expect(before).toBeGreaterThan(0);
    await house.gateway.stop();
    removeLedger(house);
    await house.gateway.restart();
    expect(await spentOf(house)).toBeCloseTo(before, 6);
    expect(await notesOf(house)).toEqual([expect.stringContaining("charges of the audit trail were missing")]);
    expect(house.gateway.output()).toContain("ledger: charges of the audit trail were missing");

    // The next start finds nothing missing, and the month has it too.
    await spend(house, 1);
    const after = await spentOf(house);
    await house.gateway.restart();
    expect(await spentOf(house)).toBeCloseTo(after, 6);
    expect(await notesOf(house)).toEqual([]);
    await house.gateway.stop();
    using db = new Database(join(stateOf(house), "ledger.sqlite"));
    const sums = db.query<{ month: number }, []>(
      "SELECT sum(e.nanos) / 1000 / 1e6 AS month FROM holds JOIN ends e ON e.hold = id GROUP BY month",
    );
    expect(sums.all().map(({ month }) => month)).toEqual([expect.closeTo(after, 6)]);
  });

  test("an older copy of the ledger: what came after it is charged again", async () => {
    await using house = await startHouse({ config });
    await spend(house, 3);
    await house.gateway.stop();
    const copy = join(house.gateway.home, "copy");
    cpSync(stateOf(house), copy, { recursive: true });
    await house.gateway.restart();
    await spend(house, 4);
    const before = await spentOf(house);
    await house.gateway.kill9();
    rmSync(stateOf(house), { recursive: true });
    renameSync(copy, stateOf(house));
    await house.gateway.restart();
    expect(await spentOf(house)).toBeCloseTo(before, 6);
    expect(await notesOf(house)).toEqual([expect.stringMatching(/they are restored: windu \$0\.\d{4}$/u)]);
  });

  test("and a restart, a kill and a restart again after a kill restore nothing that is there", async () => {
    await using house = await startHouse({ config });
    for (let round = 0; round < 4; round++) {
      await spend(house, 2);
      const before = await spentOf(house);
      if (round % 2 === 1) await house.gateway.kill9();
      await house.gateway.restart();
      expect(await spentOf(house)).toBeCloseTo(before, 6);
      expect(await notesOf(house)).toEqual([]);
    }
  });
});

describe("an audit trail that was tampered with while the gateway was stopped", () => {
  test.each([
    ["cut off", (lines: string[]) => lines.slice(0, -1)],
    ["changed in its last line", (lines: string[]) => lines.with(2, lines[2]!.replace('"usd":0.', '"usd":9.'))],
    ["emptied", () => []],
  ])("%s: is told at the start", async (_, tamper) => {
    await using house = await startHouse({ config });
    await spend(house, 3);
    const before = await spentOf(house);
    await house.gateway.stop();
    const file = join(house.gateway.home, "logs", "cloud-proxy-audit.jsonl");
    const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
    writeFileSync(
      file,
      tamper(lines)
        .map((line) => `${line}\n`)
        .join(""),
    );
    await house.gateway.restart();
    expect(await notesOf(house)).toEqual([expect.stringContaining("which the ledger remembers: it was cut off")]);
    expect(await spentOf(house)).toBe(before);
  });
});
