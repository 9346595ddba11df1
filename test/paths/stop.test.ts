// SIGTERM with streams in progress. `npm test` does it with 150 of them, STOP_STREAMS=500 with as many as the promise names.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Gate } from "../fakes/gate.ts";
import { smallBody, startHouse, type House } from "../fakes/house.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { rawPost, type RawResponse } from "../fakes/raw-client.ts";
import { openRecords } from "../fakes/restarts.ts";
import { eventually, faultsOfChain } from "../harness.ts";

setDefaultTimeout(90_000);

const streams = Number(process.env["STOP_STREAMS"] ?? 150);
const model = "claude-sonnet-4-5";
const { events } = renderMessages({ text: "A stream that goes on for a while. ".repeat(4) }, model, 0);
const whole = events.join("");

async function streamOf(house: House): Promise<RawResponse> {
  return rawPost(house.gateway.url, { path: "/v1/messages", body: smallBody("messages", model, { stream: true }) });
}

async function withStreams(
  count: number,
  config: object = {},
): Promise<{ house: House; gate: Gate; answers: Promise<RawResponse[]> }> {
  const gate = new Gate();
  const house = await startHouse({ cloud: { respond: { rawBody: events, gate } }, config: { ...config } });
  const answers = Promise.all(Array.from({ length: count }, async () => streamOf(house)));
  await house.cloud.arrived(count);
  gate.release(count * 4);
  return { house, gate, answers };
}

async function isStopping(house: House): Promise<void> {
  await eventually(() => expect(house.gateway.output()).toContain("stopping: no new requests"));
}

function expectBooksClosed(house: House, count: number): void {
  const lines = house.gateway.auditLines();
  expect(faultsOfChain(house.gateway.auditText())).toEqual([]);
  expect(lines.length).toBe(count);
  expect(lines.every(({ usd }) => usd > 0)).toBe(true);
  expect(openRecords(house.gateway)).toEqual({ open: 0, unclosed: 0, lost: 0 });
}

test("SIGTERM: streams finish, new requests are told to come again, then it ends with 0 and closed books", async () => {
  const { house, gate, answers } = await withStreams(streams);
  await using _house = house;
  const stopped = house.gateway.stop();
  await isStopping(house);
  for (const [path, dialect] of [
    ["/v1/messages", "messages"],
    ["/v1/chat/completions", "chat"],
    ["/v1/responses", "responses"],
  ] as const) {
    const { status, headers, body } = await rawPost(house.gateway.url, { path, body: smallBody(dialect, model) });
    expect([status, headers["retry-after"], headers["connection"]?.toLowerCase()]).toEqual([503, "2", "close"]);
    expect(headers["x-sanctum-error"]).toBe("DOOR_STOPPING");
    expect(JSON.parse(body)).toHaveProperty("error");
  }
  expect((await fetch(`${house.gateway.url}/readyz`)).status).toBe(503);
  gate.release(Infinity);
  expect(new Set((await answers).map(({ body }) => body))).toEqual(new Set([whole]));
  expect(await stopped).toBe(0);
  expectBooksClosed(house, streams);
});

describe("what does not finish is cut, settled and audited, and the gateway ends with 0", () => {
  test("at the deadline of stop.grace", async () => {
    const { house, answers } = await withStreams(20, { stop: { grace: "300ms" } });
    await using _house = house;
    expect(await house.gateway.stop()).toBe(0);
    expect((await answers).every(({ body }) => body !== whole)).toBe(true);
    expectBooksClosed(house, 20);
  });

  test("at once, with the second signal", async () => {
    const { house, answers } = await withStreams(20, { stop: { grace: "5m" } });
    await using _house = house;
    house.gateway.signal("SIGTERM");
    await isStopping(house);
    expect(await house.gateway.stop()).toBe(0);
    expect((await answers).every(({ body }) => body !== whole)).toBe(true);
    expectBooksClosed(house, 20);
  });
});
