import { describe, expect, test } from "bun:test";
import type { ServerKind } from "../wire/neutral.ts";
import { localProvider } from "../config/build.ts";
import { missingModels, type MissingModel } from "./missing-models.ts";

interface Told {
  readonly kind: ServerKind;
  readonly url?: string;
  readonly model?: string;
  readonly listed?: readonly string[];
  readonly isMissing?: boolean;
  readonly instead?: string;
  readonly local?: boolean;
}

function missingAt({ kind, url = "http://127.0.0.1:11434/v1", model = "m:7b", ...told }: Told): MissingModel[] {
  const provider = { ...localProvider("den", url), kind, local: told.local ?? true };
  return missingModels({
    names: ["coder"],
    meaning: () => [{ provider, model }],
    isMissing: () => told.isMissing ?? true,
    instead: () => told.instead,
    listed: () => told.listed ?? [],
  });
}

const messageAt = (told: Told): string => missingAt(told)[0]!.message;

describe("a model that a server does not have is told with what helps", () => {
  test("Ollama: the command that fetches it, from where it runs", () => {
    expect(messageAt({ kind: "ollama" })).toBe("coder: den has no model m:7b; fetch it: `ollama pull m:7b`");
    expect(messageAt({ kind: "ollama", url: "http://10.0.0.5:11434/v1" })).toEndWith(
      "fetch it: `OLLAMA_HOST=http://10.0.0.5:11434 ollama pull m:7b`",
    );
  });

  test("LM Studio: the command that fetches it, and the one that loads it", () => {
    expect(messageAt({ kind: "lmstudio" })).toContain("`lms get m:7b`");
    expect(messageAt({ kind: "lmstudio" })).toContain("`lms load m:7b`");
  });

  test("vLLM and llama.cpp: what they serve, and how to start them with it", () => {
    const listed = ["a", "b", "c", "d", "e"];
    expect(messageAt({ kind: "vllm", listed })).toEndWith(
      "it serves a, b, c and 2 more; start it with that one: `vllm serve m:7b`",
    );
    expect(messageAt({ kind: "llamacpp", listed: ["a"] })).toEndWith(
      "it serves a; start it with that one: `llama-server -m FILE --alias m:7b`",
    );
    expect(messageAt({ kind: "vllm" })).toContain("it serves none");
  });

  test("a name that a shell would take apart is quoted", () => {
    expect(messageAt({ kind: "ollama", model: "a; rm -rf '~'" })).toEndWith("`ollama pull 'a; rm -rf '\\''~'\\'''`");
  });
});

test("nothing is told of models that are there, nor of a cloud", () => {
  expect(missingAt({ kind: "ollama", isMissing: false })).toEqual([]);
  expect(missingAt({ kind: "ollama", local: false })).toEqual([]);
});

test("a server that has one model for every name is told with that one", () => {
  expect(missingAt({ kind: "llamacpp", isMissing: false, instead: "big.gguf", listed: ["big.gguf"] })).toMatchObject([
    { name: "coder", provider: "den", model: "m:7b", instead: "big.gguf" },
  ]);
});
