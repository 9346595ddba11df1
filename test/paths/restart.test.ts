// `sanctum restart` under load. `npm test` does it with a hundred streams, RESTART_STREAMS=500 with as many as the promise
// names.

import { Database } from "bun:sqlite";
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderChat } from "../fakes/chat-wire.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, modelOf, post, smallBody, startHouse, type House } from "../fakes/house.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import type { Step } from "../fakes/script.ts";
import { eventually, faultsOfChain, tokenOf, type Gateway } from "../harness.ts";

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
afterEach(async () => {
  for (const gateway of homes.splice(0)) await endAll(gateway);
});

async function endAll(gateway: Gateway): Promise<void> {
  for (const pid of pidsOf(gateway)) {
    if (pid !== gateway.pid) process.kill(pid, "SIGKILL");
  }
}

/** All processes that have ever served this home, by its log. */
function pidsOf(gateway: Gateway): number[] {
  const told = [...gateway.output().matchAll(/process (\d+) \(version/g)].map(([, pid]) => Number(pid));
  return [...new Set(told)].filter((pid) => isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function admin(gateway: Gateway, path: string, method = "POST"): Promise<unknown> {
  const response = await fetch(`http://sanctum${path}`, {
    method,
    unix: join(gateway.home, "run/admin.sock"),
    keepalive: false,
  } as RequestInit);
  return response.json();
}

async function serving(gateway: Gateway): Promise<number> {
  return ((await admin(gateway, "/process", "GET")) as { pid: number }).pid;
}

async function restart(gateway: Gateway): Promise<void> {
  expect(await admin(gateway, "/restart")).toMatchObject({ ok: true });
}

/** Until the process that the outside knows serves again, and no other one is left. */
async function settled(gateway: Gateway): Promise<void> {
  await eventually(async () => {
    expect(await serving(gateway)).toBe(gateway.pid);
    expect(pidsOf(gateway)).toEqual([gateway.pid]);
  }, 60_000);
}

function sql(home: string, query: string): Record<string, number> {
  const copy = mkdtempSync(join(tmpdir(), "sanctum-restart-"));
  try {
    cpSync(join(home, "state"), copy, { recursive: true });
    using db = new Database(join(copy, "ledger.sqlite"));
    return db.query<Record<string, number>, []>(query).get()!;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** The trail holds, each request has one line, and the ledger says the same. */
async function expectExact(gateway: Gateway, requests: number): Promise<void> {
  await eventually(() => expect(gateway.auditText().length).toBe(requests), 10_000);
  expect(faultsOfChain(gateway.auditText())).toEqual([]);
  const lines = gateway.auditLines();
  expect(new Set(lines.map(({ id }) => id)).size).toBe(requests);
  const told = lines.reduce((total, { usd }) => total + usd, 0);
  await eventually(async () => {
    const { agents } = await gateway.stats();
    const all = Object.values(agents);
    expect(all.reduce((total, { held_usd }) => total + held_usd, 0)).toBe(0);
    const spent = all.reduce((total, { spent_usd }) => total + spent_usd, 0);
    expect(Math.abs(spent - told)).toBeLessThan((requests + 1) * 1e-6);
  });
}

async function expectBooksClosed(gateway: Gateway): Promise<void> {
  expect(
    sql(
      gateway.home,
      `SELECT (SELECT count(*) FROM holds WHERE id NOT IN (SELECT hold FROM ends)) AS open,
         (SELECT count(*) FROM holds WHERE facts IS NOT NULL) AS unclosed,
         (SELECT count(*) FROM ends WHERE ended IN ('crashed', 'expired')) AS lost`,
    ),
  ).toEqual({ open: 0, unclosed: 0, lost: 0 });
}

function streamed(request: RecordedRequest, gate: Gate): Step {
  const dialect = dialects.find((one) => request.target.includes(paths[one])) ?? "chat";
  return request.json()["stream"] === true ? { rawBody: events[dialect], gate } : {};
}

async function streamOf(house: House, number: number): Promise<string> {
  const response = await post(house.gateway, dialects[number % dialects.length]!, { extra: { stream: true } });
  return response.text();
}

/** One short request after the other: on a connection of its own each, or on one that the client keeps. */
async function hammer(house: House, number: number, until: () => boolean): Promise<string[]> {
  const faults: string[] = [];
  for (let blow = 0; blow < mostBlows && !until(); blow++) {
    const dialect = dialects[blow % dialects.length]!;
    if (number % 2 === 0) {
      const path = { messages: "/v1/messages", chat: "/v1/chat/completions", responses: "/v1/responses" }[dialect];
      const { status } = await rawPost(house.gateway.url, { path, body: smallBody(dialect, modelOf[dialect]) });
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

test(`${streams} streams cross ${restarts} restarts byte for byte while short requests go on; books and trail are exact`, async () => {
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
    await restart(gateway);
    // Every stream moves on by one event in the process that it began in.
    gate.release(streams);
  }
  gate.release(Infinity);
  const got = await answers;
  over = true;
  expect((await Promise.all(blows)).flat()).toEqual([]);
  got.forEach((text, number) => expect(text).toBe(expected[number % dialects.length]!));
  expect(house.cloud.requests.filter(({ state }) => state === "aborted")).toEqual([]);

  await settled(gateway);
  await expectExact(gateway, house.cloud.requests.filter(({ method }) => method === "POST").length);
  expect(gateway.auditLines().every(({ outcome }) => outcome === "ok")).toBe(true);
  expect(await gateway.stop()).toBe(0);
  await expectBooksClosed(gateway);
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
    await restart(gateway);
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
