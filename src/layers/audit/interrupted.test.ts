import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileSink } from "./file-sink.ts";
import { recordInterrupted, type InterruptedRequest, type OpenRequestFacts } from "./interrupted.ts";
import { StandingClock, sampleFacts } from "./sample-facts.ts";
import { Tally } from "./tally.ts";
import { verifyAudit } from "./verify.ts";

const facts: OpenRequestFacts = {
  id: "req_a",
  ts: Date.UTC(2026, 10, 23, 17, 59, 0),
  agent: "windu",
  auth: "token",
  peer: "127.0.0.1",
  dialect: "messages",
  path: "/v1/messages",
  stream: true,
  requestedModel: "claude-sonnet-4-5",
  intent: "code",
  route: "default",
};

async function record(requests: readonly InterruptedRequest[], written: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-interrupted-"));
  const path = join(folder, "audit.jsonl");
  const clock = new StandingClock();
  const closed: string[] = [];
  const tally = new Tally(() => "2026-11-23");
  try {
    await using sink = new FileSink({ path, clock, rotate: { sizeBytes: 1e8, keep: 3 } });
    for (const id of written) void sink.append(sampleFacts({ id }));
    await sink.flush();
    const journal = { closeRequest: (id: string) => void closed.push(id) };
    const count = await recordInterrupted({ sink, journal, tally, clock }, requests);
    const lines = readFileSync(path, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect((await verifyAudit([path])).ok).toBe(true);
    return { lines: lines.slice(written.length), closed, count, tally };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("writes a line with what is known and what was charged, durable before the ledger forgets the request", async () => {
  const charges = [
    { candidate: "anthropic/claude-sonnet-4-5", nanos: 10_200_000 },
    { candidate: "openai/gpt-5.1", nanos: 2_000_000 },
  ];
  const { lines, closed, count, tally } = await record([{ id: "req_a", facts: JSON.stringify(facts), charges }]);
  expect(count).toBe(1);
  expect(closed).toEqual(["req_a"]);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    id: "req_a",
    agent: "windu",
    outcome: "interrupted",
    usd: 0.0122,
    held_usd: 0.0102,
  });
  expect(lines[0]).toMatchObject({
    requested_model: "claude-sonnet-4-5",
    served_by: null,
    usage: null,
    ms: 3_600_000 / 60,
  });
  expect(tally.agents().get("windu")).toMatchObject({ requests: 1, errors: 1 });
  expect(tally.inFlight).toBe(0);
});

test("writes no second line where the first was written and only the ledger did not hear of it", async () => {
  const requests = ["req_a", "req_b"].map((id) => ({ id, facts: JSON.stringify({ ...facts, id }), charges: [] }));
  const { lines, closed, count } = await record(requests, ["req_z", "req_a"]);
  expect(count).toBe(1);
  expect(lines.map((line) => line["id"])).toEqual(["req_b"]);
  expect(closed.sort()).toEqual(["req_a", "req_b"]);
});

test("writes a line also where the kept facts are damaged", async () => {
  for (const damaged of ["", "null", "[]", "{", '{"ts":1e300,"agent":7,"dialect":"x"}']) {
    const { lines } = await record([{ id: "req_a", facts: damaged, charges: [{ candidate: "x", nanos: 5_000 }] }]);
    expect(lines[0]).toMatchObject({
      id: "req_a",
      agent: null,
      dialect: "chat",
      outcome: "interrupted",
      usd: 0.000005,
    });
  }
});
