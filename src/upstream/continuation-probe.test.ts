import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { LocalServer, type LocalKind, type LocalServerState } from "../../test/fakes/local-server.ts";
import type { Candidate, Provider } from "../request.ts";
import { askForContinuation, begun, classify, ContinuationProbe } from "./continuation-probe.ts";
import { noContinuation } from "./continuation.ts";
import { LocalUse } from "./local-use.ts";
import { keyedOf, providerAt, StillClock } from "./sample-keyed.ts";

const servers: LocalServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
});

function started(kind: LocalKind, state: Partial<LocalServerState> = {}): { server: LocalServer; provider: Provider } {
  const server = LocalServer.start(kind, state);
  servers.push(server);
  return { server, provider: providerAt(server.url, { name: kind, local: true, kind }) };
}

async function foundAt(kind: LocalKind, state: Partial<LocalServerState>): Promise<object | undefined> {
  const { provider } = started(kind, state);
  return askForContinuation(provider, "m", new AbortController().signal);
}

const flags = { continue_final_message: true, add_generation_prompt: false };

describe("an answer that was begun", () => {
  test("is taken up where it ends, repeated first, or begun anew", () => {
    expect(classify(" five, six")).toBe("goes_on");
    expect(classify("five")).toBe("goes_on");
    expect(classify(`${begun} five`)).toBe("repeats");
    // Other blanks than it was given.
    expect(classify(`\n${begun.replaceAll(" ", "  ")}five`)).toBe("repeats");
    for (const text of ["One, two, three, four, five", "Gladly: one, two", begun, "", "six", "Sure! five"]) {
      expect([text, classify(text)]).toEqual([text, "starts_over"]);
    }
  });

  test("is continued by flags where a server knows them", async () => {
    const found = { style: "flags_bool", echoes: false, extra: expect.objectContaining(flags) as object };
    expect(await foundAt("llamacpp", { continuing: "flags" })).toEqual(found);
    expect(await foundAt("vllm", { continuing: "flags" })).toEqual(found);
  });

  test("is continued by an older llama-server that knows no flags, as long as its template does not think", async () => {
    const found = await foundAt("llamacpp", { continuing: "implicit", thinks: true });
    expect(found).toMatchObject({ extra: { chat_template_kwargs: { enable_thinking: false } }, echoes: false });
  });

  test("is continued by Ollama for the families that it knows to, and by no flags", async () => {
    const { server, provider } = started("ollama", { continuing: "implicit" });
    const found = await askForContinuation(provider, "m", new AbortController().signal);
    expect(found).toEqual({ style: "implicit", echoes: false, extra: { reasoning_effort: "none" } });
    expect(server.chats).toHaveLength(1);
    expect(server.chats[0]).not.toHaveProperty("continue_final_message");
  });

  test("may come back with its beginning", async () => {
    const found = await foundAt("lmstudio", { continuing: "implicit", echoes: true });
    expect(found).toEqual({ style: "implicit", echoes: true, extra: {} });
  });

  test("is continued in no way by a server that begins anew or refuses each of them", async () => {
    expect(await foundAt("ollama", { continuing: "never" })).toEqual(noContinuation);
    expect(await foundAt("vllm", { continuing: "never" })).toEqual(noContinuation);
    const refusing = Bun.serve({ port: 0, fetch: () => Response.json({ error: { message: "no" } }, { status: 400 }) });
    const provider = providerAt(`http://127.0.0.1:${refusing.port}/v1`, { name: "llamacpp", local: true });
    expect(await askForContinuation(provider, "m", new AbortController().signal)).toEqual(noContinuation);
    await refusing.stop(true);
  });

  test("is not taken up by who thinks first", async () => {
    const message = { content: " five", reasoning_content: "Let me count." };
    const thinking = Bun.serve({ port: 0, fetch: () => Response.json({ choices: [{ message }] }) });
    const provider = providerAt(`http://127.0.0.1:${thinking.port}/v1`, { name: "vllm", local: true });
    expect(await askForContinuation(provider, "m", new AbortController().signal)).toEqual(noContinuation);
    await thinking.stop(true);
  });

  test("stays an open question where the server gives no answer that says anything", async () => {
    const answers = [
      () => new Response("<html>"),
      () => Response.json({}),
      () => Response.json({ choices: [{ message: { content: 7 } }] }),
      () => new Response("", { status: 500 }),
      () => new Response("", { status: 404 }),
    ];
    for (const answer of answers) {
      const server = Bun.serve({ port: 0, fetch: answer });
      const provider = providerAt(`http://127.0.0.1:${server.port}/v1`, { name: "vllm", local: true });
      expect(await askForContinuation(provider, "m", new AbortController().signal)).toBeUndefined();
      await server.stop(true);
    }
  });
});

class Scene {
  readonly clock = new StillClock();
  readonly use = new LocalUse(this.clock);
  /** What is in memory, by model. */
  readonly memory = new Map<string, string>();
  readonly probe = new ContinuationProbe({
    clock: this.clock,
    use: this.use,
    inMemory: (_, model) => this.memory.get(model) ?? null,
  });

  candidate(provider: Provider, model = "m"): Candidate {
    return keyedOf({ provider, candidate: { model } }).candidate;
  }
}

describe("what a model does with it", () => {
  let scene = new Scene();
  beforeEach(() => {
    scene = new Scene();
  });

  test("is asked once, in the background, and known from then on", async () => {
    const { server, provider } = started("vllm", { continuing: "flags" });
    scene.memory.set("m", "1");
    const candidate = scene.candidate(provider);
    expect(scene.probe.of(candidate)).toBeUndefined();
    await scene.probe.look();
    await scene.probe.look();
    expect(scene.probe.of(candidate)?.style).toBe("flags_bool");
    await scene.probe.look();
    expect(server.chats).toHaveLength(1);
    expect(server.chats[0]).toMatchObject({ model: "m", stream: false, temperature: 0 });
    expect(server.chats[0]!["max_tokens"]).toBeLessThanOrEqual(32);
  });

  test("is never asked of a model that is not in memory; once it is, it is asked", async () => {
    const { server, provider } = started("ollama", { continuing: "implicit", loaded: [] });
    const candidate = scene.candidate(provider);
    expect(scene.probe.of(candidate)).toBeUndefined();
    await scene.probe.look();
    expect(server.requests).toEqual([]);
    scene.memory.set("m", "1");
    await scene.probe.look();
    expect(scene.probe.of(candidate)?.style).toBe("implicit");
  });

  test("is asked anew of another version, or after a new start", async () => {
    const { server, provider } = started("ollama", { continuing: "never" });
    scene.memory.set("m", "run 1");
    const candidate = scene.candidate(provider);
    scene.probe.of(candidate);
    await scene.probe.look();
    expect(scene.probe.of(candidate)?.style).toBe("none");
    server.state.continuing = "implicit";
    scene.memory.set("m", "run 2");
    expect(scene.probe.of(candidate)).toBeUndefined();
    await scene.probe.look();
    expect(scene.probe.of(candidate)?.style).toBe("implicit");
  });

  test("is not asked while the server works, nor shortly after: an agent's prompt lies in its cache", async () => {
    const { server, provider } = started("ollama", { continuing: "implicit" });
    scene.memory.set("m", "1");
    scene.use.begin("ollama");
    scene.probe.of(scene.candidate(provider));
    await scene.probe.look();
    scene.use.end("ollama");
    await scene.probe.look();
    expect(server.requests).toEqual([]);
    scene.clock.ms += 30_000;
    await scene.probe.look();
    expect(server.chats).toHaveLength(1);
  });

  test("is not asked any further once a request comes, which has the server for itself", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const { server, provider } = started("ollama", {
      continuing: "implicit",
      before: async () => {
        arrive();
        await held;
      },
    });
    scene.memory.set("m", "1");
    const candidate = scene.candidate(provider);
    scene.probe.of(candidate);
    await arrived;
    scene.use.begin("ollama");
    await scene.probe.look();
    expect(scene.probe.of(candidate)).toBeUndefined();
    release();
    scene.use.end("ollama");
    scene.clock.ms += 30_000;
    await scene.probe.look();
    expect(server.chats).toHaveLength(2);
  });

  test("is asked of one model of a server at a time", async () => {
    let running = 0;
    let most = 0;
    const { server, provider } = started("ollama", {
      models: ["a", "b", "c"],
      before: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      },
    });
    for (const model of ["a", "b", "c"]) {
      scene.memory.set(model, "1");
      scene.probe.of(scene.candidate(provider, model));
    }
    await scene.probe.look();
    expect([server.chats.length, most]).toEqual([3, 1]);
  });

  test("is asked again after a minute where there was no answer, and less and less often", async () => {
    const { server, provider } = started("ollama", { models: [] });
    scene.memory.set("m", "1");
    scene.probe.of(scene.candidate(provider));
    for (const [ms, times] of [
      [0, 1],
      [59_000, 1],
      [1_000, 2],
      [60_000, 2],
      [60_000, 3],
    ] as const) {
      scene.clock.ms += ms;
      await scene.probe.look();
      expect(server.chats).toHaveLength(times);
    }
  });

  test("is no question for who is not local, or speaks no Chat", () => {
    const cloud = providerAt("http://127.0.0.1:9/v1", { name: "openai" });
    expect(scene.probe.of(scene.candidate(cloud))).toEqual(noContinuation);
    const other = providerAt("http://127.0.0.1:9", { name: "home", local: true, dialects: ["messages"] });
    expect(scene.probe.of(scene.candidate(other))).toEqual(noContinuation);
  });
});
