import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { createOperations, type ModelsQuestion, type OperationsParts } from "./operations.ts";

const quiet: OperationsParts = {
  stats: () => '{"version":"1.0.0"}',
  metrics: () => "# TYPE x counter\nx 1\n",
  watchStats: () => null,
  notReady: () => [],
  access: () => "loopback",
  requireToken: () => {
    throw new GatewayError("IDENTITY_REQUIRED");
  },
  dashboard: { paths: [], streams: [], answer: () => new Response() },
  listModels: () => [],
};

function answer(path: string, some: Partial<OperationsParts> = {}, loopback = true, method = "GET"): Response {
  const operations = createOperations({ ...quiet, ...some });
  return operations.answer(path, new Request(`http://x${path}`, { method }), loopback) as Response;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

describe("each page has its own form", () => {
  test("/stats is JSON that no cache keeps", async () => {
    const response = answer("/stats");
    expect(await response.text()).toBe('{"version":"1.0.0"}');
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("/metrics is Prometheus text", async () => {
    const response = answer("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toContain("# TYPE x counter");
  });

  test("/healthz says that the process lives, whatever else is wrong", async () => {
    const response = answer("/healthz", { notReady: () => ["audit: disk full"] });
    expect([response.status, await response.json()]).toEqual([200, { status: "ok" }]);
  });

  test("/readyz is 503 with every reason, else 200", async () => {
    const reasons = ["audit: disk full", "no candidate"];
    const not = answer("/readyz", { notReady: () => reasons });
    expect([not.status, await not.json()]).toEqual([503, { status: "not ready", reasons }]);
    const ready = answer("/readyz");
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready", reasons: [] }]);
  });

  test("no page takes anything but GET and HEAD", () => {
    for (const path of createOperations(quiet).paths) {
      expect([path, codeOf(() => answer(path, {}, true, "POST"))]).toEqual([path, "DOOR_METHOD"]);
    }
    expect(answer("/healthz", {}, true, "HEAD").status).toBe(200);
  });
});

describe("who may look", () => {
  const closed = ["/stats", "/stats/stream", "/metrics"];

  test("is everybody on loopback, unless a token is asked for", () => {
    for (const path of ["/stats", "/metrics"]) {
      expect(codeOf(() => answer(path))).toBe("none");
      expect(codeOf(() => answer(path, { access: () => "token" }))).toBe("IDENTITY_REQUIRED");
    }
  });

  test("is off loopback only who has a token, whatever `stats.access` says", () => {
    for (const path of closed) {
      expect(codeOf(() => answer(path, {}, false))).toBe("IDENTITY_REQUIRED");
      expect(codeOf(() => answer(path, { access: () => "token" }, false))).toBe("IDENTITY_REQUIRED");
    }
    expect(answer("/stats", { requireToken: () => undefined }, false).status).toBe(200);
  });

  test("is everybody where a monitor asks whether we live", () => {
    for (const path of ["/healthz", "/readyz"])
      expect(codeOf(() => answer(path, { access: () => "token" }, false))).toBe("none");
  });
});

describe("/stats/stream", () => {
  /** Documents as fast as they are taken; tells how many were and whether the watcher left. */
  function watched(): { parts: Partial<OperationsParts>; taken: () => number; left: () => boolean } {
    let taken = 0;
    let left = false;
    async function* documents(): AsyncGenerator<string> {
      for (;;) {
        taken++;
        yield `{"n":${taken}}`;
      }
    }
    const watchStats = (signal: AbortSignal): AsyncIterable<string> => {
      signal.addEventListener("abort", () => (left = true), { once: true });
      return documents();
    };
    return { parts: { watchStats }, taken: () => taken, left: () => left };
  }

  test("is a server-sent event for each document", async () => {
    const { parts } = watched();
    const response = answer("/stats/stream", parts);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const reader = response.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('data: {"n":1}\n\n');
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('data: {"n":2}\n\n');
    await reader.cancel();
  });

  test("takes no document for a watcher that does not read", async () => {
    const { parts, taken } = watched();
    const reader = answer("/stats/stream", parts).body!.getReader();
    await reader.read();
    await Bun.sleep(5);
    expect(taken()).toBeLessThanOrEqual(3);
    await reader.cancel();
  });

  test("lets go of what it watches when the watcher leaves", async () => {
    const { parts, left } = watched();
    const reader = answer("/stats/stream", parts).body!.getReader();
    await reader.read();
    await reader.cancel();
    expect(left()).toBe(true);
  });

  test("ends when there is nothing more to tell", async () => {
    const watchStats = async function* (): AsyncGenerator<string> {
      yield "{}";
    };
    expect(await answer("/stats/stream", { watchStats }).text()).toBe("data: {}\n\n");
  });

  test("is refused where too many watch already", () => {
    expect(codeOf(() => answer("/stats/stream", { watchStats: () => null }))).toBe("DOOR_BUSY");
  });
});

describe("the list of models", () => {
  const listModels = () => Array.from({ length: 45 }, (_, i) => ({ id: `p/m${i}`, provider: "p", context: undefined }));
  const operations = createOperations({ ...quiet, listModels });
  const ask = async (some: Partial<ModelsQuestion>): Promise<Record<string, unknown>> => {
    const question = {
      headers: new Headers(),
      claimedAgent: undefined,
      fromLoopback: true,
      id: null,
      query: new URLSearchParams(),
    };
    return (await operations.models({ ...question, ...some }).json()) as Record<string, unknown>;
  };
  const anthropic = new Headers({ "anthropic-version": "2023-06-01" });

  test("is whole, without pages, for who names no version", async () => {
    const answered = await ask({ query: new URLSearchParams("limit=2") });
    expect(answered["object"]).toBe("list");
    expect((answered["data"] as unknown[]).length).toBe(45);
    expect((answered["data"] as unknown[])[0]).toEqual({
      id: "p/m0",
      object: "model",
      created: expect.any(Number),
      owned_by: "p",
      type: "model",
      display_name: "p/m0",
      created_at: "2026-01-01T00:00:00.000Z",
    });
    expect(answered).toMatchObject({ has_more: false, first_id: "p/m0", last_id: "p/m44" });
  });

  test("has Anthropic's pages for who names its version", async () => {
    const first = await ask({ headers: anthropic });
    expect(first).toMatchObject({ has_more: true, first_id: "p/m0", last_id: "p/m19" });
    expect((first["data"] as unknown[])[0]).toMatchObject({ type: "model", id: "p/m0", display_name: "p/m0" });
    const last = await ask({ headers: anthropic, query: new URLSearchParams("limit=20&after_id=p/m39") });
    expect(last).toMatchObject({ has_more: false, first_id: "p/m40", last_id: "p/m44" });
    const before = await ask({ headers: anthropic, query: new URLSearchParams("limit=5&before_id=p/m7") });
    expect(before).toMatchObject({ first_id: "p/m2", last_id: "p/m6" });
  });

  test("pages backwards to the first one and no further", async () => {
    const before = await ask({ headers: anthropic, query: new URLSearchParams("limit=5&before_id=p/m2") });
    expect(before).toMatchObject({ first_id: "p/m0", last_id: "p/m1" });
  });

  test("takes no absurd page", async () => {
    for (const query of ["limit=-1", "limit=x", "limit=1e9", "after_id=nobody", "before_id=nobody"]) {
      const answered = await ask({ headers: anthropic, query: new URLSearchParams(query) });
      expect([query, Array.isArray(answered["data"])]).toEqual([query, true]);
    }
  });

  test("tells one model by its id, and 404 of an unknown one", async () => {
    expect(await ask({ id: "p/m3" })).toMatchObject({ id: "p/m3", object: "model" });
    expect(await ask({ id: "p/m3", headers: anthropic })).toMatchObject({ id: "p/m3", type: "model" });
    const question = {
      headers: new Headers(),
      claimedAgent: undefined,
      fromLoopback: true,
      query: new URLSearchParams(),
    };
    expect(codeOf(() => operations.models({ ...question, id: "p/m99" }))).toBe("ROUTE_MODEL_UNKNOWN");
  });
});
