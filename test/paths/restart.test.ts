// `sanctum restart` under load. `npm test` does it with a hundred streams, RESTART_STREAMS=500 with as many as the promise
// names.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { renderChat } from "../fakes/chat-wire.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, modelOf, post, smallBody, startHouse, type House } from "../fakes/house.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import { endOthers, expectExact, openRecords, restart, settled } from "../fakes/restarts.ts";
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
    expect(await restart(gateway)).toMatchObject({ ok: true });
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
