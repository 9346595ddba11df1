import { describe, expect, test } from "bun:test";
import { AttemptError, GatewayError, errorCodes, type ErrorCode } from "../../errors.ts";
import type { Arrived, Finish, GatewayResponse, Handler, Outcome, Recorded } from "../../request.ts";
import { audit, type AuditParts } from "./audit.ts";
import { StandingClock, sampleAttempt } from "./sample-facts.ts";
import type { AuditFacts, AuditHealth, AuditSink } from "./sink.ts";

class MemorySink implements AuditSink {
  readonly lines: AuditFacts[] = [];
  faulty = false;
  /** What `append` resolves to. */
  durable: Promise<boolean> = Promise.resolve(true);

  append(facts: AuditFacts): Promise<boolean> {
    this.lines.push(facts);
    return this.durable;
  }

  /** What `written` resolves with. */
  out: Promise<void> = Promise.resolve();

  async written(): Promise<void> {
    await this.out;
  }

  health(): AuditHealth {
    return { entries: this.lines.length, head: "", lastWrittenAt: null, fault: null, pending: 0, lost: 0, notes: [] };
  }

  async recorded(): Promise<Set<string>> {
    return new Set();
  }
}

class Stage {
  readonly sink = new MemorySink();
  readonly clock = new StandingClock();
  readonly closedInJournal: string[] = [];
  opened = 0;
  closed: AuditFacts[] = [];

  readonly parts: AuditParts = {
    sink: this.sink,
    journal: { closeRequest: (id) => this.closedInJournal.push(id) },
    tally: { opened: () => this.opened++, closed: (facts) => this.closed.push(facts) },
    clock: this.clock,
    errorStatus: (dialect, error) => (dialect === "chat" && error.code === "BUDGET_EXHAUSTED" ? 429 : error.status),
    onFailure: "refuse",
    contents: null,
  };

  handle(next: Handler<Recorded>, request: Arrived = arrived()): Promise<GatewayResponse> {
    return audit(this.parts)(next)(request);
  }
}

let ids = 0;

function arrived(changes: Partial<Arrived> = {}): Arrived {
  return {
    id: `req_${++ids}`,
    operation: "generate",
    dialect: "messages",
    path: "/v1/messages",
    claimedAgent: undefined,
    headers: new Headers(),
    peer: "127.0.0.1",
    fromLoopback: true,
    signal: new AbortController().signal,
    readBody: async () => new Uint8Array(),
    ...changes,
  };
}

function answer(finished: Promise<Finish>, status = 200): GatewayResponse {
  return { status, headers: {}, body: "", finished };
}

const finishedOk: Promise<Finish> = Promise.resolve({ outcome: "ok", bytesOut: 12 });

describe("the line of a request", () => {
  test("is written after the answer's last byte, with what the layers have filled in, and delays nothing", async () => {
    const stage = new Stage();
    const end = Promise.withResolvers<Finish>();
    const response = await stage.handle(async ({ record }) => {
      const failed = sampleAttempt({ outcome: "cut_stream", nanos: 5, heldNanos: 700 });
      const served = sampleAttempt({ candidate: "coder-14b", local: true, nanos: 0, heldNanos: 0 });
      Object.assign(record, { agent: "windu", auth: "token", requestedModel: "m", stream: true, bytesIn: 9 });
      Object.assign(record, { attempts: [failed, served], served, wouldHaveNanos: 77 });
      return answer(end.promise);
    });
    expect(response.status).toBe(200);
    expect(stage.sink.lines).toHaveLength(0);
    stage.clock.advance(2_140);
    end.resolve({ outcome: "ok", bytesOut: 2048 });
    expect(await response.finished).toEqual({ outcome: "ok", bytesOut: 2048 });
    expect(stage.sink.lines).toHaveLength(1);
    expect(stage.sink.lines[0]).toMatchObject({ agent: "windu", nanos: 5, heldNanos: 700, wouldHaveNanos: 77 });
    expect(stage.sink.lines[0]).toMatchObject({ outcome: "ok", status: 200, ms: 2140, bytesIn: 9, bytesOut: 2048 });
    expect(stage.closed).toEqual(stage.sink.lines);
  });

  test("closes the request in the ledger only when it is durable", async () => {
    const stage = new Stage();
    const durable = Promise.withResolvers<boolean>();
    stage.sink.durable = durable.promise;
    const response = await stage.handle(async () => answer(finishedOk), arrived({ id: "req_d" }));
    await response.finished;
    expect(stage.closedInJournal).toEqual([]);
    durable.resolve(true);
    await durable.promise;
    expect(stage.closedInJournal).toEqual(["req_d"]);
  });

  test("leaves the request open in the ledger when it was given up", async () => {
    const stage = new Stage();
    stage.sink.durable = Promise.resolve(false);
    const response = await stage.handle(async () => answer(finishedOk));
    await response.finished;
    await stage.sink.durable;
    expect(stage.closedInJournal).toEqual([]);
  });

  test("names the outcome of every error that a layer can end a request with", async () => {
    const expected: Partial<Record<ErrorCode, Outcome>> = {
      IDENTITY_TOKEN_UNKNOWN: "refused_identity",
      IDENTITY_MISMATCH: "refused_identity",
      IDENTITY_REQUIRED: "refused_identity",
      IDENTITY_AMBIGUOUS: "refused_identity",
      BUDGET_EXHAUSTED: "refused_budget",
      BUDGET_HELD: "refused_budget",
      BUDGET_LEDGER: "internal_error",
      LIMITS_AGENT_RATE: "refused_limit",
      LIMITS_AGENT_CONCURRENT: "refused_limit",
      LIMITS_EXHAUSTED: "refused_limit",
      LIMITS_LOCAL_BUSY: "refused_limit",
      CLIENT_GONE: "client_gone",
    };
    const bySource = { client: "client_error", upstream: "upstream_error", internal: "internal_error" } as const;
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      const stage = new Stage();
      const error = new GatewayError(code);
      const thrown = stage.handle(async () => Promise.reject(error));
      expect(await thrown.catch((caught: unknown) => caught)).toBe(error);
      expect(stage.sink.lines).toHaveLength(1);
      expect([code, stage.sink.lines[0]?.outcome]).toEqual([code, expected[code] ?? bySource[error.source]]);
      expect(stage.sink.lines[0]?.status).toBe(error.status);
    }
  });

  test("has the status that the client gets in its own dialect", async () => {
    const stage = new Stage();
    const refuse: Handler<Recorded> = async () => Promise.reject(new GatewayError("BUDGET_EXHAUSTED"));
    await stage.handle(refuse, arrived({ dialect: "chat" })).catch(() => undefined);
    await stage.handle(refuse, arrived({ dialect: "messages" })).catch(() => undefined);
    expect(stage.sink.lines.map((line) => line.status)).toEqual([429, 402]);
  });

  test("calls what breaks because the client left the client's doing", async () => {
    const stage = new Stage();
    const client = new AbortController();
    client.abort();
    const broken = stage.handle(async () => Promise.reject(new DOMException("aborted", "AbortError")), {
      ...arrived(),
      signal: client.signal,
    });
    await broken.catch(() => undefined);
    expect(stage.sink.lines[0]).toMatchObject({ outcome: "client_gone", status: 499 });
  });

  test("is refused together with the request while the trail cannot be written", async () => {
    const stage = new Stage();
    stage.sink.faulty = true;
    let reached = false;
    const refused = stage.handle(async () => {
      reached = true;
      return answer(finishedOk);
    });
    expect(await refused.catch((error: unknown) => error)).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    expect([reached, stage.opened, stage.sink.lines.length]).toEqual([false, 0, 0]);
    const going = audit({ ...stage.parts, onFailure: "continue" })(async () => answer(finishedOk));
    expect((await going(arrived())).status).toBe(200);
  });
});

describe("exactly one line", () => {
  test("comes from every request, however it ends", async () => {
    const stage = new Stage();
    const random = seeded(42);
    const count = 2_000;
    const ends = Array.from({ length: count }, async () => {
      try {
        const response = await stage.handle(() => anyEnd(random));
        await response.finished;
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    });
    await Promise.all(ends);
    expect(stage.sink.lines).toHaveLength(count);
    expect(new Set(stage.sink.lines.map((line) => line.id)).size).toBe(count);
    expect([stage.opened, stage.closed.length, stage.closedInJournal.length]).toEqual([count, count, count]);
    expect(new Set(stage.sink.lines.map((line) => line.outcome)).size).toBeGreaterThan(5);
  });
});

/** A layer inside that answers, breaks or lies in one of the ways there are. */
async function anyEnd(random: () => number): Promise<GatewayResponse> {
  const pick = Math.floor(random() * 9);
  if (random() < 0.5) await new Promise((resolve) => setImmediate(resolve));
  const later = new Promise<Finish>((resolve) => {
    setImmediate(() => resolve({ outcome: random() < 0.5 ? "client_gone" : "upstream_error", bytesOut: 1 }));
  });
  if (pick === 0) throw new GatewayError("IDENTITY_MISMATCH");
  if (pick === 1) throw new GatewayError("UPSTREAM_FAILED");
  if (pick === 2) throw new TypeError("a bug");
  if (pick === 3) throw new AttemptError("cut_stream");
  if (pick === 4) throw new DOMException("gone", "AbortError");
  if (pick === 5) return answer(later);
  if (pick === 6) return answer(Promise.resolve({ outcome: "client_error", bytesOut: 3 }), 400);
  if (pick === 7) return answer(Promise.reject(new Error("a layer that breaks its promise")));
  return answer(finishedOk);
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
