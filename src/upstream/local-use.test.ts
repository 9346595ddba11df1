import { expect, test } from "bun:test";
import { AttemptError } from "../errors.ts";
import type { Finish, GatewayResponse } from "../request.ts";
import { LocalUse, withLocalUse } from "./local-use.ts";
import { keyedOf, providerAt, StillClock } from "./sample-keyed.ts";

const home = providerAt("http://127.0.0.1:1/v1", { name: "home", local: true });
const cloud = providerAt("http://127.0.0.1:2/v1", { name: "cloud" });

class Scene {
  readonly clock = new StillClock();
  readonly use = new LocalUse(this.clock);
  readonly told: string[] = [];
  readonly witness = {
    doubt: (provider: string) => void this.told.push(`doubt ${provider}`),
    sawLoading: (provider: string) => void this.told.push(`loading ${provider}`),
  };
}

function answer(finished: Promise<Finish>): GatewayResponse {
  return { status: 200, headers: {}, body: "", finished };
}

test("a server is idle since its last answer has ended, and never while one is under way", async () => {
  const { clock, use, witness } = new Scene();
  const { promise, resolve } = Promise.withResolvers<Finish>();
  const send = withLocalUse(use, witness, async () => answer(promise));
  expect(use.idleMs("home")).toBe(Infinity);
  const { finished } = await send(keyedOf({ provider: home }));
  clock.ms += 500;
  expect(use.idleMs("home")).toBe(0);
  resolve({ outcome: "ok", bytesOut: 1 });
  await finished;
  clock.ms += 700;
  expect([use.idleMs("home"), use.served("home")]).toEqual([700, "upstream-model"]);
});

test("an attempt that fails is over, and tells what it met", async () => {
  const ends = [
    [new AttemptError("connect_failed"), "doubt home"],
    [new AttemptError("timeout_connect"), "doubt home"],
    [new AttemptError("timeout_first_byte"), "doubt home"],
    [new AttemptError("cut_stream"), "doubt home"],
    [new AttemptError("upstream_503", { status: 503, loading: true }), "loading home"],
    [new AttemptError("upstream_500", { status: 500 }), undefined],
    [new AttemptError("skipped_policy"), undefined],
    [new Error("a bug"), undefined],
  ] as const;
  for (const [error, told] of ends) {
    const scene = new Scene();
    const send = withLocalUse(scene.use, scene.witness, async () => Promise.reject(error));
    expect(await send(keyedOf({ provider: home })).catch((thrown: unknown) => thrown)).toBe(error);
    scene.clock.ms += 10;
    expect([scene.told, scene.use.idleMs("home"), scene.use.served("home")]).toEqual([
      told === undefined ? [] : [told],
      10,
      undefined,
    ]);
  }
});

test("an answer that breaks off tells of its server, one whose client leaves does not", async () => {
  for (const [outcome, told] of [
    ["upstream_error", ["doubt home"]],
    ["client_gone", []],
  ] as const) {
    const scene = new Scene();
    const send = withLocalUse(scene.use, scene.witness, async () => answer(Promise.resolve({ outcome, bytesOut: 0 })));
    await (
      await send(keyedOf({ provider: home }))
    ).finished;
    await Promise.resolve();
    expect([scene.told, scene.use.served("home")]).toEqual([[...told], undefined]);
  }
});

test("whoever asks a server for its own sake hears of each request before it is sent; of a cloud nobody keeps books", async () => {
  const { use, witness } = new Scene();
  const heard: string[] = [];
  use.onBegin((provider) => heard.push(provider));
  const send = withLocalUse(use, witness, async () => {
    heard.push("sent");
    return answer(Promise.resolve({ outcome: "ok", bytesOut: 0 }));
  });
  await send(keyedOf({ provider: home }));
  await send(keyedOf({ provider: cloud }));
  expect(heard).toEqual(["home", "sent", "sent"]);
  expect(use.idleMs("cloud")).toBe(Infinity);
});
