// What local models can do, asked in the own way of each kind of server. An answer that is missing or of another shape
// leaves the ability unknown.

import type { ServerKind } from "../wire/neutral.ts";
import { askJson, isRecord, windowOf } from "./ask-json.ts";

export interface ModelAbilities {
  /** The window that holds now, in tokens; absent: the server does not say. */
  readonly context?: number;
  readonly images?: boolean;
  readonly tools?: boolean;
}

type Abilities = ReadonlyMap<string, ModelAbilities>;

const nothing: Abilities = new Map();
/** Ollama is asked once a model: of longer lists the rest stays unknown. */
const maxAsked = 50;

/** By model. `url` is the base that ends in `/v1`; the own doors of the servers stand beside it. Never throws. */
export async function askAbilities(kind: ServerKind, url: string, models: readonly string[]): Promise<Abilities> {
  const origin = url.replace(/\/v1$/, "");
  if (kind === "ollama") return askOllama(origin, models);
  if (kind === "llamacpp") return askLlamaCpp(origin, models);
  return kind === "lmstudio" ? askLmStudio(origin) : nothing;
}

/** Ollama docs/api.md, "Show Model Information" and "List Running Models". */
async function askOllama(origin: string, models: readonly string[]): Promise<Abilities> {
  const asked = models.slice(0, maxAsked);
  const [running, ...shown] = await Promise.all([
    askJson(`${origin}/api/ps`),
    ...asked.map((model) => askJson(`${origin}/api/show`, JSON.stringify({ model }))),
  ]);
  const loaded = new Map<unknown, unknown>();
  const list = isRecord(running) && Array.isArray(running["models"]) ? (running["models"] as unknown[]) : [];
  for (const item of list) if (isRecord(item)) loaded.set(item["name"], item["context_length"]);
  const found = new Map<string, ModelAbilities>();
  for (const [index, model] of asked.entries()) {
    const answer = shown[index];
    if (isRecord(answer)) found.set(model, ollamaAbilities(answer, loaded.get(model)));
  }
  return found;
}

/**
 * The window of a loaded model is what it runs with; else what its own file sets. What the model was trained for says
 * nothing about either.
 */
function ollamaAbilities(shown: Readonly<Record<string, unknown>>, loaded: unknown): ModelAbilities {
  const parameters = typeof shown["parameters"] === "string" ? shown["parameters"].slice(0, 10_000) : "";
  const set = /^\s*num_ctx\s+(\d{1,9})\s*$/m.exec(parameters)?.[1];
  const context = windowOf(loaded, set === undefined ? undefined : Number(set));
  const can = Array.isArray(shown["capabilities"]) ? (shown["capabilities"] as unknown[]) : undefined;
  return {
    ...(context === undefined ? {} : { context }),
    ...(can === undefined ? {} : { images: can.includes("vision"), tools: can.includes("tools") }),
  };
}

/** tools/server/README.md, "GET /props": it speaks of the one model that is loaded. */
async function askLlamaCpp(origin: string, models: readonly string[]): Promise<Abilities> {
  const [only] = models;
  if (only === undefined || models.length > 1) return nothing;
  const props = await askJson(`${origin}/props`);
  if (!isRecord(props)) return nothing;
  const settings = isRecord(props["default_generation_settings"]) ? props["default_generation_settings"] : {};
  const context = windowOf(settings["n_ctx"], props["n_ctx"]);
  const modalities = isRecord(props["modalities"]) ? props["modalities"]["vision"] : undefined;
  return new Map([
    [
      only,
      {
        ...(context === undefined ? {} : { context }),
        ...(typeof modalities === "boolean" ? { images: modalities } : {}),
      },
    ],
  ]);
}

/** LM Studio docs, "REST API v0": `type` is `llm`, `vlm` or `embeddings`. Tools are offered to every model there. */
async function askLmStudio(origin: string): Promise<Abilities> {
  const answer = await askJson(`${origin}/api/v0/models`);
  const list = isRecord(answer) && Array.isArray(answer["data"]) ? (answer["data"] as unknown[]) : [];
  const found = new Map<string, ModelAbilities>();
  for (const item of list) {
    if (!isRecord(item) || typeof item["id"] !== "string") continue;
    const context = windowOf(item["loaded_context_length"], item["max_context_length"]);
    const images = item["type"] === "vlm" ? true : item["type"] === "llm" ? false : undefined;
    found.set(item["id"], {
      ...(context === undefined ? {} : { context }),
      ...(images === undefined ? {} : { images }),
    });
  }
  return found;
}
