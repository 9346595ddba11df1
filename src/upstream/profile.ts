import type { Provider } from "../request.ts";
import type { ServerKind } from "../wire/neutral.ts";

const byName: ReadonlyMap<string, ServerKind> = new Map([
  ["anthropic", "anthropic"],
  ["openai", "openai"],
  ["openrouter", "openrouter"],
  ["ollama", "ollama"],
  ["llamacpp", "llamacpp"],
  ["llama.cpp", "llamacpp"],
  ["lmstudio", "lmstudio"],
  ["vllm", "vllm"],
  ["mlx", "mlx"],
]);
const byPort: ReadonlyMap<string, ServerKind> = new Map([
  ["11434", "ollama"],
  ["1234", "lmstudio"],
  ["8080", "llamacpp"],
  ["8000", "vllm"],
  ["8081", "mlx"],
]);

/** What kind of server a provider is: by its name, else by the usual port of a local one. */
export function profileOf(provider: Provider): ServerKind {
  const named = byName.get(provider.name);
  if (named !== undefined) return named;
  if (!provider.local) return "generic";
  return byPort.get(new URL(provider.url).port) ?? "generic";
}
