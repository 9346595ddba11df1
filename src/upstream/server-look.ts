// One look at a local server: whether it is there, whether it can work, and which models it has. Lists and signs of health
// only, which no server works for: never a question to a model.

import type { Provider } from "../request.ts";
import type { ServerKind } from "../wire/neutral.ts";
import { ask, isRecord, type Told } from "./ask-json.ts";
import { isLoadingAnswer } from "./loading.ts";
import { canConnect } from "./not-connected.ts";

export interface Look {
  /** `down`: nobody answers at its address. `loading`: it is there, and its model is not yet. */
  readonly state: "ready" | "loading" | "down";
  /** Ids of the models that can be asked for; null: it did not say. */
  readonly listed: readonly string[] | null;
  /** Those in memory, each with what tells one version of it from another; null: it does not say. */
  readonly loaded: ReadonlyMap<string, string> | null;
}

export const down: Look = { state: "down", listed: null, loaded: null };

/** A server that does not answer in time may only be busy: this long until a bare connection shows a black hole. */
const connectMs = 1_000;
const mostListed = 1_000;

/** Null: nothing was learnt, since it answers too late or not to us. Never throws. */
export async function lookAt(provider: Provider, kind: ServerKind): Promise<Look | null> {
  const origin = provider.url.replace(/\/v1$/, "");
  const question = { headers: provider.headers, caFile: provider.caFile };
  const get = async (path: string): Promise<Told> => ask(`${origin}${path}`, question);
  const door = stateDoors[kind];
  const [list, more] = await Promise.all([get("/v1/models"), door === undefined ? null : get(door)]);
  if (list === "refused") return down;
  if (list === "silent") return (await canConnect(provider.url, connectMs)) ? null : down;
  if (isLoading(list) || (more !== null && isLoading(more))) return { state: "loading", listed: null, loaded: null };
  const listed = listedIn(list);
  return { state: "ready", listed, loaded: listed === null ? null : loadedIn(kind, list, more, listed) };
}

/** Beside the list, where the kind tells of its state: llama.cpp README, Ollama docs/api.md, LM Studio docs "REST API v0". */
const stateDoors: { readonly [kind in ServerKind]?: string } = {
  llamacpp: "/health",
  ollama: "/api/ps",
  lmstudio: "/api/v0/models",
};

function isLoading(told: Told): boolean {
  return typeof told === "object" && told.status === 503 && isLoadingAnswer(told.json);
}

function listedIn(told: Told): string[] | null {
  if (typeof told !== "object" || told.status !== 200 || !isRecord(told.json)) return null;
  const { data } = told.json;
  // Of a list that is longer than any honest one nothing can be said to be missing.
  if (!Array.isArray(data) || data.length > mostListed) return null;
  return (data as unknown[]).flatMap((item) => (isRecord(item) && typeof item["id"] === "string" ? [item["id"]] : []));
}

function loadedIn(kind: ServerKind, list: Told, more: Told | null, listed: readonly string[]): Look["loaded"] {
  if (kind === "ollama") return named(more, "models", (item) => [item["name"], item["digest"]]);
  if (kind === "lmstudio") {
    return named(more, "data", (item) => (item["state"] === "loaded" ? [item["id"], item["quantization"]] : []));
  }
  // As a router it lists models that it loads when they are asked for (llama.cpp#18035), each with its state.
  if (kind === "llamacpp") return named(list, "data", (item) => (isUnloaded(item) ? [] : [item["id"], ""]));
  return kind === "vllm" ? new Map(listed.map((id) => [id, ""])) : null;
}

function isUnloaded({ status }: Readonly<Record<string, unknown>>): boolean {
  return isRecord(status) && status["value"] !== "loaded";
}

function named(
  told: Told | null,
  member: string,
  read: (item: Readonly<Record<string, unknown>>) => readonly unknown[],
): Look["loaded"] {
  if (told === null || typeof told !== "object" || told.status !== 200 || !isRecord(told.json)) return null;
  const items = told.json[member];
  if (!Array.isArray(items)) return null;
  const found = new Map<string, string>();
  for (const item of (items as unknown[]).slice(0, mostListed)) {
    const [name, version] = isRecord(item) ? read(item) : [];
    if (typeof name === "string") found.set(name, typeof version === "string" ? version : "");
  }
  return found;
}
