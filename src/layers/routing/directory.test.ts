import { describe, expect, test } from "bun:test";
import { ceilingOf, priceOf } from "../../catalogue/index.ts";
import type { Provider } from "../../request.ts";
import { Directory, candidateOf, type DirectoryParts, type LocalModel } from "./directory.ts";
import { localOf, providerOf } from "./sample-request.ts";

const anthropic = providerOf("anthropic", { dialects: ["messages"] });
const openai = providerOf("openai", { dialects: ["responses", "chat"] });
const openrouter = providerOf("openrouter");
const ollama = localOf("ollama");
const vllm = localOf("vllm");

interface Some {
  readonly providers?: readonly Provider[];
  readonly aliases?: readonly { name: string; provider: string; model: string; context?: number }[];
  readonly local?: readonly (readonly [provider: string, model: string, context?: number])[];
  readonly fallback?: readonly string[];
}

function directoryOf({ providers, aliases = [], local = [], fallback }: Some = {}): Directory {
  const list = providers ?? [anthropic, openrouter, openai, ollama, vllm];
  const parts: DirectoryParts = {
    providers: new Map(list.map((provider) => [provider.name, provider])),
    aliases: new Map(
      aliases.map((alias) => [
        alias.name,
        { ...alias, context: alias.context, maxOutput: undefined, price: undefined },
      ]),
    ),
    localModels: local.map(([provider, model, context]): LocalModel => ({ provider, model, context })),
    fallback,
  };
  return new Directory(parts);
}

function found(directory: Directory, name: string): string[] {
  return directory.resolve(name).map((entry) => `${entry.provider.name} ${entry.model}`);
}

function fallbackOf(directory: Directory): string[] {
  return directory.fallback.map((entry) => `${entry.name} = ${entry.provider.name} ${entry.model}`);
}

describe("a name means", () => {
  test("first of all the alias of that name, even where the catalogue knows it too", () => {
    const directory = directoryOf({ aliases: [{ name: "gpt-4o", provider: "ollama", model: "qwen3:8b" }] });
    expect(found(directory, "gpt-4o")).toEqual(["ollama qwen3:8b"]);
  });

  test("the provider before its slash, and everything behind the first slash is that provider's own name", () => {
    const directory = directoryOf();
    expect(found(directory, "openrouter/qwen/qwen3-coder:free")).toEqual(["openrouter qwen/qwen3-coder:free"]);
    expect(found(directory, "ollama/gemma3:27b")).toEqual(["ollama gemma3:27b"]);
    expect(found(directory, "openai/")).toEqual([]);
  });

  test("the maker's own model, where a reseller's spelling names the maker", () => {
    expect(found(directoryOf(), "anthropic/claude-sonnet-4.5")).toEqual(["anthropic claude-sonnet-4-5"]);
    expect(found(directoryOf(), "openrouter/anthropic/claude-sonnet-4.5")).toEqual([
      "openrouter anthropic/claude-sonnet-4.5",
    ]);
    expect(found(directoryOf(), "ollama/claude-sonnet-4.5")).toEqual(["ollama claude-sonnet-4.5"]);
  });

  test("what the catalogue lists under it, at the maker", () => {
    const directory = directoryOf();
    expect(found(directory, "claude-sonnet-4-5")[0]).toBe("anthropic claude-sonnet-4-5");
    expect(found(directory, "gpt-4.1")[0]).toBe("openai gpt-4.1");
    const entry = directory.resolve("claude-sonnet-4-5")[0]!;
    expect(entry.price).toEqual(priceOf("anthropic", "claude-sonnet-4-5")!);
    expect(entry.name).toBe("anthropic/claude-sonnet-4-5");
  });

  test("nothing at a vendor that is not among the providers", () => {
    const directory = directoryOf({ providers: [ollama] });
    expect(found(directory, "claude-sonnet-4-5")).toEqual([]);
    expect(found(directory, "anthropic/claude-sonnet-4-5")).toEqual([]);
  });

  test("the model that a local server offers under it, free of charge and with the window that the server told", () => {
    const directory = directoryOf({ local: [["ollama", "qwen3:8b", 40_960]] });
    expect(found(directory, "qwen3:8b")).toEqual(["ollama qwen3:8b"]);
    expect(directory.resolve("qwen3:8b")[0]).toMatchObject({ price: null, context: 40_960, hiddenReasoning: false });
  });

  test("a vendor's model that nobody listed yet, at that vendor's ceiling price", () => {
    const directory = directoryOf();
    const cases = [
      ["claude-opus-97", anthropic],
      ["gpt-97-turbo", openai],
      ["o97-mini", openai],
      ["brand-new-lab/model-x", openrouter],
    ] as const;
    for (const [name, provider] of cases) {
      const entries = directory.resolve(name);
      expect(entries.map((entry) => entry.provider.name)).toEqual([provider.name]);
      expect(entries[0]!.price).toEqual(ceilingOf(provider.name));
      expect(entries[0]!.price?.source).toBe("ceiling");
    }
  });

  test("nothing, where no rule fits", () => {
    const directory = directoryOf({ local: [["ollama", "qwen3:8b"]] });
    const strangers = ["", "no-such-model", "qwen3", "/x", "constructor", "__proto__", "claude opus", "gpt-4o\n"];
    for (const name of [...strangers, `gpt-${"x".repeat(300)}`]) {
      expect([name, directory.resolve(name)]).toEqual([name, []]);
    }
  });

  test("the same after a thousand made-up names as before", () => {
    const directory = directoryOf();
    for (let i = 0; i < 1_500; i++) directory.resolve(`claude-made-up-${i}`);
    expect(found(directory, "claude-sonnet-4-5")[0]).toBe("anthropic claude-sonnet-4-5");
    expect(found(directory, "nope")).toEqual([]);
  });
});

describe("the price of an entry", () => {
  test("is never nothing in the cloud, and always nothing at home", () => {
    const own = providerOf("work-gateway");
    const directory = directoryOf({ providers: [own, ollama] });
    expect(directory.resolve("work-gateway/anything")[0]!.price?.source).toBe("ceiling");
    expect(directory.resolve("ollama/anything")[0]!.price).toBeNull();
  });

  test("is the configured one where there is one", () => {
    const price = { ...ceilingOf("openai"), input: 1, source: "config" as const };
    const alias = { name: "own", provider: "openai", model: "gpt-4o", context: 9, maxOutput: 7, price };
    const directory = new Directory({
      providers: new Map([["openai", openai]]),
      aliases: new Map([["own", alias]]),
      localModels: [],
      fallback: undefined,
    });
    expect(directory.resolve("own")[0]).toMatchObject({ name: "own", price, context: 9, maxOutput: 7 });
  });
});

describe("coder-14b and gemma-4 without a line of configuration", () => {
  test("are the best matching local models: the wanted size first, then any of the family", () => {
    const both = directoryOf({
      local: [
        ["ollama", "deepseek-coder:6.7b"],
        ["ollama", "qwen2.5-coder:14b"],
        ["vllm", "gemma3:4b"],
        ["vllm", "gemma4:31b"],
      ],
    });
    expect(found(both, "coder-14b")).toEqual(["ollama qwen2.5-coder:14b"]);
    expect(found(both, "gemma-4")).toEqual(["vllm gemma4:31b"]);
    const other = directoryOf({
      local: [
        ["ollama", "deepseek-coder:6.7b"],
        ["vllm", "google/gemma-3-12b-it"],
      ],
    });
    expect(found(other, "coder-14b")).toEqual(["ollama deepseek-coder:6.7b"]);
    expect(found(other, "gemma-4")).toEqual(["vllm google/gemma-3-12b-it"]);
  });

  test("are found whatever the case that the server writes them in", () => {
    const directory = directoryOf({
      local: [
        ["vllm", "Qwen/Qwen2.5-Coder-14B-Instruct"],
        ["vllm", "GEMMA-4-31B"],
      ],
    });
    expect(found(directory, "coder-14b")).toEqual(["vllm Qwen/Qwen2.5-Coder-14B-Instruct"]);
    expect(found(directory, "gemma-4")).toEqual(["vllm GEMMA-4-31B"]);
  });

  test("are the fallback in this order", () => {
    const directory = directoryOf({
      local: [
        ["vllm", "gemma4:31b"],
        ["ollama", "qwen2.5-coder:14b"],
      ],
    });
    expect(fallbackOf(directory)).toEqual(["coder-14b = ollama qwen2.5-coder:14b", "gemma-4 = vllm gemma4:31b"]);
  });

  test("mean nothing where no local server offers such a model", () => {
    const directory = directoryOf({ local: [["ollama", "llama3:8b"]] });
    expect(found(directory, "coder-14b")).toEqual([]);
    expect(found(directory, "gemma-4")).toEqual([]);
  });

  test("are left to the configuration where it names them", () => {
    const directory = directoryOf({
      aliases: [{ name: "coder-14b", provider: "vllm", model: "mine" }],
      local: [["ollama", "qwen2.5-coder:14b"]],
    });
    expect(found(directory, "coder-14b")).toEqual(["vllm mine"]);
    expect(fallbackOf(directory)).toEqual(["coder-14b = vllm mine"]);
  });
});

describe("the fallback", () => {
  test("is every local model, the largest window first, where neither a coder nor a Gemma is there", () => {
    const directory = directoryOf({
      local: [
        ["ollama", "llama3:8b", 8_192],
        ["ollama", "phi4"],
        ["vllm", "mistral-small", 131_072],
      ],
    });
    expect(fallbackOf(directory)).toEqual([
      "vllm/mistral-small = vllm mistral-small",
      "ollama/llama3:8b = ollama llama3:8b",
      "ollama/phi4 = ollama phi4",
    ]);
  });

  test("is what the configuration lists, in its order, aliases and full names alike", () => {
    const directory = directoryOf({
      aliases: [{ name: "mine", provider: "vllm", model: "m" }],
      local: [["ollama", "qwen2.5-coder:14b"]],
      fallback: ["ollama/phi4", "mine", "coder-14b"],
    });
    expect(fallbackOf(directory)).toEqual([
      "ollama/phi4 = ollama phi4",
      "mine = vllm m",
      "coder-14b = ollama qwen2.5-coder:14b",
    ]);
  });

  test("is empty where the configuration says so, or where nothing is at home", () => {
    expect(fallbackOf(directoryOf({ local: [["ollama", "qwen2.5-coder:14b"]], fallback: [] }))).toEqual([]);
    expect(fallbackOf(directoryOf())).toEqual([]);
  });
});

test("the list of names holds aliases and local models with their windows", () => {
  const directory = directoryOf({
    aliases: [{ name: "mine", provider: "vllm", model: "m", context: 4_096 }],
    local: [["ollama", "phi4", 16_384]],
  });
  expect(directory.names()).toEqual([
    { id: "mine", provider: "vllm", context: 4_096 },
    { id: "ollama/phi4", provider: "ollama", context: 16_384 },
  ]);
});

describe("a candidate is asked", () => {
  const entryAt = (provider: Provider) => directoryOf({ providers: [provider] }).resolve(`${provider.name}/m`)[0]!;

  test("in the client's own dialect where the provider speaks it", () => {
    expect(candidateOf(entryAt(openai), "chat", "requested").dialect).toBe("chat");
    expect(candidateOf(entryAt(openai), "responses", "requested").dialect).toBe("responses");
  });

  test("else in the one that loses least: messages before chat before responses", () => {
    expect(candidateOf(entryAt(anthropic), "responses", "requested").dialect).toBe("messages");
    const all = providerOf("all", { dialects: ["responses", "chat", "messages"] });
    const two = providerOf("two", { dialects: ["responses", "messages"] });
    expect(candidateOf(entryAt(two), "chat", "requested").dialect).toBe("messages");
    expect(candidateOf(entryAt(all), "chat", "requested").dialect).toBe("chat");
    expect(candidateOf(entryAt(providerOf("new", { dialects: ["responses"] })), "chat", "r").dialect).toBe("responses");
  });

  test("at OpenAI's Responses door rather than at its Chat door, which refuses tools to models that reason", () => {
    expect(candidateOf(entryAt(openai), "messages", "requested").dialect).toBe("responses");
    const older = providerOf("openai", { dialects: ["chat"] });
    expect(candidateOf(entryAt(older), "messages", "requested").dialect).toBe("chat");
  });
});
