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

test("a port says nothing about a server that is not local", () => {
  expect(profileOf(providerAt("https://work.example:8000/v1", { name: "work" }))).toBe("generic");
});
