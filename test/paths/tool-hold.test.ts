// Tool calls of translated streams wait until they are whole, or stream as they come, as the configuration says.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { objectOf, objectsOf } from "../fakes/json-access.ts";
import { Gate } from "../fakes/gate.ts";
import { post } from "../fakes/house.ts";
import {
  AnswersHouse,
  blocksOf,
  blockStart,
  blockStop,
  calls,
  messageStart,
  chunk,
  done,
  FALLBACK_TEXT,
} from "../wire/answers-house.ts";

setDefaultTimeout(30_000);

const begun = calls({ index: 0, id: "a", function: { name: "run", arguments: '{"command":"rm -rf ' } });
const rest = calls({ index: 0, function: { arguments: '/tmp/build"}' } });
const rawBody = [chunk({ content: "I run it." }), begun, rest, chunk({}, "tool_calls"), done];

describe("with takeover: text", () => {
  let house: AnswersHouse;
  beforeAll(async () => {
    house = await AnswersHouse.start();
  });
  afterAll(async () => house[Symbol.asyncDispose]());

  test("a stream that dies inside its first call has shown nothing: the next candidate answers", async () => {
    for (const how of ["destroy", "close", "end"] as const) {
      const step = { rawBody: rawBody.slice(1), cut: { at: { event: 2 }, how } };
      const told = await house.ask("messages", "chat", step, { stream: true, alone: true });
      expect(blocksOf(told)).toEqual([{ type: "text", text: FALLBACK_TEXT }]);
      expect(told.body).not.toContain("rm -rf");
      expect(await house.outcomes(told.model)).toEqual(["cut_stream", "ok"]);
    }
  });

  test("a stream that dies inside a call behind a text ends in an error, without a trace of the call", async () => {
    for (const client of ["messages", "responses"] as const) {
      const step = { rawBody, cut: { at: { event: 2 }, how: "destroy" as const } };
      const told = await house.ask(client, "chat", step, { stream: true, alone: true, opened: 1 });
      expect(told.body).toContain("I run it.");
      expect(told.body).not.toContain("rm -rf");
      expect([client, told.fault]).toEqual([client, null]);
      expect(told.data.at(-1)?.["type"]).toBe(client === "messages" ? "error" : "response.failed");
    }
  });

  test("of several calls the one that breaks off is lost and no other: the answer ends behind them", async () => {
    // Servers of this dialect tell where a call ends; those of Chat tell it with the end of the answer.
    const tool = (index: number): string =>
      blockStart(index, { type: "tool_use", id: `t${index}`, name: "f", input: {} });
    const events = [messageStart, tool(0), blockStop(0), tool(1)];
    const step = { rawBody: events, cut: { at: { event: 4 }, how: "destroy" as const } };
    const told = await house.ask("chat", "messages", step, { stream: true, alone: true, opened: 3 });
    const begun = told.data
      .flatMap(({ choices }) => objectsOf(choices))
      .filter(({ delta }) => objectOf(delta)?.["tool_calls"]);
    expect(begun).toHaveLength(2);
    expect(told.body).toContain('"t0"');
    expect(told.body).not.toContain('"t1"');
    expect(told.body).toContain('"finish_reason":"tool_calls"');
    expect(told.fault).toBeNull();
  });
});

test("with takeover: off the pieces of a call are shown as they come", async () => {
  await using house = await AnswersHouse.start({ stream: { takeover: "off" } });
  const gate = new Gate();
  gate.release(2);
  house.upstream.script.push({ rawBody, gate });
  const response = await post(house.house.gateway, "messages", { model: "chat-0", extra: { stream: true } });
  const decoder = new TextDecoder();
  let seen = "";
  for await (const bytes of response.body ?? []) {
    seen += decoder.decode(bytes, { stream: true });
    // The rest is sent only once its beginning is here.
    if (seen.includes("rm -rf")) gate.release(Infinity);
  }
  expect(seen).toContain("/tmp/build");
  expect(objectOf(JSON.parse(seen.split("data: ").at(-1)!))).toEqual({ type: "message_stop" });
});
