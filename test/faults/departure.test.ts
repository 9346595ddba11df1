// A client that goes away ends what is done for it, in whatever phase: the provider sees its connection close.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import {
  dialects,
  loneModels,
  post,
  routeOf,
  smallBody,
  startHouse,
  type House,
  type TestDialect,
} from "../fakes/house.ts";
import { FakeProvider, type RecordedRequest } from "../fakes/provider.ts";
import { requestBytes } from "../fakes/raw-client.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf, eventually, type AuditLine } from "../harness.ts";
import { bytesOf, streamed, wireOf } from "./wire.ts";

setDefaultTimeout(60_000);

/** Each phase as often, for the figures. */
const rounds = 5;
const ways = dialects.flatMap((dialect) => [true, false].map((stream) => ({ dialect, stream })));
const delaysMs: number[] = [];
let origin: FakeProvider;
let house: House;

beforeAll(async () => {
  origin = await FakeProvider.start({ lenient: true });
  const resting = { retry: { attempts: 3 } };
  const models = dialects.flatMap((dialect) => [
    { name: `asked-${dialect}`, dialect, origin: origin.url },
    { name: `failing-${dialect}`, dialect, origin: origin.url },
    ...[true, false].map((stream) => ({
      name: `resting-${dialect}-${stream}`,
      dialect,
      origin: origin.url,
      provider: resting,
    })),
  ]);
  const { providers, models: named } = loneModels(models);
  house = await startHouse({
    config: ({ local }) => ({
      providers: {
        ...providers,
        // One place: who comes second waits for it.
        narrow: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none", limits: { concurrent: 1 } },
      },
      models: { ...named, queued: { provider: "narrow", model: "qwen2.5-coder:14b", context: 32_768 } },
      routes: dialects.map((dialect) => ({
        name: `home-${dialect}`,
        when: { model: `failing-${dialect}` },
        use: [`failing-${dialect}`, "coder-14b"],
      })),
      stream: { keep_alive: "40ms" },
      fallback: [],
    }),
  });
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

afterEach(() => {
  origin.script.length = 0;
  house.local.script.length = 0;
});

interface Client {
  readonly id: Promise<string | null>;
  leave(): void;
}

/** `whenRead` is called with all that the client has got so far, each time that more has come. */
function ask(dialect: TestDialect, model: string, stream: boolean, whenRead?: (text: string) => void): Client {
  const client = new AbortController();
  const response = post(house.gateway, dialect, { model, extra: { stream }, signal: client.signal });
  void response
    .then(async ({ body }) => {
      let text = "";
      for await (const bytes of body ?? []) {
        text += new TextDecoder().decode(bytes);
        whenRead?.(text);
      }
    })
    .catch(() => undefined);
  const id = response.then(
    ({ headers }) => headers.get("x-sanctum-request-id"),
    () => null,
  );
  return { id, leave: () => client.abort() };
}

async function arrivedAt(provider: FakeProvider, act: () => void): Promise<RecordedRequest> {
  const count = provider.generations.length;
  act();
  await provider.arrived(count + 1);
  return provider.generations[count]!;
}

/** Leaves, waits until the provider's connection is closed, and keeps how long that took. */
async function leaving(request: RecordedRequest, client: Client): Promise<void> {
  const left = performance.now();
  client.leave();
  await request.aborted;
  delaysMs.push(performance.now() - left);
}

function lines(model: string): AuditLine[] {
  return house.gateway.auditLines().filter((line) => line["requested_model"] === model);
}

async function lastLine(model: string, count: number): Promise<AuditLine> {
  return eventually(() => {
    const found = lines(model);
    if (found.length !== count) throw new Error(`${found.length} lines of ${model}, not ${count}`);
    return found.at(-1)!;
  }, 20_000);
}

/** All books are closed: nobody is in flight and nothing is held. */
async function quiet(): Promise<void> {
  await eventually(async () => {
    const { in_flight, agents } = await house.gateway.stats();
    const held = Object.values(agents).reduce((sum, { held_usd }) => sum + held_usd, 0);
    if (in_flight !== 0 || held !== 0) throw new Error(`${in_flight} in flight, ${held} USD held`);
  }, 20_000);
}

const silent: readonly {
  readonly phase: string;
  readonly step: Step;
  readonly shown: boolean;
  readonly whole: boolean;
}[] = [
  { phase: "before the headers", step: { stall: "before_headers" }, shown: false, whole: true },
  { phase: "behind the headers", step: { stall: "after_headers" }, shown: false, whole: true },
  { phase: "before the first content", step: { stall: { afterEvents: 1 } }, shown: false, whole: false },
  { phase: "in mid-content", step: { stall: { afterEvents: 7 } }, shown: true, whole: false },
];

describe.each(ways)("$dialect, streamed: $stream: a client that leaves", ({ dialect, stream }) => {
  test.each(silent.filter(({ whole }) => stream || whole))("$phase ends the call upstream", async ({ step, shown }) => {
    const model = `asked-${dialect}`;
    for (let round = 0; round < rounds; round++) {
      const before = lines(model).length;
      const read = Promise.withResolvers<void>();
      let client: Client | undefined;
      const request = await arrivedAt(origin, () => {
        origin.script.push(step);
        client = ask(dialect, model, stream, () => read.resolve());
      });
      if (shown) await read.promise;
      await leaving(request, client!);
      const line = await lastLine(model, before + 1);
      expect([line.outcome, attemptsOf(line)]).toEqual(["client_gone", [`${model}:client_gone`]]);
    }
    await quiet();
  });

  test("while the fallback works ends that call", async () => {
    const model = `failing-${dialect}`;
    const before = lines(model).length;
    origin.script.push({ refuse: { status: 501 } });
    let client: Client | undefined;
    const request = await arrivedAt(house.local, () => {
      house.local.script.push({ stall: "before_headers" });
      client = ask(dialect, model, stream);
    });
    await leaving(request, client!);
    const line = await lastLine(model, before + 1);
    expect([line.outcome, attemptsOf(line)]).toEqual([
      "client_gone",
      [`${model}:upstream_501`, "coder-14b:client_gone"],
    ]);
    await quiet();
  });

  test("while the next try is waited for is not waited for", async () => {
    const model = `resting-${dialect}-${stream}`;
    let client: Client | undefined;
    const request = await arrivedAt(origin, () => {
      origin.script.push({ refuse: { status: 429, headers: { "retry-after": "9" } } });
      client = ask(dialect, model, stream);
    });
    await eventually(() => expect(request.state).toBe("answered"));
    const asked = origin.generations.length;
    client!.leave();
    expect((await lastLine(model, 1)).outcome).toBe("client_gone");
    expect(origin.generations.length).toBe(asked);
    await quiet();
  });

  test("while it waits in a line gives its place to the next", async () => {
    const before = lines("queued").length;
    let first: Client | undefined;
    const holder = await arrivedAt(house.local, () => {
      house.local.script.push({ stall: "before_headers" });
      first = ask("chat", "queued", true);
    });
    const second = ask(dialect, "queued", stream);
    await eventually(async () => expect((await house.gateway.stats()).in_flight).toBe(2));
    const asked = house.local.generations.length;
    second.leave();
    const line = await lastLine("queued", before + 1);
    expect(line.outcome).toBe("client_gone");
    expect(house.local.generations.length).toBe(asked);
    await leaving(holder, first!);
    const next = await post(house.gateway, dialect, { model: "queued", extra: { stream } });
    expect(next.status).toBe(200);
    await next.text();
    await quiet();
  });

  test("while it still sends its request has nothing sent for it", async () => {
    const asked = origin.generations.length;
    const { hostname, port } = new URL(house.gateway.url);
    const bytes = requestBytes(house.gateway.url, {
      path: routeOf[dialect],
      body: smallBody(dialect, `asked-${dialect}`, { stream }),
    });
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on("error", () => undefined);
    socket.write(bytes.slice(0, -20));
    await eventually(async () => expect((await house.gateway.stats()).in_flight).toBe(1));
    socket.resetAndDestroy();
    await quiet();
    expect(origin.generations.length).toBe(asked);
  });
});

describe.each([...dialects])("%s: a client that leaves", (dialect) => {
  test("on the terminal event has had its answer, and the call ends", async () => {
    const model = `asked-${dialect}`;
    const last = { messages: "message_stop", chat: "[DONE]", responses: '"response.completed"' }[dialect];
    for (let round = 0; round < rounds; round++) {
      const before = lines(model).length;
      const read = Promise.withResolvers<void>();
      let client: Client | undefined;
      const request = await arrivedAt(origin, () => {
        origin.script.push({ raw: streamed(bytesOf(wireOf(dialect, true).events), { end: "silence" }) });
        client = ask(dialect, model, true, (text) => {
          if (text.includes(last)) read.resolve();
        });
      });
      await read.promise;
      client!.leave();
      await request.aborted;
      const line = await lastLine(model, before + 1);
      expect([line.outcome, attemptsOf(line)]).toEqual(["ok", [`${model}:ok`]]);
    }
    await quiet();
  });
});

test("from a client's leaving to the end of the call upstream it is a moment", () => {
  const sorted = delaysMs.toSorted((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
  console.log(`departures: ${sorted.length}, median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`);
  expect(sorted.length).toBeGreaterThan(50);
  // A busy machine adds to it; what is promised is 100 ms.
  expect(sorted.at(-1)!).toBeLessThan(5_000);
});
