// What is known of a candidate's local server and its model, from having looked at it.

import type { Candidate, Provider } from "../request.ts";
import type { ServerKind } from "../wire/neutral.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import type { LocalUse } from "./local-use.ts";
import type { Patience, ServerWatch, Standing } from "./server-watch.ts";

/** As `routing/local-readiness.ts` asks for it. */
type Health = "ready" | "cold" | "loading" | "down" | "missing";

type Asked = Pick<Candidate, "provider" | "model">;

export class ServerHealth {
  readonly #watch: ServerWatch;
  readonly #use: LocalUse;

  constructor(watch: ServerWatch, use: LocalUse) {
    this.#watch = watch;
    this.#use = use;
  }

  of({ provider, model }: Asked): Health {
    const standing = this.#watch.standing(provider.name);
    if (standing === undefined || standing.state === "unknown") return "ready";
    if (standing.state !== "ready") return standing.state;
    const kind = serverKindOf(provider);
    if (!offers(kind, standing.listed, model)) return "missing";
    return standing.loaded === null || loadedVersion(kind, standing.loaded, model) !== undefined ? "ready" : "cold";
  }

  async renewed(asked: Asked): Promise<Health> {
    await this.#watch.lookNow(asked.provider.name);
    return this.of(asked);
  }

  async loaded(asked: Asked, patience: Patience): Promise<Health> {
    await this.#watch.loaded(asked.provider.name, patience);
    return this.of(asked);
  }

  /** The one model that answers whatever is asked for, where that is another than `model` says. */
  instead({ provider, model }: Asked): string | undefined {
    const standing = this.#watch.standing(provider.name);
    if (standing?.state !== "ready" || serverKindOf(provider) !== "llamacpp") return undefined;
    const [only, ...others] = standing.listed ?? [];
    return others.length === 0 && only !== model ? only : undefined;
  }

  /** Which run of the server has the model in memory, in which version; null: none, as far as is known. */
  inMemory(provider: Provider, model: string): string | null {
    const standing = this.#watch.standing(provider.name);
    if (standing === undefined || standing.state !== "ready") return null;
    const version = versionOf(provider, standing, model, this.#use);
    return version === undefined ? null : `${standing.run} ${version}`;
  }
}

/** Of a server that does not tell what it has loaded, the model that answered last is. */
function versionOf(provider: Provider, { loaded }: Standing, model: string, use: LocalUse): string | undefined {
  if (loaded === null) return use.served(provider.name) === model ? "" : undefined;
  return loadedVersion(serverKindOf(provider), loaded, model);
}

function loadedVersion(kind: ServerKind, loaded: ReadonlyMap<string, string>, model: string): string | undefined {
  // The one model that a llama-server has answers to every name.
  if (kind === "llamacpp" && loaded.size === 1 && !loaded.has(model)) return loaded.values().next().value;
  return loaded.get(model) ?? loaded.get(`${model}:latest`);
}

/**
 * False: it is certain that the server does not have the model and says so when it is asked for it. Not so where names mean
 * nothing (llama-server with its one model), where any name is fetched (MLX), or where nobody knows.
 */
export function offers(kind: ServerKind, listed: readonly string[] | null, model: string): boolean {
  if (listed === null || listed.includes(model)) return true;
  // What Ollama's own cloud serves need not be there (docs/cloud.mdx); a name without a tag means `latest`.
  if (kind === "ollama") return listed.includes(`${model}:latest`) || /[:-]cloud$/.test(model);
  if (kind === "lmstudio") return listed.some((id) => plain(id) === plain(model));
  return kind === "llamacpp" ? listed.length <= 1 : kind !== "vllm";
}

/** LM Studio takes `qwen3-4b` for `qwen/qwen3-4b`, and `@q4_k_m` chooses among variants of one. */
function plain(id: string): string {
  return id
    .replace(/@[^@]*$/, "")
    .replace(/^.*\//, "")
    .toLowerCase();
}
