import { afterEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileSink, auditFiles, type AuditFacts } from "../layers/audit/index.ts";
import { StandingClock, sampleAttempt, sampleFacts } from "../layers/audit/sample-facts.ts";
import { auditQueryCommand } from "./audit-query.ts";
import type { Io } from "./io.ts";

const folders: string[] = [];
const noon = Date.UTC(2026, 10, 23, 12);
const day = 86_400_000;

afterEach(() => {
  process.exitCode = 0;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A trail in files of about five lines, as the gateway writes and rotates them. */
async function trail(facts: readonly Partial<AuditFacts>[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-query-"));
  folders.push(folder);
  const file = join(folder, "audit.jsonl");
  const clock = new StandingClock(noon);
  await using sink = new FileSink({ path: file, clock, rotate: { sizeBytes: 4_000, keep: 100 } });
  for (const [i, each] of facts.entries()) {
    void sink.append(sampleFacts({ id: `req_${i}`, ts: noon - 1_000, ...each }));
    await sink.flush();
  }
  return file;
}

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: unknown;
}

async function query(file: string, ...args: readonly string[]): Promise<Ran> {
  const said = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    isTty: false,
    env: {},
    home: "",
    configFile: "",
  };
  process.exitCode = 0;
  const settings = async () => ({ auditFile: file, timezone: "Europe/Berlin", config: null });
  const command = auditQueryCommand(io, settings, new StandingClock(noon)).exitOverride();
  command.configureOutput({ writeErr: (text) => void (said.err += text) });
  try {
    await command.parseAsync([...args], { from: "user" });
  } catch (error) {
    said.err += String(error);
    process.exitCode = 2;
  }
  return { ...said, code: process.exitCode };
}

interface Document {
  readonly groups: readonly { readonly group: Readonly<Record<string, string>>; readonly [sum: string]: unknown }[];
  readonly groups_left_out: number;
  readonly total: Readonly<Record<string, number>>;
  readonly trail: Readonly<Record<string, unknown>>;
}

async function queried(file: string, ...args: readonly string[]): Promise<Document> {
  const { out, err } = await query(file, ...args, "--json");
  expect(err).toBe("");
  return JSON.parse(out) as Document;
}

const local = sampleAttempt({ candidate: "coder-14b", provider: "ollama", local: true, nanos: 0, price: "free" });
const failed = sampleAttempt({ outcome: "upstream_429", status: 429, nanos: 0, usage: null, usageSource: null });
const served: Partial<AuditFacts> = { attempts: [failed, local], served: local, nanos: 0, wouldHaveNanos: 8_700_000 };
const nobody: Partial<AuditFacts> = { attempts: [], served: null, nanos: 0, heldNanos: 0 };

describe("sanctum audit query", () => {
  test("sums up requests, tokens and money over rotated files, dearest first", async () => {
    const file = await trail([
      ...Array.from({ length: 12 }, () => ({})),
      { ...served, agent: "mothma" },
      { ...nobody, agent: "mothma", outcome: "refused_budget", status: 402 },
      { ...nobody, agent: "mothma", outcome: "upstream_error", status: 503 },
    ]);
    expect(auditFiles(file).length).toBeGreaterThan(2);
    const { groups, total, trail: read } = await queried(file, "--by", "agent");
    expect(groups).toEqual([
      {
        group: { agent: "windu" },
        requests: 12,
        cloud: 12,
        local: 0,
        fallbacks: 0,
        refused: 0,
        errors: 0,
        input_tokens: 14_400,
        output_tokens: 4_080,
        usd: 0.1044,
        saved_usd: 0,
      },
      {
        group: { agent: "mothma" },
        requests: 3,
        cloud: 0,
        local: 1,
        fallbacks: 1,
        refused: 1,
        errors: 1,
        input_tokens: 1_200,
        output_tokens: 340,
        usd: 0,
        saved_usd: 0.0087,
      },
    ]);
    expect(total).toMatchObject({ requests: 15, usd: 0.1044, saved_usd: 0.0087 });
    expect(read).toMatchObject({ lines: 15, unreadable_lines: 0, missing_lines: 0 });
  });

  test("shows a table with its total and its period", async () => {
    const { out } = await query(await trail([{}, served]));
    expect(out).toMatch(/^agent +model +req +cloud +local +fallb +refused +errors +input +output +spent +saved\n/);
    expect(out).toMatch(/\nwindu +claude-sonnet-4-5 +2 +1 +1 +1 +0 +0 +2400 +680 +\$0\.008700 +\$0\.008700\n/);
    expect(out).toMatch(/\ntotal +2 .*\n2026-11-16 13:00 to 2026-11-23 13:00 \(Europe\/Berlin\)\n$/);
  });

  test("takes the period that is asked for, and opens no file that is older", async () => {
    const file = await trail([
      ...Array.from({ length: 10 }, () => ({ ts: noon - 20 * day })),
      ...Array.from({ length: 10 }, () => ({ ts: noon - 3 * day })),
      { ts: noon - 60_000 },
    ]);
    expect(await queried(file)).toMatchObject({ total: { requests: 11 }, trail: { files_skipped: 2 } });
    expect((await queried(file, "--since", "today")).total["requests"]).toBe(1);
    expect((await queried(file, "--since", "2026-11", "--until", "2026-11-22")).total["requests"]).toBe(20);
    const byDay = await queried(file, "--since", "30d", "--by", "day");
    expect(byDay.groups.map((group) => [group.group["day"], group["requests"]])).toEqual([
      ["2026-11-03", 10],
      ["2026-11-20", 10],
      ["2026-11-23", 1],
    ]);
  });

  test("filters by every column, several values and wildcards", async () => {
    const file = await trail([
      {},
      { agent: "mothma" },
      { agent: "jocasta", ...nobody, outcome: "refused_budget" },
      { agent: "jocasta", ...nobody, outcome: "refused_limit" },
      served,
    ]);
    const requests = async (...args: string[]): Promise<unknown> => (await queried(file, ...args)).total["requests"];
    expect(await requests("--agent", "windu,mothma")).toBe(3);
    expect(await requests("--outcome", "refused_*")).toBe(2);
    expect(await requests("--provider", "anthropic")).toBe(2);
    expect(await requests("--served-by", "coder-*")).toBe(1);
    expect(await requests("--local")).toBe(1);
    expect(await requests("--cloud", "--agent", "mothma")).toBe(1);
    expect(await requests("--model", "gpt-*")).toBe(0);
  });

  test("shows money where it was paid, and the request where it was answered", async () => {
    const cut = sampleAttempt({ candidate: "openai/gpt-5.1", provider: "openai", outcome: "cut_stream" });
    const good = sampleAttempt({ nanos: 1_000_000 });
    const file = await trail([{ attempts: [cut, good], served: good, nanos: 9_700_000 }]);
    const { groups } = await queried(file, "--by", "provider");
    expect(groups.map((group) => [group.group["provider"], group["requests"], group["usd"]])).toEqual([
      ["openai", 0, 0.0087],
      ["anthropic", 1, 0.001],
    ]);
  });

  test("knows the provider behind an alias", async () => {
    const { groups } = await queried(await trail([served]), "--by", "provider,local");
    expect(groups).toMatchObject([{ group: { provider: "ollama", local: "local" } }]);
  });

  test("counts lines that cannot be read or are missing, and says where the first one is", async () => {
    const file = await trail(Array.from({ length: 4 }, () => ({})));
    const [first, second, , fourth] = readFileSync(file, "utf8").split("\n");
    writeFileSync(file, `${first}\n\u0000\u0001 not JSON\n${"x".repeat(3_000_000)}\n[]\n{"v":1}\n\n${fourth}\n`);
    appendFileSync(file, second!.slice(0, 100));
    const { out, code } = await query(file);
    expect(out).toContain(`5 lines could not be read, the first at ${file}:2`);
    expect(code).toBe(0);
    expect((await queried(file)).total["requests"]).toBe(2);
    writeFileSync(file, `${first}\n${fourth}\n`);
    expect((await query(file)).out).toContain("2 lines are missing from the trail");
  });

  test("keeps no more groups than memory allows, whatever names clients invent", async () => {
    const file = await trail([{}]);
    const line = readFileSync(file, "utf8").trimEnd();
    let text = "";
    for (let i = 0; i < 12_000; i++) text += `${line.replace('"claude-sonnet-4-5","intent"', `"m${i}","intent"`)}\n`;
    writeFileSync(file, text);
    const { groups, total } = await queried(file, "--by", "model");
    expect(groups).toHaveLength(10_001);
    expect(groups[0]).toMatchObject({ group: { model: "(other)" }, requests: 2_000 });
    expect(total["requests"]).toBe(12_000);
  });

  test("sorts and cuts as asked, and says how much is left out", async () => {
    const file = await trail([{ agent: "a", nanos: 0 }, { agent: "a", nanos: 0 }, { agent: "b" }, { agent: "c" }]);
    const names = async (...args: string[]): Promise<unknown[]> =>
      (await queried(file, "--by", "agent", ...args)).groups.map(({ group }) => group["agent"]);
    expect(await names()).toEqual(["b", "c", "a"]);
    expect(await names("--sort", "requests")).toEqual(["a", "b", "c"]);
    expect(await names("--limit", "1")).toEqual(["b"]);
    expect((await query(file, "--by", "agent", "--limit", "1")).out).toContain("… 2 more");
  });

  test("lets no escape sequence of a client's model name reach the terminal", async () => {
    const file = await trail([{ requestedModel: "\u001b[2Jevil" }]);
    const { out } = await query(file);
    expect(out).not.toContain("\u001b");
    expect(out).toContain("\\u001b[2Jevil");
  });

  test("tells a period or column that nobody can read, with exit code 2, and a missing trail with 1", async () => {
    const file = await trail([{}]);
    expect(await query(file, "--since", "soon")).toMatchObject({ code: 2 });
    expect((await query(file, "--since", "soon")).err).toContain('"soon" is no time; write e.g. "7d"');
    expect((await query(file, "--since", "today", "--until", "yesterday")).err).toContain("must be before");
    expect((await query(file, "--by", "agent,colour")).err).toContain('"colour" is none of agent, model');
    const nowhere = await query(join(file, "../nowhere.jsonl"));
    expect(nowhere).toMatchObject({ code: 1, out: "" });
    expect(nowhere.err).toContain("there is no audit trail yet");
  });
});
