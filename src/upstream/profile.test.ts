import { expect, test } from "bun:test";
import { profileOf } from "./profile.ts";
import { providerAt } from "./sample-keyed.ts";

test("a provider is what its name says, wherever it stands", () => {
  expect(profileOf(providerAt("http://10.0.0.9:9999/v1", { name: "vllm" }))).toBe("vllm");
  expect(profileOf(providerAt("https://proxy.example", { name: "anthropic" }))).toBe("anthropic");
});

test("a local server of another name is known by its usual port", () => {
  const ports = {
    11434: "ollama",
    1234: "lmstudio",
    8080: "llamacpp",
    8000: "vllm",
    8081: "mlx",
    9: "generic",
  } as const;
  for (const [port, profile] of Object.entries(ports)) {
    const provider = providerAt(`http://127.0.0.1:${port}/v1`, { name: "home", local: true });
    expect([port, profileOf(provider)]).toEqual([port, profile]);
  }
});

test("a name may go on behind its kind, as long as it is another word", () => {
  const names = {
    "ollama-desk": "ollama",
    vllm2: "vllm",
    "LM-Studio.office": "lmstudio",
    "llama-server": "llamacpp",
    "llama.cpp_big": "llamacpp",
    "mlx.mac": "mlx",
    ollamanager: "generic",
    llama: "generic",
    // At home this is a server that speaks like OpenAI.
    "openai-like": "generic",
  } as const;
  for (const [name, profile] of Object.entries(names)) {
    expect([name, profileOf(providerAt("http://127.0.0.1:9/v1", { name, local: true }))]).toEqual([name, profile]);
  }
  expect(profileOf(providerAt("https://a.example/v1", { name: "openai-eu" }))).toBe("openai");
});

test("a vendor is known by its host, and a server by what it says of itself before all", () => {
  expect(profileOf(providerAt("https://openrouter.ai/api/v1", { name: "work" }))).toBe("openrouter");
  expect(profileOf(providerAt("https://eu.api.openai.com/v1", { name: "work" }))).toBe("openai");
  expect(profileOf(providerAt("https://evil-api.openai.com.example/v1", { name: "work" }))).toBe("generic");
  expect(profileOf(providerAt("https://api.openai.com.evil.example/v1", { name: "work" }))).toBe("generic");
  expect(profileOf(providerAt("http://127.0.0.1:8080/v1", { name: "ollama", local: true, kind: "vllm" }))).toBe("vllm");
});

test("a port says nothing about a server that is not local", () => {
  expect(profileOf(providerAt("https://work.example:8000/v1", { name: "work" }))).toBe("generic");
});
