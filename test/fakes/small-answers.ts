// The answers of the small endpoints: model lists, embeddings, errors.

import type { Dialect, Json, JsonObject } from "../../src/wire/neutral.ts";
import { openaiErrorBody } from "./chat-wire.ts";
import { parseObject, textOf } from "./json-access.ts";
import { messagesErrorBody } from "./messages-wire.ts";
import { count, type FakeUsage } from "./script.ts";

export function errorBody(dialect: Dialect, type: string, message: string): Json {
  return dialect === "messages" ? messagesErrorBody(type, message) : openaiErrorBody(type, message);
}

export function modelsAnswer(models: readonly string[], anthropic: boolean): JsonObject {
  if (!anthropic) {
    return {
      object: "list",
      data: models.map((id) => ({ id, object: "model", created: 1_790_000_000, owned_by: "fake" })),
    };
  }
  return {
    data: models.map((id) => ({ id, type: "model", display_name: id, created_at: "2026-01-01T00:00:00Z" })),
    has_more: false,
    first_id: models[0] ?? null,
    last_id: models.at(-1) ?? null,
  };
}

/** Ollama's own list (docs/api.md, "List Local Models"). */
export function ollamaTags(models: readonly string[]): JsonObject {
  return {
    models: models.map((name) => ({
      name,
      model: name,
      modified_at: "2026-01-01T00:00:00Z",
      size: 9_000_000_000,
      digest: "0".repeat(64),
      details: {
        format: "gguf",
        family: "fake",
        families: ["fake"],
        parameter_size: "14B",
        quantization_level: "Q4_K_M",
      },
    })),
  };
}

export interface FakeAbilities {
  /** `completion`, `vision`, `tools`, … */
  readonly capabilities: readonly string[];
  /** `num_ctx` in the model's own file. */
  readonly numCtx?: number;
  /** The window that it runs with, where it is loaded. */
  readonly loaded?: number;
  /** The window that it gets once it is loaded. */
  readonly loadsWith?: number;
}

/**
 * `POST /api/show`, `GET /api/ps` and loading by `POST /api/generate` without a prompt (Ollama docs/api.md); null for other
 * paths and unknown models. `loadedSince` is what was loaded on the way.
 */
export function ollamaAbilities(
  models: Readonly<Record<string, FakeAbilities>>,
  loadedSince: Set<string>,
  path: string,
  body: string,
): JsonObject | null {
  if (path === "/api/ps") {
    const running = Object.entries(models).flatMap(([name, { loaded, loadsWith }]) => {
      const window = loaded ?? (loadedSince.has(name) ? loadsWith : undefined);
      return window === undefined ? [] : [{ name, model: name, context_length: window }];
    });
    return { models: running };
  }
  if (path === "/api/generate") {
    const { model, prompt } = parseObject(body);
    if (prompt !== undefined || models[textOf(model)]?.loadsWith === undefined) return null;
    loadedSince.add(textOf(model));
    return { model: model!, created_at: "2026-01-01T00:00:00Z", response: "", done: true, done_reason: "load" };
  }
  if (path !== "/api/show") return null;
  const found = models[textOf(parseObject(body)["model"])];
  if (found === undefined) return null;
  const set = found.numCtx === undefined ? "" : `\nnum_ctx    ${found.numCtx}`;
  return {
    parameters: `temperature    0.7${set}`,
    capabilities: [...found.capabilities],
    model_info: { "general.architecture": "fake", "fake.context_length": 131_072 },
  };
}

/** Vectors of two numbers; base64 of float32 where asked for, which is what OpenAI's SDK does. */
export function embeddingsAnswer(body: JsonObject, usage: FakeUsage | "missing" | undefined): JsonObject {
  const inputs = Array.isArray(body["input"]) ? body["input"] : [body["input"] ?? ""];
  const vector = Float32Array.from([0.5, -0.25]);
  const embedding: Json =
    body["encoding_format"] === "base64" ? Buffer.from(vector.buffer).toString("base64") : Array.from(vector);
  const tokens = count(usage === "missing" ? undefined : usage?.input, 5);
  return {
    object: "list",
    data: inputs.map((_, index) => ({ object: "embedding", index, embedding })),
    model: body["model"] ?? "fake-model",
    ...(usage === "missing" ? {} : { usage: { prompt_tokens: tokens, total_tokens: tokens } }),
  };
}
