// Which provider and model a name means. Built once per configuration and per discovery of local servers.

import { abilitiesOf, bareName, ceilingOf, namingFits, priceOf } from "../../catalogue/index.ts";
import type { Candidate, Price, Provider } from "../../request.ts";
import type { Dialect } from "../../wire/neutral.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import { serverProfiles } from "../../wire/profiles/server-profiles.ts";
import { compileGlob } from "./glob.ts";

/** A model that a local server offers. */
export interface LocalModel {
  readonly provider: string;
  readonly model: string;
  readonly context: number | undefined;
  /** False: the server says that it is blind; undefined: nobody knows. */
  readonly images?: boolean | undefined;
  /** False: the server says that it can't call tools; undefined: nobody knows. */
  readonly tools?: boolean | undefined;
}

export interface DirectoryParts {
  /** Configured and discovered ones, by name. */
  readonly providers: ReadonlyMap<string, Provider>;
  readonly aliases: ReadonlyMap<
    string,
    {
      readonly name: string;
      readonly provider: string;
      readonly model: string;
      readonly context: number | undefined;
      readonly maxOutput: number | undefined;
      readonly price: Price | undefined;
    }
  >;
  readonly localModels: readonly LocalModel[];
  /** From the configuration; undefined: the built-in rule. */
  readonly fallback: readonly string[] | undefined;
}

/** A model before the asking dialect is known. */
interface Entry {
  readonly name: string;
  readonly provider: Provider;
  readonly model: string;
  readonly price: Price | null;
  readonly context: number | undefined;
  readonly contextAssumed: boolean;
  readonly maxOutput: number | undefined;
  readonly hiddenReasoning: boolean;
  readonly images: boolean | undefined;
  readonly tools: boolean | undefined;
}

/** What is known of a model beside the catalogue. */
interface Facts {
  readonly context?: number | undefined;
  readonly maxOutput?: number | undefined;
  readonly price?: Price | undefined;
  readonly images?: boolean | undefined;
  readonly tools?: boolean | undefined;
}

const builtinAliases: readonly { readonly name: string; readonly globs: readonly string[] }[] = [
  { name: "coder-14b", globs: ["*coder*14b*", "*coder*", "*code*"] },
  { name: "gemma-4", globs: ["gemma*31b*", "*/gemma*31b*", "gemma*", "*/gemma*"] },
];
/** A wire name with control characters or of absurd length never gets further than the directory. */
const plausibleName = /^[\x21-\x7e]{1,200}$/;

export class Directory {
  readonly #parts: DirectoryParts;
  readonly #aliases = new Map<string, Entry>();
  readonly #cache = new Map<string, readonly Entry[]>();
  readonly #fallback: readonly Entry[];

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    for (const alias of parts.aliases.values()) {
      const provider = parts.providers.get(alias.provider);
      if (provider === undefined) continue;
      const offered = this.#offer(provider, alias.model);
      const facts = { ...alias, context: alias.context ?? offered?.context, ...abilitiesIn(offered) };
      this.#aliases.set(alias.name, entryOf(alias.name, provider, alias.model, facts));
    }
    for (const { name, globs } of builtinAliases) this.#bindBuiltin(name, globs);
    this.#fallback = this.#fallbackEntries();
  }

  /** Every way to serve this name, best first; empty where the name means nothing here. */
  resolve(name: string): readonly Entry[] {
    const cached = this.#cache.get(name);
    if (cached !== undefined) return cached;
    const found = this.#lookUp(name);
    // Bounded: made-up names must not grow it.
    if (found.length > 0 && this.#cache.size < 1_000) this.#cache.set(name, found);
    return found;
  }

  get fallback(): readonly Entry[] {
    return this.#fallback;
  }

  /** Aliases and local models, for `GET /v1/models` and `explain`. */
  names(): readonly { readonly id: string; readonly provider: string; readonly context: number | undefined }[] {
    const aliases = [...this.#aliases.values()].map((e) => ({
      id: e.name,
      provider: e.provider.name,
      context: e.context,
    }));
    const local = this.#parts.localModels.map((m) => ({
      id: `${m.provider}/${m.model}`,
      provider: m.provider,
      context: m.context,
    }));
    return [...aliases, ...local];
  }

  /**
   * What a name means that `names` and the catalogue hold under another spelling: `provider/model`, or with its date. A
   * name that only looks like a vendor's means nothing here: whether it exists is the vendor's to say.
   */
  spelledOtherwise(name: string): readonly { readonly provider: Provider; readonly context: number | undefined }[] {
    return this.resolve(name).filter(({ provider, model }) =>
      provider.local ? this.#offer(provider, model) !== undefined : priceOf(provider.name, model) !== null,
    );
  }

  #lookUp(name: string): readonly Entry[] {
    const alias = this.#aliases.get(name);
    if (alias !== undefined) return [alias];
    if (!plausibleName.test(name)) return [];

    const slash = name.indexOf("/");
    if (slash > 0) {
      const provider = this.#parts.providers.get(name.slice(0, slash));
      const model = name.slice(slash + 1);
      if (provider !== undefined && model !== "") return [this.#listed(provider, spellingAt(provider, model))];
    }

    const first: Entry[] = [];
    for (const { provider: providerName, model } of bareName(name)) {
      const provider = this.#parts.providers.get(providerName);
      if (provider !== undefined) first.push(this.#listed(provider, model));
    }
    if (first.length > 0) return first;

    const local = this.#parts.localModels.find((m) => m.model === name);
    if (local !== undefined) return [this.#listed(this.#parts.providers.get(local.provider)!, local.model)];

    for (const provider of this.#parts.providers.values()) {
      if (!provider.local && namingFits(provider.name, name)) return [this.#listed(provider, name)];
    }
    return [];
  }

  #listed(provider: Provider, model: string): Entry {
    const offered = this.#offer(provider, model);
    return entryOf(`${provider.name}/${model}`, provider, model, {
      context: offered?.context,
      ...abilitiesIn(offered),
    });
  }

  /** Ollama lists `llama3:latest` and answers to `llama3`. */
  #offer(provider: Provider, model: string): LocalModel | undefined {
    const offered = this.#parts.localModels.filter((m) => m.provider === provider.name);
    return offered.find((m) => m.model === model) ?? offered.find((m) => m.model === `${model}:latest`);
  }

  #bindBuiltin(name: string, globs: readonly string[]): void {
    if (this.#aliases.has(name)) return;
    for (const glob of globs) {
      const fits = compileGlob(glob);
      const found = this.#parts.localModels.find((m) => fits(m.model.toLowerCase()));
      const provider = found === undefined ? undefined : this.#parts.providers.get(found.provider);
      if (found !== undefined && provider !== undefined) {
        const facts = { context: found.context, ...abilitiesIn(found) };
        this.#aliases.set(name, entryOf(name, provider, found.model, facts));
        return;
      }
    }
  }

  #fallbackEntries(): readonly Entry[] {
    const { fallback, localModels } = this.#parts;
    if (fallback !== undefined) return fallback.flatMap((name) => this.resolve(name));
    const builtin = builtinAliases.flatMap(({ name }) => this.#aliases.get(name) ?? []);
    if (builtin.length > 0) return builtin;
    const byContext = [...localModels].sort((a, b) => (b.context ?? 0) - (a.context ?? 0));
    return byContext.map((m) => this.#listed(this.#parts.providers.get(m.provider)!, m.model));
  }
}

/** `anthropic/claude-sonnet-4.5`, as resellers write it, is a name that the maker itself does not know. */
function spellingAt(provider: Provider, model: string): string {
  if (provider.local) return model;
  return bareName(model).find((found) => found.provider === provider.name)?.model ?? model;
}

function abilitiesIn(offered: LocalModel | undefined): Pick<Facts, "images" | "tools"> {
  return { images: offered?.images, tools: offered?.tools };
}

function entryOf(name: string, provider: Provider, model: string, facts: Facts): Entry {
  const abilities = abilitiesOf(provider.name, model);
  const context = facts.context ?? abilities.context;
  const { assumedContext } = serverProfiles[serverKindOf(provider)];
  return {
    name,
    provider,
    model,
    // An unknown price is never 0: it is the dearest that the provider is known to ask.
    price: provider.local ? null : (facts.price ?? priceOf(provider.name, model) ?? ceilingOf(provider.name)),
    context: context ?? assumedContext,
    contextAssumed: context === undefined && assumedContext !== undefined,
    maxOutput: facts.maxOutput ?? abilities.maxOutput,
    hiddenReasoning: !provider.local && abilities.hiddenReasoning,
    images: facts.images,
    tools: facts.tools,
  };
}

/** The dialects a gateway can speak to this provider, the asking one first where it fits: no translation is the best one. */
export function candidateOf(entry: Entry, asked: Dialect, reason: string): Candidate {
  const { dialects } = entry.provider;
  const { doors } = serverProfiles[serverKindOf(entry.provider)];
  const dialect = dialects.includes(asked) ? asked : (doors.find((d) => dialects.includes(d)) ?? dialects[0]!);
  return {
    name: entry.name,
    provider: entry.provider,
    model: entry.model,
    dialect,
    local: entry.provider.local,
    price: entry.price,
    context: entry.context,
    ...(entry.contextAssumed ? { contextAssumed: true } : {}),
    maxOutput: entry.maxOutput,
    hiddenReasoning: entry.hiddenReasoning,
    images: entry.images,
    tools: entry.tools,
    reason,
  };
}
