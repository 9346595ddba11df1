import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { FileSink } from "../layers/audit/index.ts";
import { StandingClock, sampleAttempt, sampleFacts } from "../layers/audit/sample-facts.ts";
import { parseCsv } from "../reports/csv.ts";
import { auditExportCommand } from "./audit-export.ts";
import type { Io } from "./io.ts";

const clock = new StandingClock();
let folder: string;
let trail: string;

beforeEach(async () => {
  process.exitCode = 0;
  folder = mkdtempSync(join(tmpdir(), "sanctum-export-"));
  trail = join(folder, "logs", "audit.jsonl");
  await using sink = new FileSink({ path: trail, clock, rotate: { sizeBytes: 2_000, keep: 99 } });
  const local = sampleAttempt({
    candidate: "coder-14b",
    provider: "ollama",
    model: "qwen2.5-coder:14b",
    local: true,
    nanos: 0,
  });
  const all = [
    sampleFacts({ id: "req_0" }),
    sampleFacts({ id: "req_1", agent: "mothma", requestedModel: "=cmd()" }),
    sampleFacts({ id: "req_2", attempts: [local], served: local, nanos: 0 }),
    sampleFacts({
      id: "req_3",
      agent: null,
      attempts: [],
      served: null,
      outcome: "refused_identity",
      status: 401,
      nanos: 0,
    }),
    sampleFacts({ id: "req_old", ts: Date.UTC(2026, 8, 1) }),
  ];
  for (const facts of all) {
    void sink.append(facts);
    await sink.flush();
  }
});

afterEach(() => {
  process.exitCode = 0;
  rmSync(folder, { recursive: true });
});

async function run(...args: string[]): Promise<{ out: string; err: string }> {
  const said = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    isTty: false,
    env: {},
    home: folder,
    configFile: "",
  };
  const settings = async () => ({ auditFile: trail, timezone: "UTC", config: null });
  await auditExportCommand(io, settings, clock).parseAsync(args, { from: "user" });
  return said;
}

describe("sanctum audit export", () => {
  test("writes CSV with a head, a row a request, and nothing that a spreadsheet would run", async () => {
    const { out, err } = await run();
    const { columns, rows } = parseCsv(out);
    expect(err).toBe("");
    expect(columns.slice(0, 5)).toEqual(["seq", "ts", "id", "agent", "auth"]);
    expect(rows.map(({ id }) => id)).toEqual(["req_0", "req_1", "req_2", "req_3"]);
    expect(rows[0]).toMatchObject({
      ts: "2026-11-23T17:59:58.120Z",
      usd: "0.0087",
      provider: "anthropic",
      attempt_count: "1",
    });
    expect(rows[1]!["requested_model"]).toBe("'=cmd()");
    expect(rows[2]).toMatchObject({ provider: "ollama", local: "true", usd: "0" });
    expect(rows[3]).toMatchObject({ agent: "", outcome: "refused_identity", status: "401", input_tokens: "" });
    expect(JSON.parse(rows[2]!["attempts"]!)).toMatchObject([{ candidate: "coder-14b" }]);
  });

  test("writes the lines as they are, of the period and the filters", async () => {
    const lines = async (...args: string[]): Promise<string[]> =>
      [...(await run("--format", "jsonl", ...args)).out.matchAll(/"id":"(\w+)"/g)].map((match) => match[1]!);
    expect(await lines("--since", "2026-09")).toHaveLength(5);
    expect(await lines("--since", "2026-09", "--until", "2026-10")).toEqual(["req_old"]);
    expect(await lines("--agent", "moth*")).toEqual(["req_1"]);
    expect(await lines("--local")).toEqual(["req_2"]);
    expect(await lines("--outcome", "refused_*")).toEqual(["req_3"]);
    expect(await lines("--min-usd", "0.0087")).toEqual(["req_0", "req_1"]);
    expect(await lines("--min-usd", "0.0088")).toEqual([]);
  });

  test("takes the form from the file's name, and puts the file in its place when it is whole", async () => {
    for (const name of ["trail.csv", "trail.jsonl", "trail.parquet"]) {
      const file = join(folder, name);
      writeFileSync(file, "an older one");
      expect((await run("--output", file)).out).toBe(`4 requests in ${file}\n`);
    }
    const bytes = readFileSync(join(folder, "trail.parquet"));
    const rows = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    });
    expect(rows).toHaveLength(4);
    expect(rows[0]).toMatchObject({
      seq: 1n,
      id: "req_0",
      usd: 0.0087,
      stream: true,
      ts: new Date("2026-11-23T17:59:58.120Z"),
    });
    expect(readdirSync(folder).filter((name) => name.includes(".new"))).toEqual([]);
  });

  test("says what it left out, and leaves an older file alone where it fails", async () => {
    appendFileSync(trail, "somebody else\n");
    expect((await run()).err).toContain("1 line could not be read");
    const file = join(folder, "trail.csv");
    writeFileSync(file, "an older one");
    rmSync(join(folder, "logs"), { recursive: true });
    expect((await run("--output", file)).err).toContain("there is no audit trail yet");
    expect([process.exitCode, readFileSync(file, "utf8")]).toEqual([1, "an older one"]);
  });

  test.each([
    [["--format", "parquet"], 2, "--output FILE"],
    [["--since", "someday"], 2, '"someday" is no time'],
    [["--since", "2026-11-23", "--until", "2026-11-01"], 2, "--since must be before --until"],
    [["--output", "/nowhere/at/all.csv"], 1, "there is no folder /nowhere/at"],
  ] as const)("%p ends with %p and says why", async (args, code, text) => {
    const { err } = await run(...args);
    expect([process.exitCode, err]).toEqual([code, expect.stringContaining(text)]);
    expect(existsSync("/nowhere")).toBe(false);
  });
});
