// What kind of server a provider is: as it told itself, by its name, by its host, or by the port that the kind usually has.

import type { ServerKind } from "../neutral.ts";

/** The parts of a provider that tell its kind. */
export interface Named {
  readonly name: string;
  readonly url: string;
  readonly local: boolean;
  /** As the server itself told; undefined: it was not asked, or did not say. */
  readonly kind?: ServerKind | undefined;
}

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

/** `ollama-desk`, `vllm2`, `lm-studio`, `llama-server`; not `ollamanager`. */
const beginnings: readonly (readonly [RegExp, ServerKind])[] = [
  [/^ollama(?![a-z])/i, "ollama"],
  [/^llama[.-]?(?:cpp|server)(?![a-z])/i, "llamacpp"],
  [/^lm-?studio(?![a-z])/i, "lmstudio"],
  [/^vllm(?![a-z])/i, "vllm"],
  [/^mlx(?![a-z])/i, "mlx"],
];

/** A server at home that is called `openai-something` speaks like OpenAI and is another. */
const cloudBeginnings: readonly (readonly [RegExp, ServerKind])[] = [
  [/^anthropic(?![a-z])/i, "anthropic"],
  [/^openai(?![a-z])/i, "openai"],
  [/^openrouter(?![a-z])/i, "openrouter"],
];

const byHost: ReadonlyMap<string, ServerKind> = new Map([
  ["api.anthropic.com", "anthropic"],
  ["api.openai.com", "openai"],
  ["openrouter.ai", "openrouter"],
]);

/** OpenAI's doors by region: `eu.api.openai.com`. */
const openaiRegions = ".api.openai.com";

const byPort: ReadonlyMap<string, ServerKind> = new Map([
  ["11434", "ollama"],
  ["1234", "lmstudio"],
  ["8080", "llamacpp"],
  ["8000", "vllm"],
  ["8081", "mlx"],
]);

/** Providers never change: each is looked at once. */
const known = new WeakMap<Named, ServerKind>();

/** The kind whose profile holds for this provider; `generic` where nothing tells it. */
export function serverKindOf(provider: Named): ServerKind {
  let kind = known.get(provider);
  if (kind === undefined) {
    kind = provider.kind ?? guess(provider);
    known.set(provider, kind);
  }
  return kind;
}

function guess({ name, url, local }: Named): ServerKind {
  const exact = byName.get(name);
  if (exact !== undefined) return exact;
  const named = (local ? beginnings : [...beginnings, ...cloudBeginnings]).find(([start]) => start.test(name));
  if (named !== undefined) return named[1];
  const { hostname, port } = new URL(url);
  if (!local && hostname.endsWith(openaiRegions)) return "openai";
  return (local ? byPort.get(port) : byHost.get(hostname)) ?? "generic";
}
