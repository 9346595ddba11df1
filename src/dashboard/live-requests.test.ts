import { describe, expect, test } from "bun:test";
import { entryLine, type OpenedRequest } from "../layers/audit/index.ts";
import { StandingClock, sampleAttempt, sampleFacts } from "../layers/audit/sample-facts.ts";
import { LiveRequests } from "./live-requests.ts";

const noon = Date.UTC(2026, 10, 23, 12);

function newStage() {
  const clock = new StandingClock(noon);
  let written = 0;
  const live = new LiveRequests({
    clock,
    lineOf: (seq, facts) => {
      written++;
      return entryLine(seq, "", facts);
    },
  });
  return { clock, live, written: () => written };
}

function opened(id: string, change: Partial<OpenedRequest["record"]> = {}): OpenedRequest {
  const record = {
    id,
    arrivedAt: noon,
    agent: "windu",
    auth: "token" as const,
    requestedModel: "claude-sonnet-4-5",
    stream: true,
    intent: null,
    route: "default",
    attempts: [],
    served: null,
    bytesIn: 0,
    wouldHaveNanos: null,
    ...change,
  };
  return { record, dialect: "messages", path: "/v1/messages" };
}

/** What the page gets of the entries. */
function ids(entries: readonly unknown[]): string[] {
  return entries.map((entry) => (entry as { id: string }).id);
}

describe("requests that run", () => {
  test("are shown as they stand: who was asked, what came of it, who is asked now", () => {
    const { live, clock } = newStage();
    const request = opened("req_1");
    live.opened(request);
    clock.advance(500);
    const failed = sampleAttempt({
      startedAt: 0,
      outcome: "upstream_429",
      status: 429,
      ms: 210.4,
      ttftMs: null,
      nanos: 0,
    });
    const running = sampleAttempt({ startedAt: 500, outcome: null, status: null, ms: null, ttftMs: null, nanos: 0 });
    request.record.attempts.push(failed, running);
    expect(live.live()).toMatchObject([
      {
        id: "req_1",
        ts: "2026-11-23T12:00:00.000Z",
        agent: "windu",
        requested_model: "claude-sonnet-4-5",
        served_by: null,
        attempts: [
          { outcome: "upstream_429", status: 429, ms: 210, began: "2026-11-23T12:00:00.000Z", usd: 0 },
          { outcome: null, ms: null, began: "2026-11-23T12:00:00.500Z", held_usd: 0.0102 },
        ],
      },
    ]);
    request.record.served = running;
    expect(live.live()[0]!.served_by).toBe("anthropic/claude-sonnet-4-5");
  });

  test("look the same as long as nothing happens, however late it is", () => {
    const { live, clock } = newStage();
    const request = opened("req_1", { attempts: [sampleAttempt({ outcome: null })] });
    live.opened(request);
    const before = JSON.stringify(live.live());
    clock.advance(1_234);
    expect(JSON.stringify(live.live())).toBe(before);
  });

  test("leave when they end; of very many the oldest hundred are shown", () => {
    const { live } = newStage();
    for (let i = 0; i < 130; i++) live.opened(opened(`req_${i}`));
    for (let i = 0; i < 20; i++) live.closed(sampleFacts({ id: `req_${i}` }), i + 1);
    expect(ids(live.live())).toEqual(Array.from({ length: 100 }, (_, i) => `req_${i + 20}`));
  });

  test("show no more of a name than a line of the trail would", () => {
    const { live } = newStage();
    live.opened(opened("req_1", { requestedModel: "m".repeat(5_000) }));
    expect(live.live()[0]!.requested_model!.length).toBe(256);
  });
});

describe("requests that have ended", () => {
  test("are the newest twenty-four, newest first, in the words of the trail", () => {
    const { live } = newStage();
    for (let seq = 1; seq <= 170; seq++) live.closed(sampleFacts({ id: `req_${seq}` }), seq);
    const recent = live.recent();
    expect(ids(recent)).toEqual(Array.from({ length: 24 }, (_, i) => `req_${170 - i}`));
    expect(recent[0]).toMatchObject({ seq: 170, agent: "windu", outcome: "ok", usd: 0.0087 });
    expect(recent[0]).not.toHaveProperty("prev");
  });

  test("are written out once, and only when somebody looks", () => {
    const { live, written } = newStage();
    for (let seq = 1; seq <= 10; seq++) live.closed(sampleFacts(), seq);
    expect(written()).toBe(0);
    live.recent();
    live.recent();
    expect(written()).toBe(10);
  });

  test("of the last process stand before those of this one; what is no request is left out", () => {
    const { live } = newStage();
    live.closed(sampleFacts({ id: "req_new" }), 3);
    live.remember([
      entryLine(1, "", sampleFacts({ id: "req_a" })),
      "rubbish",
      '{"v":1}',
      entryLine(2, "", sampleFacts({ id: "req_b" })),
    ]);
    expect(ids(live.recent())).toEqual(["req_new", "req_b", "req_a"]);
  });
});
