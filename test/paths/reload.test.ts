import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Gate } from "../fakes/gate.ts";
import { dialects, merge, modelOf, post, startHouse, type House } from "../fakes/house.ts";
import { FakeProvider, type RecordedRequest } from "../fakes/provider.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import type { Step } from "../fakes/script.ts";
import { eventually } from "../harness.ts";

setDefaultTimeout(90_000);

const streams = 200;
const rewrites = 50;
const answer = { text: "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ".repeat(6), pieceLength: 9 };
/** The same ids in every answer, so that two streams can be compared byte for byte. */
const events = {
  messages: renderMessages(answer, modelOf.messages, 0).events,
  chat: renderChat(answer, modelOf.chat, 0, true).events,
  responses: renderResponses(answer, modelOf.responses, 0).events,
};

function stepFor(request: RecordedRequest, gate: Gate): Step {
  const dialect = dialects.find((one) =>
    request.target.includes({ messages: "messages", chat: "chat", responses: "responses" }[one]),
  );
  return { rawBody: events[dialect ?? "chat"], gate };
}

async function streamOf(house: House, number: number): Promise<string> {
  const response = await post(house.gateway, dialects[number % dialects.length]!, { extra: { stream: true } });
  return response.text();
}

/** Three ways in which editors and deployments save. */
function save(house: House, number: number, text: string): void {
  const file = house.gateway.configFile;
  switch (number % 3) {
    case 0:
      writeFileSync(file, text, { mode: 0o600 });
      break;
    case 1:
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      break;
    default: {
      const target = join(dirname(file), "versions", `${number}.yaml`);
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      writeFileSync(target, text, { mode: 0o600 });
      rmSync(`${file}.link`, { force: true });
      symlinkSync(target, `${file}.link`);
      renameSync(`${file}.link`, file);
    }
  }
}

const faulty = ["agents: [", "agents:\n  default: { daily_usd: lots }\n", "no_such_key: true\n", "{", "listen: 5\n"];

test("two hundred streams do not notice fifty rewrites of the configuration, ten of them faulty", async () => {
  const gate = new Gate();
  await using house = await startHouse({ cloud: { respond: (request) => stepFor(request, gate) } });
  gate.release(Infinity);
  const expected = await Promise.all(dialects.map(async (_, number) => streamOf(house, number)));
  expect(expected.every((text) => text.includes("Deich"))).toBe(true);
  const closing = new Gate();
  house.cloud.respond = (request) => stepFor(request, closing);

  const answers = Promise.all(Array.from({ length: streams }, async (_, number) => streamOf(house, number)));
  await house.cloud.arrived(dialects.length + streams);
  let generation = (await house.gateway.stats()).config.generation;
  for (let number = 0; number < rewrites; number++) {
    // Every stream moves on by one event between two rewrites.
    closing.release(streams);
    const isFaulty = number % 5 === 4;
    const cap = 100 + number;
    const text = isFaulty
      ? faulty[Math.floor(number / 5) % faulty.length]!
      : JSON.stringify(merge(house.config, { agents: { default: { daily_usd: cap } } }));
    save(house, number, text);
    generation = await eventually(async () => checked(house, generation, isFaulty ? null : cap), 10_000);
  }
  closing.release(Infinity);
  const got = await answers;
  got.forEach((text, number) => expect(text).toBe(expected[number % dialects.length]!));
  expect(generation).toBe(1 + rewrites - rewrites / 5);
  expect(house.cloud.requests.filter((request) => request.state === "aborted")).toEqual([]);
});

/** A sound file: the next generation with its cap, no fault. A faulty one (`cap` null): the old generation, and the fault. */
async function checked(house: House, before: number, cap: number | null): Promise<number> {
  const { config, agents } = await house.gateway.stats();
  if (cap === null) {
    expect(config.generation).toBe(before);
    expect(config.fault).not.toBeNull();
    return before;
  }
  expect(config.generation).toBe(before + 1);
  expect(config.fault).toBeNull();
  expect(agents["default"]!.daily_usd).toBe(cap);
  return config.generation;
}

test("a local server is known as soon as the configuration names it, and gone with the one that does not", async () => {
  await using house = await startHouse({ local: { models: ["llama3.2:3b"] } });
  await using added = await FakeProvider.start({ local: true, models: ["gemma4:31b"] });
  const workstation = { url: `${added.url}/v1`, dialects: ["chat"], local: true };
  house.gateway.writeConfig(merge(house.config, { providers: { workstation } }));
  // The built-in name is bound to what a server offers.
  await eventually(async () =>
    expect(await listedModels(house)).toEqual(expect.arrayContaining(["workstation/gemma4:31b", "gemma-4"])),
  );

  const { generation } = (await house.gateway.stats()).config;
  // Without a fallback of one's own it is made of what the servers offer.
  const { models: _models, fallback: _fallback, ...rest } = house.config;
  house.gateway.writeConfig(rest);
  await eventually(async () => {
    expect((await house.gateway.stats()).config).toMatchObject({ generation: generation + 1, fault: null });
  });
  expect(await listedModels(house)).not.toContain("workstation/gemma4:31b");
  expect((await post(house.gateway, "messages")).status).toBe(200);
});

test("`sanctum reload` says which of the changes needs a restart", async () => {
  await using house = await startHouse();
  house.gateway.writeConfig({ ...house.config, listen: "127.0.0.1:1", agents: { default: { daily_usd: 7 } } });
  const child = Bun.spawn(["sh", join(import.meta.dir, "../../bin/sanctum"), "reload"], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: house.gateway.home, SANCTUM_HOME: house.gateway.home },
    stdout: "pipe",
  });
  expect(await new Response(child.stdout).text()).toMatch(/^configuration \d+ is live\n`listen`: .*restart.*\n$/);
  expect(await child.exited).toBe(0);
  expect((await house.gateway.stats()).agents["default"]!.daily_usd).toBe(7);
  expect(house.gateway.output()).toMatch(/`listen`: .*restart/);
});

async function listedModels(house: House): Promise<string[]> {
  const response = await fetch(`${house.gateway.url}/v1/models`);
  return ((await response.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
}
