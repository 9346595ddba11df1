import type { LocalModel } from "../layers/routing/index.ts";
import type { Provider } from "../request.ts";
import { askModels, usualServers } from "../upstream/discovery.ts";

/** What answers on this machine now. */
export interface LocalServers {
  /** Providers that the configuration does not name. */
  readonly found: readonly Provider[];
  readonly models: readonly LocalModel[];
}

interface Parts {
  /** The configured providers. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** Addresses of this gateway: asking itself would be a loop. */
  readonly own: readonly string[];
  /** A provider of the usual settings for a local server. */
  readonly localProvider: (name: string, url: string) => Provider;
}

/**
 * Asks the usual ports and the configured local providers for their models, all at once. A second at most, and silent
 * about what is not there.
 */
export async function findLocalServers({ providers, own, localProvider }: Parts): Promise<LocalServers> {
  const configured = [...providers.values()].filter((p) => p.local && p.dialects.includes("chat"));
  const taken = new Set([...providers.values()].map((p) => portOf(p.url)));
  const ownPorts = new Set(own.map(portOf));
  const unknown = usualServers
    .filter(({ name, url }) => !providers.has(name) && !taken.has(portOf(url)) && !ownPorts.has(portOf(url)))
    .map(({ name, url }) => localProvider(name, url));

  const asked = await Promise.all(
    [...configured, ...unknown].map(async (provider) => ({ provider, offers: await askModels(provider.url) })),
  );
  const models: LocalModel[] = [];
  for (const { provider, offers } of asked) {
    for (const { model, context } of offers ?? []) models.push({ provider: provider.name, model, context });
  }
  const found = asked.filter(({ provider, offers }) => offers !== null && !configured.includes(provider));
  return { found: found.map(({ provider }) => provider), models };
}

function portOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  const local = /^(localhost|127\.|\[::1\]|0\.0\.0\.0)/.test(hostname) ? "local" : hostname;
  return `${local}:${port === "" ? protocol : port}`;
}
