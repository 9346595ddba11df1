import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { FileSink, withoutSeals, type ChainPosition } from "../layers/audit/index.ts";
import { sampleFacts } from "../layers/audit/sample-facts.ts";
import { auditCommand, type AuditCommandParts } from "./audit.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";

const folders: string[] = [];

beforeEach(() => {
  process.exitCode = 0;
});

afterEach(() => {
  process.exitCode = 0;
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

class CapturedIo implements Io {
  readonly isTty: boolean;
  readonly env = {};
  readonly home = "";
  readonly configFile = "";
  written = "";
  errors = "";
  onOut: () => void = () => undefined;

  constructor(isTty = false) {
    this.isTty = isTty;
  }

  out(text: string): void {
    this.written += text;
    this.onOut();
  }

  err(text: string): void {
    this.errors += text;
  }
}

async function trail(count: number, agents = ["windu"]): Promise<{ file: string; anchor: ChainPosition }> {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-cli-audit-"));
  folders.push(folder);
  const file = join(folder, "audit.jsonl");
  await using sink = new FileSink({ path: file, clock: systemClock, rotate: { sizeBytes: 4_000, keep: 100 } });
  for (let i = 0; i < count; i++) {
    void sink.append(sampleFacts({ id: `req_${i}`, agent: agents[i % agents.length] ?? null }));
    await sink.flush();
  }
  const { entries, head } = sink.health();
  return { file, anchor: { seq: entries, head } };
}

function settingsFor(auditFile: string): Settings {
  return { auditFile, timezone: "UTC", config: null };
}

/** Without a gateway, and without seals. */
function partsFor(file: string, changes: Partial<AuditCommandParts> = {}): AuditCommandParts {
  return {
    settings: async () => settingsFor(file),
    anchor: async () => null,
    vault: { seals: async () => withoutSeals(file), contentKey: async () => ({ state: "none" }) },
    accept: async () => ({ ok: false, text: "not running" }),
    ...changes,
  };
}

async function run(io: CapturedIo, file: string, args: string[], anchor: ChainPosition | null = null): Promise<void> {
  const command = auditCommand(io, partsFor(file, { anchor: async () => anchor }));
  await command.parseAsync(args, { from: "user" });
}

describe("sanctum audit verify", () => {
  test("says that the chain is whole, over rotated files, with exit code 0", async () => {
    const { file, anchor } = await trail(20);
    const io = new CapturedIo();
    await run(io, file, ["verify"], anchor);
    expect(io.written).toBe(`the chain is whole: 20 lines in 4 files, head ${anchor.head}\n`);
    expect(process.exitCode).toBe(0);
  });

  test("names the first broken line with exit code 1, also as JSON", async () => {
    const { file } = await trail(3);
    writeFileSync(file, readFileSync(file, "utf8").replace('"id":"req_1"', '"id":"req_X"'));
    const io = new CapturedIo();
    await run(io, file, ["verify"]);
    expect(io.written).toContain(`edited: ${file}:2: `);
    expect(process.exitCode).toBe(1);
    const json = new CapturedIo();
    await run(json, file, ["verify", "--json"]);
    expect(JSON.parse(json.written)).toMatchObject({ ok: false, broken: { file, line: 2, rule: "edited" } });
  });

  test("finds an end that was cut off while the gateway runs", async () => {
    const { file, anchor } = await trail(3);
    const lines = readFileSync(file, "utf8").split("\n");
    writeFileSync(file, `${lines[0]}\n`);
    const io = new CapturedIo();
    await run(io, file, ["verify"], anchor);
    expect(io.written).toContain("missing");
    expect(process.exitCode).toBe(1);
  });

  test("checks files that are named, and says so when one cannot be read", async () => {
    const { file } = await trail(3);
    renameSync(file, `${file}.moved`);
    const io = new CapturedIo();
    await run(io, file, ["verify", `${file}.moved`]);
    expect(io.written).toContain("3 lines in 1 files");
    await run(io, file, ["verify", `${file}.nowhere`]);
    expect(io.errors).toContain("cannot be read");
    expect(process.exitCode).toBe(1);
  });
});

describe("sanctum audit tail", () => {
  test("shows the newest requests, one a line, over rotated files", async () => {
    const { file } = await trail(20);
    const io = new CapturedIo();
    await run(io, file, ["tail", "-n", "7"]);
    const lines = io.written.trimEnd().split("\n");
    expect(lines).toHaveLength(7);
    expect(lines[6]).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}windu {7}ok {14}\$0\.008700 {4}2140 ms {2}claude-sonnet-4-5 → anthropic\/claude-sonnet-4-5$/,
    );
  });

  test("shows one agent's only, and the lines as they are with --json", async () => {
    const { file } = await trail(9, ["windu", "mothma", "jocasta"]);
    const io = new CapturedIo();
    await run(io, file, ["tail", "--agent", "mothma", "--json", "-n", "2"]);
    const lines = io.written.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(["req_4", "req_7"]);
  });

  test("shows what is asked for: outcome, provider, model, cost, time; of the whole trail, however long", async () => {
    const { file } = await trail(1);
    await using sink = new FileSink({ path: file, clock: systemClock, rotate: { sizeBytes: 4_000, keep: 100 } });
    const day = (number: number): number => Date.UTC(2026, 10, number, 12);
    const refused = { outcome: "refused_budget", attempts: [], served: null, nanos: 0 } as const;
    for (let i = 0; i < 30; i++) {
      void sink.append(sampleFacts({ id: `day_${i + 1}`, ts: day(i + 1), ...(i % 10 === 0 && refused) }));
      await sink.flush();
    }
    void sink.append(sampleFacts({ id: "dear", ts: day(30), nanos: 900_000_000, requestedModel: "gpt-5" }));
    await sink.flush();
    const ids = async (...args: string[]): Promise<string[]> => {
      const io = new CapturedIo();
      await run(io, file, ["tail", "--json", ...args]);
      return [...io.written.matchAll(/"id":"(\w+)"/g)].map((match) => match[1]!);
    };
    expect(await ids("--outcome", "refused_*")).toEqual(["day_1", "day_11", "day_21"]);
    expect(await ids("--outcome", "refused_*", "-n", "1")).toEqual(["day_21"]);
    expect(await ids("--min-usd", "0.5")).toEqual(["dear"]);
    expect(await ids("--model", "gpt-*", "--provider", "anthropic")).toEqual(["dear"]);
    expect(await ids("--provider", "openai")).toEqual([]);
    expect(await ids("--since", "2026-11-30")).toEqual(["day_30", "dear"]);
    expect(await ids("--since", "2026-11-05", "--agent", "windu")).toHaveLength(27);
    expect(await ids()).toHaveLength(20);
    expect(await ids("-n", "0")).toEqual([]);
  });

  test("lets no escape sequence from a client's model name reach the terminal", async () => {
    const { file } = await trail(1);
    appendFileSync(file, `${JSON.stringify({ requested_model: "\u001b[2J\u202eevil" })}\n\u001b[31mno line\n`);
    const io = new CapturedIo();
    await run(io, file, ["tail"]);
    expect(io.written).not.toContain("\u001b");
    expect(io.written).not.toContain("\u202e");
    expect(io.written).toContain("\\u001b[2J\\u202eevil");
    expect(io.written).toContain("not an audit line");
  });

  test("shows what was written just before and just after a rotation", async () => {
    const { file } = await trail(1);
    const io = new CapturedIo();
    const stop = new AbortController();
    const command = auditCommand(io, partsFor(file, { signal: stop.signal }));
    io.onOut = () => {
      appendFileSync(file, '{"id":"before"}\n');
      renameSync(file, `${file}.1`);
      writeFileSync(file, '{"id":"after"}\n');
      io.onOut = () => {
        if (io.written.includes("after")) stop.abort();
      };
    };
    await command.parseAsync(["tail", "-f", "--json"], { from: "user" });
    expect(io.written).toEndWith('{"id":"before"}\n{"id":"after"}\n');
  }, 20_000);

  test("follows what is written, across a rotation, until it is told to stop", async () => {
    const { file } = await trail(1);
    const io = new CapturedIo();
    const stop = new AbortController();
    const command = auditCommand(io, partsFor(file, { signal: stop.signal }));
    await using sink = new FileSink({ path: file, clock: systemClock, rotate: { sizeBytes: 2_000, keep: 100 } });
    const ids = (): string[] => [...io.written.matchAll(/"id":"(\w+)"/g)].map((match) => match[1]!);
    let next = 0;
    io.onOut = () => {
      // Each line that is shown lets the next one be written.
      if (next < 12) void sink.append(sampleFacts({ id: `live_${next++}` }));
      else stop.abort();
    };
    await command.parseAsync(["tail", "-f", "--json"], { from: "user" });
    expect(ids()).toEqual(["req_0", ...Array.from({ length: 12 }, (_, i) => `live_${i}`)]);
  }, 20_000);
});
