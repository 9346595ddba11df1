// `sanctum restart` under load. `npm test` does it with a hundred streams, RESTART_STREAMS=500 with as many as the promise
// names.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { leaseToken } from "../../src/admin/token-lease.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, modelOf, post, smallBody, startHouse, type House } from "../fakes/house.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import { endOthers, expectExact, openRecords, pidsOf, restart, servingPid, settled } from "../fakes/restarts.ts";
import type { Step } from "../fakes/script.ts";
import { eventually, tokenOf, type Gateway } from "../harness.ts";

setDefaultTimeout(180_000);

const streams = Number(process.env["RESTART_STREAMS"] ?? 100);
const restarts = 3;
const hammers = 4;
/** Of one hammer. */
const mostBlows = 2_000;

const answer = { text: "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ".repeat(4), pieceLength: 9 };
const events = {
  messages: renderMessages(answer, modelOf.messages, 0).events,
  chat: renderChat(answer, modelOf.chat, 0, true).events,
  responses: renderResponses(answer, modelOf.responses, 0).events,
};
const paths = { messages: "messages", chat: "chat", responses: "responses" } as const;

/** Processes that a test's restarts have left, whatever became of it. */
const homes: Gateway[] = [];
afterEach(() => {
  for (const gateway of homes.splice(0)) endOthers(gateway);
});

function streamed(request: RecordedRequest, gate: Gate): Step {
  const dialect = dialects.find((one) => request.target.includes(paths[one])) ?? "chat";
  return request.json()["stream"] === true ? { rawBody: events[dialect], gate } : {};
}

const routes = { messages: "/v1/messages", chat: "/v1/chat/completions", responses: "/v1/responses" } as const;

async function streamOf(house: House, number: number): Promise<string> {
  const dialect = dialects[number % dialects.length]!;
  const body = smallBody(dialect, modelOf[dialect], { stream: true });
  return (await rawPost(house.gateway.url, { path: routes[dialect], body })).body;
}

/** One short request after the other: on a connection of its own each, or on one that the client keeps. */
async function hammer(house: House, number: number, until: () => boolean): Promise<string[]> {
  const faults: string[] = [];
  for (let blow = 0; blow < mostBlows && !until(); blow++) {
    const dialect = dialects[blow % dialects.length]!;
    if (number % 2 === 0) {
      const { status } = await rawPost(house.gateway.url, {
        path: routes[dialect],
        body: smallBody(dialect, modelOf[dialect]),
      });
      if (status !== 200) faults.push(`new connection: ${status}`);
    } else {
      const status = await post(house.gateway, dialect).then(
        async (response) => (await response.text(), response.status),
        (error: unknown) => String(error),
      );
      if (status !== 200) faults.push(`kept connection: ${status}`);
    }
  }
  return faults;
}

test("streams cross restarts byte for byte while short requests go on; books and trail are exact", async () => {
  const open = new Gate();
  open.release(Infinity);
  await using house = await startHouse({ cloud: { respond: (request) => streamed(request, open) } });
  const { gateway } = house;
  homes.push(gateway);
  const expected = await Promise.all(dialects.map(async (_, number) => streamOf(house, number)));
  expect(expected.every((text) => text.includes("Deich"))).toBe(true);

  const gate = new Gate();
  house.cloud.respond = (request) => streamed(request, gate);
  const answers = Promise.all(Array.from({ length: streams }, async (_, number) => streamOf(house, number)));
  await house.cloud.arrived(dialects.length + streams);
  gate.release(streams * 4);
  let over = false;
  const blows = Array.from({ length: hammers }, async (_, number) => hammer(house, number, () => over));
  for (let round = 0; round < restarts; round++) {
    expect(await restart(gateway)).toMatchObject({ ok: true });
    // Every stream moves on by one event in the process that it began in.
    gate.release(streams);
  }
  gate.release(Infinity);
  const got = await answers;
  over = true;
  expect((await Promise.all(blows)).flat()).toEqual([]);
  const short = house.cloud.requests.filter(({ method }) => method === "POST").length - streams - dialects.length;
  console.log(`${streams} streams, ${restarts} restarts, ${short} short requests meanwhile`);
  got.forEach((text, number) => expect(text).toBe(expected[number % dialects.length]!));
  expect(house.cloud.requests.filter(({ state }) => state === "aborted")).toEqual([]);

  await settled(gateway);
  const sent = house.cloud.requests.filter(({ method }) => method === "POST").length;
  await eventually(() => expect(gateway.auditText().length).toBe(sent), 10_000);
  await expectExact(gateway);
  expect(gateway.auditLines().every(({ outcome }) => outcome === "ok")).toBe(true);
  expect(await gateway.stop()).toBe(0);
  expect(openRecords(gateway)).toEqual({ open: 0, unclosed: 0, lost: 0 });
});

describe("what goes on in the old process", () => {
  test("a stream draws money from the new one, slice by slice, and stops at the cap", async () => {
    const gate = new Gate();
    const long = renderMessages({ text: "a word ".repeat(9_000), pieceLength: 700 }, modelOf.messages, 0).events;
    const tokens = { windu: { daily_usd: 1, tokens: [tokenOf("windu").hash] } };
    await using house = await startHouse({
      cloud: { respond: { rawBody: long, gate } },
      config: { agents: tokens, fallback: [] },
    });
    const { gateway } = house;
    homes.push(gateway);
    const asked = post(gateway, "messages", {
      headers: { authorization: `Bearer ${tokenOf("windu").token}` },
      extra: { stream: true, max_tokens: 60_000 },
    });
    gate.release(4);
    const text = (await asked).text();
    const held = async (): Promise<number> => (await gateway.stats()).agents["windu"]!.held_usd;
    await eventually(async () => expect(await held()).toBeGreaterThan(0));
    expect(await restart(gateway)).toMatchObject({ ok: true });
    const before = await held();
    // One event after the other: each draw has an answer before the next one is needed.
    const drawn = (async () => {
      while (!gate.isOpen) {
        gate.release(1);
        await Bun.sleep(5);
        if ((await held()) > before * 2) gate.release(Infinity);
      }
    })();
    await Promise.race([drawn, text]);
    gate.release(Infinity);
    await text;
    const line = await gateway.auditLine(() => true);
    expect(line.usd).toBeGreaterThan(before);
    expect(line.usd).toBeLessThanOrEqual(1);
  });
});

test("the port cannot be shared after a restart, neither while the old process drains nor later", async () => {
  await using house = await startHouse();
  const { gateway } = house;
  homes.push(gateway);
  const port = Number(new URL(gateway.url).port);
  const steal = (): void => {
    void Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, fetch: () => new Response("stolen") }).stop(true);
  };
  expect(steal).toThrow();
  expect(await restart(gateway)).toMatchObject({ ok: true });
  await eventually(() => expect(steal).toThrow());
  await settled(gateway);
  await eventually(() => expect(steal).toThrow());
});

test("with `listen` changed the new address is served, the old one no more, and a token lent to a command stays good", async () => {
  await using house = await startHouse({ config: { identity: { anonymous: "never" } } });
  const { gateway } = house;
  homes.push(gateway);
  using lease = await leaseToken(join(gateway.home, "run/admin.sock"), "windu");
  const token = lease.token.reveal();
  const ask = async (url: string): Promise<number> =>
    (await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${token}` }, keepalive: false })).status;
  expect(await ask(gateway.url)).toBe(200);
  const free = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
  const { port } = free;
  await free.stop(true);
  gateway.writeConfig({ ...house.config, listen: `127.0.0.1:${port}` });
  expect(await restart(gateway)).toMatchObject({ ok: true });
  expect(await ask(`http://127.0.0.1:${port}`)).toBe(200);
  await settled(gateway);
  expect(await ask(`http://127.0.0.1:${port}`)).toBe(200);
  expect(await ask(gateway.url).catch(() => "refused")).toBe("refused");
  lease[Symbol.dispose]();
  await eventually(async () => expect(await ask(`http://127.0.0.1:${port}`)).toBe(401));
});

describe("a new process that can't start changes nothing, and the command says why", () => {
  test("where the configuration has faults", async () => {
    await using house = await startHouse();
    const { gateway } = house;
    gateway.writeConfig("listen: 5\n");
    const { code, err } = await command(gateway, ["restart"]);
    expect(code).toBe(1);
    expect(err).toMatch(/not restarted, the running gateway goes on: .*listen/);
    expect(await servingPid(gateway)).toBe(gateway.pid);
    expect((await post(gateway, "messages")).status).toBe(200);
  });

  test("where a new address is taken by another program", async () => {
    await using house = await startHouse();
    const { gateway } = house;
    using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
    gateway.writeConfig({ ...house.config, listen: ["127.0.0.1:0", `127.0.0.1:${other.port}`] });
    const { code, out } = await command(gateway, ["restart", "--json"]);
    expect([code, JSON.parse(out)]).toEqual([1, { ok: false, text: expect.stringContaining(String(other.port)) }]);
    expect(await servingPid(gateway)).toBe(gateway.pid);
    expect((await post(gateway, "messages")).status).toBe(200);
  });

  test("where nothing runs", async () => {
    await using house = await startHouse();
    await house.gateway.stop();
    const { code, err } = await command(house.gateway, ["restart"]);
    expect([code, err]).toEqual([1, expect.stringContaining("not running")]);
  });
});

test("SIGTERM while the old process drains stops both, and the process that the outside knows ends last", async () => {
  const gate = new Gate();
  await using house = await startHouse({ cloud: { respond: { rawBody: events.messages, gate } } });
  const { gateway } = house;
  homes.push(gateway);
  const stream = streamOf(house, 0);
  await house.cloud.arrived(1);
  gate.release(4);
  expect(await restart(gateway)).toMatchObject({ ok: true });
  const stopped = gateway.stop();
  await eventually(() => expect(gateway.output().match(/stopping: no new requests/g)).toHaveLength(2));
  gate.release(Infinity);
  expect(await stream).toBe(events.messages.join(""));
  expect(await stopped).toBe(0);
  expect(pidsOf(gateway)).toEqual([]);
  expect(gateway.auditLines().map(({ outcome }) => outcome)).toEqual(["ok"]);
  expect(openRecords(gateway)).toEqual({ open: 0, unclosed: 0, lost: 0 });
});

async function command(
  gateway: Gateway,
  words: readonly string[],
): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(["sh", join(import.meta.dir, "../../bin/sanctum"), ...words], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: gateway.home, SANCTUM_HOME: gateway.home },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, err };
}
