import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Database } from "bun:sqlite";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Io } from "../../src/cli/io.ts";
import { reconcileCommand } from "../../src/cli/reconcile.ts";
import { loadSettings } from "../../src/cli/settings.ts";
import { smallBody, startHouse, type House } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import { eventually, tokenOf } from "../harness.ts";

setDefaultTimeout(60_000);

afterEach(() => {
  process.exitCode = 0;
});

const price = { input: 1, output: 10, cache_read: 1, cache_write: 1 };
/** What each request costs, in USD: 100 tokens in and 90 out. */
const each = 0.001;

async function house(gate?: Gate): Promise<House> {
  return startHouse({
    cloud: { respond: { answer: { usage: { input: 100, output: 90 } }, ...(gate === undefined ? {} : { gate }) } },
    config: { models: { dear: { provider: "anthropic", model: "claude-dear", price } } },
  });
}

async function ask({ gateway }: House, agent: string): Promise<number> {
  const response = await fetch(`${gateway.url}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${tokenOf(agent).token}` },
    body: smallBody("messages", "dear", { max_tokens: 100 }),
  });
  await response.text();
  return response.status;
}

interface Report {
  readonly agree: boolean;
  readonly ledger: { readonly requests_in_progress: number; readonly days: readonly Day[] };
  readonly providers: readonly { readonly days: readonly Day[]; readonly rows_left_out: number }[];
  readonly trail: Readonly<Record<string, number>>;
}
interface Day {
  readonly agent?: string;
  readonly model?: string;
  readonly ledger_usd?: number;
  readonly provider_usd?: number;
  readonly trail_usd: number;
  readonly difference_usd: number;
  readonly agrees: boolean;
  readonly notes: readonly string[];
  readonly requests: readonly { readonly id: string; readonly usd: number; readonly why: string }[];
}

async function run({ gateway }: House, args: readonly string[], aheadDays = 0): Promise<[string, string, unknown]> {
  const said = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    isTty: false,
    env: {},
    home: gateway.home,
    configFile: gateway.configFile,
  };
  process.exitCode = 0;
  // A provider's day is compared when it is over.
  const clock = { now: () => Date.now() + aheadDays * 86_400_000, monotonic: () => performance.now() };
  await reconcileCommand(io, { settings: () => loadSettings(io), clock }).parseAsync([...args], { from: "user" });
  return [said.out, said.err, process.exitCode];
}

async function report(at: House, args: readonly string[] = [], aheadDays = 0): Promise<Report> {
  const [out, err] = await run(at, [...args, "--json"], aheadDays);
  expect(err).toBe("");
  return JSON.parse(out) as Report;
}

/** The ledger hears of a line a moment after it is on the disk. */
async function settled(at: House): Promise<Report> {
  return eventually(async () => {
    const found = await report(at);
    if (found.ledger.requests_in_progress > 0) throw new Error("still in progress");
    return found;
  });
}

const trailOf = ({ gateway }: House): string => join(gateway.home, "logs/cloud-proxy-audit.jsonl");
const linesOf = (at: House): string[] => readFileSync(trailOf(at), "utf8").trimEnd().split("\n");

async function untilLines(at: House, count: number): Promise<void> {
  await eventually(() => {
    if (at.gateway.auditText().length < count) throw new Error("not written yet");
  });
}

describe("the ledger and the audit trail", () => {
  test("agree after a day's work, asked of the running gateway and read from its file", async () => {
    await using at = await house();
    for (const agent of ["windu", "windu", "mothma"]) expect(await ask(at, agent)).toBe(200);
    await untilLines(at, 3);
    const asked = await settled(at);
    expect(asked.agree).toBe(true);
    expect(asked.ledger.days.map(({ agent, ledger_usd, trail_usd }) => [agent, ledger_usd, trail_usd])).toEqual([
      ["mothma", each, each],
      ["windu", 2 * each, 2 * each],
    ]);
    const [text, , code] = await run(at, []);
    expect(text).toContain("they agree: ledger $0.003000, trail $0.003000, 2 sums compared");
    expect(code).toBe(0);
    await at.gateway.stop();
    expect((await report(at)).ledger.days).toEqual(asked.ledger.days);
  });

  test("leave out a request in progress on both sides, and agree also after kill -9", async () => {
    const gate = new Gate();
    await using at = await house(gate);
    const pending = ask(at, "windu").catch(() => 0);
    await eventually(() => {
      if (at.cloud.generations.length < 1) throw new Error("not asked yet");
    });
    expect(await report(at)).toMatchObject({ agree: true, ledger: { requests_in_progress: 1 } });
    await at.gateway.kill9();
    await pending;
    expect(await report(at)).toMatchObject({ agree: true, ledger: { requests_in_progress: 1 } });
    await at.gateway.restart();
    const after = await report(at);
    expect(after).toMatchObject({ agree: true, ledger: { requests_in_progress: 0 } });
    expect(after.ledger.days[0]!.trail_usd).toBeGreaterThan(0);
  });

  test("differ where a line was taken away, and the request is named with its size", async () => {
    await using at = await house();
    for (let i = 0; i < 3; i++) await ask(at, "windu");
    await untilLines(at, 3);
    await at.gateway.stop();
    const [first, second, third] = linesOf(at);
    writeFileSync(trailOf(at), `${first}\n${third}\n`);
    const [text, , code] = await run(at, []);
    expect(code).toBe(1);
    expect(text).toContain("1 of 1 differ");
    expect(text).toContain("1 line of that day missing from the trail");
    const { id } = JSON.parse(second!) as { id: string };
    expect((await report(at)).ledger.days[0]).toMatchObject({
      agrees: false,
      difference_usd: each,
      requests: [{ id, usd: each, why: "is charged, and has no line on that day" }],
    });
  });

  test("differ where somebody wrote into the ledger, and the request is named", async () => {
    await using at = await house();
    await ask(at, "windu");
    await untilLines(at, 1);
    await at.gateway.stop();
    const db = new Database(join(at.gateway.home, "state/ledger.sqlite"));
    db.run("UPDATE ends SET nanos = nanos - 400000 WHERE nanos > 0");
    db.close();
    const { agree, ledger } = await report(at);
    expect(agree).toBe(false);
    expect(ledger.days[0]).toMatchObject({ difference_usd: -0.0004 });
    expect(ledger.days[0]!.requests).toMatchObject([
      { usd: -0.0004, why: "is charged differently than its line says" },
    ]);
  });

  test("cannot be compared before there is a ledger, and that is told", async () => {
    await using at = await house();
    const nowhere = { ...at, gateway: { home: join(at.gateway.home, "empty"), configFile: "" } } as unknown as House;
    const [out, err, code] = await run(nowhere, []);
    expect([out, code]).toEqual(["", 1]);
    expect(err).toContain("there is no ledger yet");
  });
});

describe("a provider's own account", () => {
  async function account(at: House, text: string): Promise<string> {
    const file = join(at.gateway.home, "export.csv");
    writeFileSync(file, text);
    return file;
  }

  test("agrees with the trail by day and model, and differs with its size where it is dearer", async () => {
    await using at = await house();
    for (let i = 0; i < 4; i++) await ask(at, "windu");
    await untilLines(at, 4);
    const { ts } = JSON.parse(linesOf(at)[0]!) as { ts: string };
    const day = ts.slice(0, 10);
    const good = await account(at, `date,model,usd\n${day},claude-dear,0.004000\n`);
    const agreed = await report(at, [good, "--provider", "anthropic"], 2);
    expect(agreed).toMatchObject({ agree: true, providers: [{ days: [{ model: "claude-dear", agrees: true }] }] });
    const dearer = await account(at, `date,model,usd\n${day},claude-dear,0.005000\n`);
    const differs = await report(at, [dearer, "--provider", "anthropic"], 2);
    expect(differs).toMatchObject({
      agree: false,
      providers: [{ days: [{ provider_usd: 0.005, trail_usd: 0.004, difference_usd: 0.001 }] }],
    });
    const [text, , code] = await run(at, [dearer, "--provider", "anthropic"], 2);
    expect(text).toContain("1 of 1 differ: provider $0.005000, trail $0.004000");
    expect(code).toBe(1);
    expect(await report(at, [dearer, "--provider", "anthropic", "--tolerance", "25"], 2)).toMatchObject({
      agree: true,
    });
  });

  test("of a day that is not over is not compared", async () => {
    await using at = await house();
    await ask(at, "windu");
    await untilLines(at, 1);
    const day = new Date().toISOString().slice(0, 10);
    const file = await account(at, `date,model,usd\n${day},claude-dear,7\n`);
    expect(await report(at, [file, "--provider", "anthropic"])).toMatchObject({
      agree: true,
      providers: [{ rows_left_out: 1, days: [] }],
    });
  });

  test("that nobody can read is told, with what can be", async () => {
    await using at = await house();
    const [, unknown, code] = await run(at, [await account(at, "a,b\n1,2\n")]);
    expect(unknown).toContain("export.csv: this is no export that is understood: its columns are a, b");
    expect(unknown).toContain("OpenAI costs (CSV): start_time, amount_value, amount_currency");
    expect(code).toBe(1);
    const [, whose, usage] = await run(at, [await account(at, "date,usd\n2026-11-20,1\n")]);
    expect(whose).toContain("add --provider NAME");
    expect(usage).toBe(2);
    const [, missing] = await run(at, [join(at.gateway.home, "nowhere.csv")]);
    expect(missing).toContain("nowhere.csv: it cannot be read");
  });
});
