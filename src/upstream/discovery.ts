// Local model servers on their usual ports become providers by themselves, and every local server is asked what its models
// can do, where its kind tells it.

import type { ServerKind } from "../wire/neutral.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import { askAbilities } from "./abilities.ts";
import { askJson, isRecord, windowOf } from "./ask-json.ts";
import { askFacts, type ServerFacts } from "./server-facts.ts";

export interface Offer {
  readonly model: string;
  /** Context window in tokens as the server says; undefined: it does not. */
  readonly context: number | undefined;
  /** Undefined: the server does not say. */
  readonly images?: boolean | undefined;
  /** Undefined: the server does not say. */
  readonly tools?: boolean | undefined;
}

/** What a server that answered told. */
export interface Found {
  /** Undefined: it does not say what it is. */
  readonly kind: ServerKind | undefined;
  readonly facts: ServerFacts;
  readonly offers: readonly Offer[];
}

export interface LocalServer {
  readonly name: string;
  /** Base URL, ends in `/v1`. */
  readonly url: string;
}

/** The ports that the servers use when nobody changes them. */
export const usualServers: readonly LocalServer[] = [
  { name: "ollama", url: "http://127.0.0.1:11434/v1" },
  { name: "lmstudio", url: "http://127.0.0.1:1234/v1" },
  { name: "llamacpp", url: "http://127.0.0.1:8080/v1" },
  { name: "vllm", url: "http://127.0.0.1:8000/v1" },
  { name: "mlx", url: "http://127.0.0.1:8081/v1" },
];

const maxModels = 200;

/** The models that a server offers and what it says about them, or null where no model server answers. Never throws. */
export async function askServer(name: string, url: string): Promise<Found | null> {
  const answer = await askJson(`${url}/models`);
  if (!isRecord(answer) || !Array.isArray(answer["data"])) return null;
  const listed = (answer["data"] as unknown[]).slice(0, maxModels);
  const kind = kindOf(listed);
  const offers = offersOf(listed);
  const models = offers.map(({ model }) => model);
  const asked = kind ?? serverKindOf({ name, url, local: true });
  const [known, facts] = await Promise.all([askAbilities(asked, url, models), askFacts(asked, url)]);
  return { kind, facts, offers: offers.map((offer) => ({ ...offer, ...known.get(offer.model) })) };
}

const owners: ReadonlyMap<unknown, ServerKind> = new Map<unknown, ServerKind>([
  ["llamacpp", "llamacpp"],
  ["vllm", "vllm"],
  ["organization_owner", "lmstudio"],
  ["library", "ollama"],
]);

/** Each kind signs its list as the owner of the models. */
function kindOf(listed: readonly unknown[]): ServerKind | undefined {
  for (const item of listed) {
    const kind = isRecord(item) ? owners.get(item["owned_by"]) : undefined;
    if (kind !== undefined) return kind;
  }
  return undefined;
}

function offersOf(listed: readonly unknown[]): Offer[] {
  const offers: Offer[] = [];
  for (const item of listed) {
    if (!isRecord(item) || typeof item["id"] !== "string" || !/^[\x21-\x7e]{1,200}$/.test(item["id"])) continue;
    // Embedding models can't answer a chat.
    if (/embed|rerank|whisper/i.test(item["id"])) continue;
    offers.push({ model: item["id"], context: contextOf(item) });
  }
  return offers;
}

/** vLLM says `max_model_len`, LM Studio `max_context_length`, llama.cpp `meta.n_ctx`. */
function contextOf(item: Readonly<Record<string, unknown>>): number | undefined {
  const meta = isRecord(item["meta"]) ? item["meta"] : {};
  return windowOf(item["max_model_len"], item["loaded_context_length"], item["max_context_length"], meta["n_ctx"]);
}
