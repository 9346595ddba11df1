import type { LocalModel } from "../layers/routing/index.ts";
import type { Provider } from "../request.ts";
import { askServer, usualServers } from "../upstream/discovery.ts";
import type { ServerFacts } from "../upstream/server-facts.ts";
import type { ServerKind } from "../wire/neutral.ts";

/** What answers on this machine now, or did a moment ago. */
export interface LocalServers {
  /** Providers that the configuration does not name. */
  readonly found: readonly Provider[];
  readonly models: readonly LocalModel[];
  /** What the servers say that they are, by the name of their provider. */
  readonly kinds: Readonly<Record<string, ServerKind>>;
  /** What else they say of themselves, likewise. */
  readonly facts: Readonly<Record<string, ServerFacts>>;
}

export const noLocalServers: LocalServers = { found: [], models: [], kinds: {}, facts: {} };

interface Parts {
  /** The configured providers. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** Addresses of this gateway: asking itself would be a loop. */
  readonly own: readonly string[];
  /** A provider of the usual settings for a local server. */
  readonly localProvider: (name: string, url: string) => Provider;
  /** What was found the last time. */
  readonly before: LocalServers;
  /** A server that was found and does not answer now may only be starting anew: it keeps its place as long as this holds. */
  readonly mayReturn: (provider: string) => boolean;
}

/**
 * Asks the usual ports and the configured local providers for their models and what these can do, all at once. Some
 * seconds at most, and silent about what is not there.
 */
export async function findLocalServers(parts: Parts): Promise<LocalServers> {
  const { providers, own, localProvider, before, mayReturn } = parts;
  const configured = [...providers.values()].filter((p) => p.local && p.dialects.includes("chat"));
  const taken = new Set([...providers.values()].map((p) => portOf(p.url)));
  const ownPorts = new Set(own.map(portOf));
  const unknown = usualServers
    .filter(({ name, url }) => !providers.has(name) && !taken.has(portOf(url)) && !ownPorts.has(portOf(url)))
    .map(({ name, url }) => localProvider(name, url));

  const asked = await Promise.all(
    [...configured, ...unknown].map(async (provider) => ({
      provider,
      answer: await askServer(provider.name, provider.url),
    })),
  );
  const found: Provider[] = [];
  const models: LocalModel[] = [];
  const kinds: Record<string, ServerKind> = {};
  const facts: Record<string, ServerFacts> = {};
  for (const { provider, answer } of asked) {
    const { name } = provider;
    const isConfigured = configured.includes(provider);
    const known = before.found.some((one) => one.name === name);
    // What was learnt of it holds when it is back; a model of a server that is away is not one that nobody has heard of.
    const away = answer === null && (isConfigured || (known && mayReturn(name)));
    if (!isConfigured && (answer !== null || away)) found.push(provider);
    const kind = away ? before.kinds[name] : answer?.kind;
    if (kind !== undefined) kinds[name] = kind;
    const told = away ? before.facts[name] : answer?.facts;
    if (told !== undefined && Object.keys(told).length > 0) facts[name] = told;
    if (away) models.push(...before.models.filter((model) => model.provider === name));
    for (const offer of answer?.offers ?? []) models.push(remembered({ provider: name, ...offer }, before));
  }
  return { found, models, kinds, facts };
}

/** Ollama tells the window of a model only while that is loaded: it will be loaded with the same one. */
function remembered(model: LocalModel, before: LocalServers): LocalModel {
  if (model.context !== undefined) return model;
  const known = before.models.find((one) => one.provider === model.provider && one.model === model.model);
  return known?.context === undefined ? model : { ...model, context: known.context };
}

function portOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  const local = /^(localhost|127\.|\[::1\]|0\.0\.0\.0)/.test(hostname) ? "local" : hostname;
  return `${local}:${port === "" ? protocol : port}`;
}
