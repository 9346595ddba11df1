import { describe, expect, test } from "bun:test";
import type { Provider } from "../request.ts";
import type { ServerKind } from "../wire/neutral.ts";
import { offers, ServerHealth } from "./local-health.ts";
import { LocalUse } from "./local-use.ts";
import { providerAt, StillClock } from "./sample-keyed.ts";
import type { Look } from "./server-look.ts";
import { ServerWatch } from "./server-watch.ts";

interface Seen {
  readonly health: ServerHealth;
  readonly use: LocalUse;
  readonly provider: Provider;
}

/** A server that was looked at once and looks like this. */
async function seenAs(kind: ServerKind, look: Look | null): Promise<Seen> {
  const clock = new StillClock();
  const provider = providerAt("http://127.0.0.1:1/v1", { name: "home", local: true, kind });
  const wait = async (_: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
  const watch = new ServerWatch({ clock, wait, onChange: () => undefined, look: async () => look });
  watch.configure([provider]);
  await watch.lookNow("home");
  const use = new LocalUse(clock);
  return { health: new ServerHealth(watch, use), use, provider };
}

const has = (listed: readonly string[], loaded: readonly string[] | null): Look => ({
  state: "ready",
  listed,
  loaded: loaded === null ? null : new Map(loaded.map((name) => [name, `version of ${name}`])),
});

describe("of a model on a local server is known that it", () => {
  test("can be asked for, will be loaded first, or is not there", async () => {
    const { health, provider } = await seenAs("ollama", has(["a", "b"], ["a"]));
    expect(["a", "b", "c"].map((model) => health.of({ provider, model }))).toEqual(["ready", "cold", "missing"]);
  });

  test("is as its server is, which comes first", async () => {
    for (const state of ["loading", "down"] as const) {
      const { health, provider } = await seenAs("ollama", { state, listed: null, loaded: null });
      expect(health.of({ provider, model: "a" })).toBe(state);
    }
  });

  test("can be asked for as long as nobody has seen its server, or that does not say what it has loaded", async () => {
    const unseen = await seenAs("ollama", null);
    expect(unseen.health.of({ provider: unseen.provider, model: "a" })).toBe("ready");
    const silent = await seenAs("mlx", has(["a"], null));
    expect(silent.health.of({ provider: silent.provider, model: "a" })).toBe("ready");
    const stranger = providerAt("http://127.0.0.1:1/v1", { name: "stranger", local: true });
    expect(silent.health.of({ provider: stranger, model: "a" })).toBe("ready");
  });
});

describe("in memory is", () => {
  test("what the server says, in the version that it says, and by the run of the server", async () => {
    const { health, provider } = await seenAs("ollama", has(["a:latest", "b"], ["a:latest"]));
    expect(health.inMemory(provider, "a")).toBe("0 version of a:latest");
    expect(health.inMemory(provider, "b")).toBeNull();
  });

  test("what answered last, where the server does not say", async () => {
    const { health, use, provider } = await seenAs("generic", has(["a", "b"], null));
    expect(health.inMemory(provider, "a")).toBeNull();
    use.begin("home");
    use.end("home", "a");
    expect(health.inMemory(provider, "a")).toBe("0 ");
    expect(health.inMemory(provider, "b")).toBeNull();
  });

  test("the one model of a llama-server, whatever it is called", async () => {
    const { health, provider } = await seenAs("llamacpp", has(["big.gguf"], ["big.gguf"]));
    expect(health.inMemory(provider, "any")).toBe("0 version of big.gguf");
    expect(health.of({ provider, model: "any" })).toBe("ready");
    expect(health.instead({ provider, model: "any" })).toBe("big.gguf");
    expect(health.instead({ provider, model: "big.gguf" })).toBeUndefined();
  });

  test("nothing on a server that is away", async () => {
    const { health, provider } = await seenAs("ollama", { state: "down", listed: null, loaded: null });
    expect(health.inMemory(provider, "a")).toBeNull();
  });
});

test("missing is only what a server is certain to refuse", () => {
  const cases: readonly (readonly [ServerKind, readonly string[] | null, string, boolean])[] = [
    ["ollama", ["a:latest"], "a", true],
    ["ollama", ["a:latest"], "a:7b", false],
    ["ollama", [], "gpt-oss:120b-cloud", true],
    ["ollama", [], "glm-4.6:cloud", true],
    ["ollama", null, "a", true],
    ["lmstudio", ["qwen/qwen3-4b"], "qwen3-4b", true],
    ["lmstudio", ["qwen3-4b"], "qwen/Qwen3-4B@q4_k_m", true],
    ["lmstudio", ["qwen3-4b"], "qwen3-8b", false],
    ["llamacpp", ["one"], "other", true],
    ["llamacpp", ["one", "two"], "other", false],
    ["vllm", ["one"], "other", false],
    ["mlx", ["one"], "other", true],
    ["generic", ["one"], "other", true],
  ];
  for (const [kind, listed, model, offered] of cases) {
    expect([kind, listed, model, offers(kind, listed, model)]).toEqual([kind, listed, model, offered]);
  }
});
