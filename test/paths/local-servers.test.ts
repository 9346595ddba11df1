// Local servers that come, go, load, and lack a model, seen by a client and by whoever looks after the house.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { LocalServer, type LocalKind, type LocalServerState } from "../fakes/local-server.ts";
import { post, startHouse, type House, type HouseOptions } from "../fakes/house.ts";
import { begun } from "../../src/upstream/continuation-probe.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { attemptsOf, eventually, tokenOf } from "../harness.ts";
import { StreamReading } from "../wire/stream-reading.ts";

setDefaultTimeout(30_000);

interface Den extends AsyncDisposable {
  readonly house: House;
  readonly server: LocalServer;
}

/** A house with one more local server, `den`, whose model `m` is the alias `den-model`. */
async function startDen(
  kind: LocalKind,
  state: Partial<LocalServerState> = {},
  config: object = {},
  more: HouseOptions = {},
  timeouts: object = {},
): Promise<Den> {
  const server = LocalServer.start(kind, state);
  const house = await startHouse({
    ...more,
    config: ({ local }) => ({
      providers: {
        ollama: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none" },
        [`${kind}-den`]: { url: server.url, local: true, retry: { attempts: 1 }, timeouts },
      },
      models: { "den-model": { provider: `${kind}-den`, model: "m", context: 32_768 } },
      ...config,
    }),
  });
  const dispose = async (): Promise<void> => {
    await house[Symbol.asyncDispose]();
    await server.stop();
  };
  return { house, server, [Symbol.asyncDispose]: dispose };
}

interface ServerShown {
  readonly state: string;
  readonly loaded: readonly string[] | null;
  readonly concurrent: number | null;
}

async function shown({ gateway }: House, name: string): Promise<ServerShown> {
  const { providers } = (await (await fetch(`${gateway.url}/stats`)).json()) as {
    providers: Record<string, { server?: ServerShown }>;
  };
  return providers[name]!.server!;
}

async function missing({ gateway }: House): Promise<readonly { name: string; message: string }[]> {
  const stats = (await (await fetch(`${gateway.url}/stats`)).json()) as {
    missing_models?: readonly { name: string; message: string }[];
  };
  return stats.missing_models ?? [];
}

const lastAttempts = async ({ gateway }: House, lines: number): Promise<string[]> =>
  eventually(() => {
    const found = gateway.auditLines();
    if (found.length !== lines) throw new Error(`${found.length} lines`);
    return attemptsOf(found.at(-1)!);
  });

describe("a local server", () => {
  test("that is away is seen, passed over without being asked, and asked again once it is back", async () => {
    await using den = await startDen("ollama", {}, { fallback: ["coder-14b"] });
    const { house, server } = den;
    expect(await shown(house, "ollama-den")).toMatchObject({ state: "ready", loaded: ["m"] });
    await server.stop();
    // It dies between two looks: the attempt finds out, and everybody knows.
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 1)).toEqual(["den-model:connect_failed", "coder-14b:ok"]);
    await eventually(async () => expect((await shown(house, "ollama-den")).state).toBe("down"));
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 2)).toEqual(["den-model:skipped_breaker", "coder-14b:ok"]);
    expect(house.gateway.output()).toContain("ollama-den: the server does not answer");

    server.restart();
    await eventually(async () => expect((await shown(house, "ollama-den")).state).toBe("ready"), 10_000);
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 3)).toEqual(["den-model:ok"]);
    expect(house.gateway.output()).toContain("ollama-den: the server is ready");
  });

  test("that is back is asked by the next request, where nobody else could answer that", async () => {
    await using den = await startDen("ollama", {}, { fallback: [] });
    const { house, server } = den;
    await server.stop();
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(503);
    await eventually(async () => expect((await shown(house, "ollama-den")).state).toBe("down"));
    server.restart();
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
  });

  for (const dialect of ["messages", "chat", "responses"] as const) {
    test(`that loads its model is waited for, and the client hears of it (${dialect})`, async () => {
      await using den = await startDen("llamacpp", { loading: true }, { fallback: [], stream: { keep_alive: "50ms" } });
      const { house, server } = den;
      expect((await shown(house, "llamacpp-den")).state).toBe("loading");
      const answer = await post(house.gateway, dialect, { model: "den-model", extra: { stream: true } });
      const reading = new StreamReading(answer);
      await reading.keepAlives(dialect, 3);
      expect(server.chats).toEqual([]);
      server.state.loading = false;
      expect(await reading.toEnd()).toContain("five");
      expect(await lastAttempts(house, 1)).toEqual(["den-model:ok"]);
      expect((await house.gateway.stats()).providers["llamacpp-den"]!.state).toBe("closed");
    });
  }

  for (const kind of ["ollama", "lmstudio"] as const) {
    test(`that loads unasked (${kind}) has its time for it on top of the usual one, and only then`, async () => {
      const { promise: held, resolve: release } = Promise.withResolvers<void>();
      const timeouts = { first_byte: "300ms", first_content: "300ms", loading: "20s" };
      await using den = await startDen(
        kind,
        { loaded: [], before: async () => held },
        { fallback: [], stream: { keep_alive: "50ms" } },
        {},
        timeouts,
      );
      const { house } = den;
      const asked = { model: "den-model", extra: { stream: true } };
      const reading = new StreamReading(await post(house.gateway, "chat", asked));
      // Longer than either of the two usual ones.
      await reading.keepAlives("chat", 10);
      release();
      expect(await reading.toEnd()).toContain("five");
      expect(await lastAttempts(house, 1)).toEqual(["den-model:ok"]);
    });
  }

  test("that starts anew between two looks says itself that it loads: it is asked again, and its breaker stays shut", async () => {
    await using den = await startDen("llamacpp", {}, { fallback: [] });
    const { house, server } = den;
    expect((await shown(house, "llamacpp-den")).state).toBe("ready");
    server.state.loading = true;
    const answers = Promise.all(
      Array.from({ length: 8 }, async () => post(house.gateway, "chat", { model: "den-model" })),
    );
    await eventually(async () => expect((await shown(house, "llamacpp-den")).state).toBe("loading"));
    server.state.loading = false;
    expect((await answers).map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    const { state } = (await house.gateway.stats()).providers["llamacpp-den"]!;
    expect(state).toBe("closed");
    const lines = await eventually(() => {
      const found = house.gateway.auditLines();
      if (found.length !== 8) throw new Error(`${found.length} lines`);
      return found;
    });
    const told = lines.flatMap(attemptsOf);
    expect(told).toContain("den-model:upstream_503");
    expect(told.filter((attempt) => attempt === "den-model:ok")).toHaveLength(8);
  });

  test("that loads lets another one go first that can serve now", async () => {
    const abilities = { "qwen2.5-coder:14b": { capabilities: ["completion", "tools"], loaded: 32_768 } };
    const fallback = ["coder-14b"];
    await using den = await startDen("llamacpp", { loading: true }, { fallback }, { local: { abilities } });
    const { house } = den;
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 1)).toEqual(["coder-14b:ok"]);
  });

  test("that loads longer than it may is given up for whoever comes next", async () => {
    const timeouts = { loading: "100ms" };
    await using den = await startDen(
      "llamacpp",
      { loading: true },
      {},
      {
        cloud: { models: ["claude-sonnet-4-5"] },
      },
    );
    const { house, server } = den;
    house.gateway.writeConfig({
      ...house.config,
      providers: {
        ...(house.config["providers"] as object),
        "llamacpp-den": { url: server.url, local: true, timeouts },
      },
      fallback: ["anthropic/claude-sonnet-4-5"],
    });
    await eventually(async () => expect((await house.gateway.stats()).config.generation).toBe(2));
    expect((await post(house.gateway, "messages", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 1)).toEqual(["den-model:timeout_first_byte", "anthropic/claude-sonnet-4-5:ok"]);
  });
});

describe("a burst of fifty agents", () => {
  test("reaches a local server by as many at a time as it has places, and each of them is answered", async () => {
    let running = 0;
    let most = 0;
    const { promise: full, resolve: fill } = Promise.withResolvers<void>();
    const before = async (): Promise<void> => {
      most = Math.max(most, ++running);
      // The first ones wait for each other: all places are used.
      if (running === 3) fill();
      await full;
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    };
    await using den = await startDen("llamacpp", { slots: 3, before }, { fallback: [] });
    const { house, server } = den;
    expect(await shown(house, "llamacpp-den")).toMatchObject({ concurrent: 3 });
    // As one agent no more than its share could wait.
    const tokens = ["windu", "mothma"].map((agent) => ({ authorization: `Bearer ${tokenOf(agent).token}` }));
    const answers = Array.from({ length: 50 }, async (_, index) =>
      post(house.gateway, "chat", { model: "den-model", headers: tokens[index % 2]! }),
    );
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses).toEqual(Array.from({ length: 50 }, () => 200));
    expect([most, server.chats.length]).toEqual([3, 50]);
  });

  test("finds as many places as the configuration says, whatever the server tells", async () => {
    await using den = await startDen("llamacpp", { slots: 3 });
    const { house, server } = den;
    const concurrent = 7;
    house.gateway.writeConfig({
      ...house.config,
      providers: { "llamacpp-den": { url: server.url, local: true, limits: { concurrent } } },
      models: { "den-model": { provider: "llamacpp-den", model: "m" } },
      fallback: ["den-model"],
    });
    await eventually(async () => expect(await shown(house, "llamacpp-den")).toMatchObject({ concurrent }));
  });
});

describe("a model that its server does not have", () => {
  test("is told at the start with what fetches it, passed over at once, and used once it is there", async () => {
    await using den = await startDen("ollama", { models: ["other"], loaded: [] }, { fallback: ["coder-14b"] });
    const { house, server } = den;
    const message = `den-model: ollama-den has no model m; fetch it: \`OLLAMA_HOST=${new URL(server.url).origin} ollama pull m\``;
    expect(house.gateway.output().split(message)).toHaveLength(2);
    expect(await missing(house)).toMatchObject([{ name: "den-model", message }]);

    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 1)).toEqual(["den-model:skipped_model", "coder-14b:ok"]);
    expect(server.chats).toEqual([]);

    server.state.models = ["other", "m"];
    await eventually(async () => expect(await missing(house)).toEqual([]), 20_000);
    expect(house.gateway.output()).toContain("den-model: ollama-den has m now");
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(await lastAttempts(house, 2)).toEqual(["den-model:ok"]);
  });

  test("is told the client where nobody else can answer, without the name of the model", async () => {
    await using den = await startDen("vllm", { models: ["other"] }, { fallback: [] });
    const { house, server } = den;
    const answer = await post(house.gateway, "chat", { model: "den-model" });
    expect([answer.status, answer.headers.get("x-sanctum-error")]).toEqual([503, "ROUTE_NO_CANDIDATE"]);
    expect(await answer.text()).toContain("`sanctum status`");
    expect(server.chats).toEqual([]);
    expect(house.gateway.output()).toContain("it serves other; start it with that one: `vllm serve m`");
  });

  test("is told at a reload, too", async () => {
    await using den = await startDen("lmstudio", {});
    const { house, server } = den;
    expect(await missing(house)).toEqual([]);
    house.gateway.writeConfig({
      ...house.config,
      providers: { "lmstudio-den": { url: server.url, local: true } },
      models: { "den-model": { provider: "lmstudio-den", model: "gone" } },
      fallback: ["den-model", "lmstudio-den/absent"],
    });
    await eventually(async () =>
      expect((await missing(house)).map(({ name }) => name)).toEqual(["den-model", "lmstudio-den/absent"]),
    );
    expect(house.gateway.output()).toContain("den-model: lmstudio-den has no model gone; fetch it: `lms get gone`");
  });

  test("is served all the same by a llama-server, which has one for every name: that is told", async () => {
    await using den = await startDen("llamacpp", { models: ["big.gguf"], loaded: ["big.gguf"] }, { fallback: [] });
    const { house } = den;
    expect((await missing(house))[0]).toMatchObject({ instead: "big.gguf" });
    expect((await post(house.gateway, "chat", { model: "den-model" })).status).toBe(200);
  });
});

describe("what a local model does with an answer that was begun", () => {
  const isProbe = ({ messages }: JsonObject): boolean => JSON.stringify(messages).includes(begun);

  test("is asked of the models that may carry on for others, once and in the background", async () => {
    await using den = await startDen("ollama", { continuing: "implicit" }, { fallback: ["den-model"] });
    const { server } = den;
    await eventually(() => expect(server.chats).toHaveLength(1));
    expect(isProbe(server.chats[0]!)).toBe(true);
    expect(server.chats[0]).toMatchObject({ model: "m", stream: false });
    // It is nobody's request: no line, no money, and no agent.
    expect(den.house.gateway.auditText()).toEqual([]);
    expect((await post(den.house.gateway, "chat", { model: "den-model" })).status).toBe(200);
    expect(server.chats.filter(isProbe)).toHaveLength(1);
  });

  test("is asked of no model that is not in memory, and of none where nothing is taken over", async () => {
    await using cold = await startDen("ollama", { loaded: [] }, { fallback: ["den-model"] });
    await using off = await startDen("ollama", {}, { fallback: ["den-model"], stream: { takeover: "off" } });
    for (const { house, server } of [cold, off]) {
      expect((await shown(house, "ollama-den")).state).toBe("ready");
      expect(server.chats).toEqual([]);
    }
  });
});
