// An agent's own limits over real sockets: they hold for streams until their last byte, and across reloads.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Gate } from "../fakes/gate.ts";
import { dialects, merge, modelOf, post, startHouse, type House, type PostOptions } from "../fakes/house.ts";
import { eventually, tokenOf } from "../harness.ts";

setDefaultTimeout(30_000);

let house: House;

beforeEach(async () => {
  house = await startHouse();
});
afterEach(async () => {
  await house[Symbol.asyncDispose]();
});

/** What `windu` may do from now on: live when this resolves. */
async function reloadWith(limits: object): Promise<void> {
  const before = (await house.gateway.stats()).config.generation;
  const windu = { daily_usd: 1000, tokens: [tokenOf("windu").hash], ...limits };
  house.gateway.writeConfig(merge(house.config, { agents: { windu } }));
  await eventually(async () => expect((await house.gateway.stats()).config.generation).toBeGreaterThan(before));
}

async function asWindu(options: PostOptions & { dialect?: (typeof dialects)[number] } = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
  return post(house.gateway, options.dialect ?? "messages", { ...options, headers });
}

/** A stream whose first bytes are here and which goes on when `gate` lets it. */
async function openStream(gate: Gate, signal?: AbortSignal): Promise<Response> {
  house.cloud.script.push({ gate });
  gate.release(4);
  const response = await asWindu({ extra: { stream: true }, ...(signal === undefined ? {} : { signal }) });
  expect(response.status).toBe(200);
  return response;
}

async function refusedAs(code: string, response: Response): Promise<void> {
  expect([response.status, response.headers.get("x-sanctum-error")]).toEqual([429, code]);
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  await response.arrayBuffer();
}

async function status(options: Parameters<typeof asWindu>[0] = {}): Promise<number> {
  const response = await asWindu(options);
  await response.arrayBuffer();
  return response.status;
}

/** A place becomes free when the gateway has seen the end, which may be after the client has. */
async function aPlaceIsFree(): Promise<void> {
  await eventually(async () => expect(await status()).toBe(200));
}

describe("max_concurrent", () => {
  test("counts a stream until its last byte or until its client leaves, for all dialects together", async () => {
    await reloadWith({ max_concurrent: 2 });
    const gates = [new Gate(), new Gate()] as const;
    const leaver = new AbortController();
    const finishing = await openStream(gates[0]);
    const leaving = await openStream(gates[1], leaver.signal);
    for (const dialect of dialects) await refusedAs("LIMITS_AGENT_CONCURRENT", await asWindu({ dialect }));
    // Another agent has places of its own.
    expect((await post(house.gateway, "messages")).status).toBe(200);
    leaver.abort();
    await leaving.text().catch(() => "");
    await aPlaceIsFree();
    const third = await openStream(new Gate());
    await refusedAs("LIMITS_AGENT_CONCURRENT", await asWindu());
    gates[0].release(Infinity);
    await finishing.text();
    await aPlaceIsFree();
    await third.body?.cancel();
  });

  test("counts an answer that is not streamed until it is there, and nothing that was refused", async () => {
    await reloadWith({ max_concurrent: 1 });
    const gate = new Gate();
    house.cloud.script.push({ gate });
    const waiting = asWindu();
    await eventually(() => expect(gate.waiting).toBe(1));
    for (let i = 0; i < 5; i++) await refusedAs("LIMITS_AGENT_CONCURRENT", await asWindu());
    gate.release(Infinity);
    expect((await waiting).status).toBe(200);
    await aPlaceIsFree();
    house.cloud.script.push({ refuse: { status: 400, body: {} } });
    expect(await status()).toBe(400);
    await aPlaceIsFree();
  });

  test("holds across reloads: what began before one counts after it, also where there was no limit", async () => {
    const gates = [new Gate(), new Gate()] as const;
    const streams = [await openStream(gates[0]), await openStream(gates[1])];
    await reloadWith({ max_concurrent: 2 });
    await refusedAs("LIMITS_AGENT_CONCURRENT", await asWindu());
    await reloadWith({ max_concurrent: 3 });
    expect(await status()).toBe(200);
    await reloadWith({ max_concurrent: 1 });
    gates[0].release(Infinity);
    await streams[0]!.text();
    await refusedAs("LIMITS_AGENT_CONCURRENT", await asWindu());
    gates[1].release(Infinity);
    // The lower limit cuts no stream that runs.
    expect(await streams[1]!.text()).toContain("message_stop");
    await aPlaceIsFree();
  });
});

describe("requests_per_minute", () => {
  // Slow enough that no place comes back while a test runs: one in 30 seconds.
  const limit = { requests_per_minute: 2 };

  test("counts streams and answers alike, by agent and not by token, and tells when to come again", async () => {
    await reloadWith(limit);
    expect([await status({ extra: { stream: true } }), await status()]).toEqual([200, 200]);
    for (const dialect of dialects) await refusedAs("LIMITS_AGENT_RATE", await asWindu({ dialect }));
    expect((await post(house.gateway, "messages")).status).toBe(200);
    const second = tokenOf("windu-at-work");
    await reloadWith({ ...limit, tokens: [second.hash] });
    await refusedAs(
      "LIMITS_AGENT_RATE",
      await post(house.gateway, "messages", { headers: { authorization: `Bearer ${second.token}` } }),
    );
    expect(house.cloud.generations.length).toBe(3);
  });

  test("is not filled up again by a reload", async () => {
    await reloadWith(limit);
    expect([await status(), await status()]).toEqual([200, 200]);
    for (const other of [{ ...limit, max_concurrent: 9 }, limit]) {
      await reloadWith(other);
      await refusedAs("LIMITS_AGENT_RATE", await asWindu());
    }
  });
});

describe("models", () => {
  test("are refused in every dialect where the list has them not, and never sent", async () => {
    await reloadWith({ models: ["claude-haiku-*", "coder-14b"] });
    for (const dialect of dialects) {
      const response = await asWindu({ dialect });
      expect([response.status, response.headers.get("x-sanctum-error")]).toEqual([403, "ROUTE_MODEL_FORBIDDEN"]);
    }
    for (const model of ["anthropic/claude-haiku-4-5", "CLAUDE-HAIKU-4-5", " claude-haiku-4-5", "sanctum/auto"])
      expect([403, 404]).toContain(await status({ model }));
    expect(house.cloud.generations.length + house.local.generations.length).toBe(0);
    expect(await status({ model: "claude-haiku-4-5" })).toBe(200);
    expect(await status({ model: "coder-14b" })).toBe(200);
  });

  test("that a reload takes away are refused from then on, and a stream that runs comes to its end", async () => {
    await reloadWith({ models: ["claude-*"] });
    const gate = new Gate();
    const running = await openStream(gate);
    await reloadWith({ models: ["gpt-*"] });
    expect(await status()).toBe(403);
    expect(await status({ dialect: "chat", model: modelOf.chat })).toBe(200);
    gate.release(Infinity);
    expect(await running.text()).toContain("message_stop");
  });
});
