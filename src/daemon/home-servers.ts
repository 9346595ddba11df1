// The local servers: found, watched, and asked what they can do. One for the process; it outlives configurations.

import type { Clock } from "../clock.ts";
import { localProvider } from "../config/build.ts";
import type { Config } from "../config/types.ts";
import type { ServerStatus } from "../layers/audit/index.ts";
import type { Candidate, Handler, Keyed, Provider } from "../request.ts";
import { ContinuationProbe } from "../upstream/continuation-probe.ts";
import { ServerHealth } from "../upstream/local-health.ts";
import { LocalUse, withLocalUse } from "../upstream/local-use.ts";
import { ServerWatch, type Standing } from "../upstream/server-watch.ts";
import { findLocalServers, noLocalServers, type LocalServers } from "./local-servers.ts";
import { missingModels, type MissingModel } from "./missing-models.ts";

interface Parts {
  readonly clock: Clock;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly config: () => Config;
  /** Addresses of this gateway. */
  readonly own: () => readonly string[];
  /** Something else was found than before: to be adopted. */
  readonly onFound: () => void;
  /** A server that was away is back. */
  readonly onReturn: (provider: string) => void;
  /** Aliases, and the names of `fallback` and of the routes; what each of them means. */
  readonly names: () => Iterable<string>;
  readonly meaning: (name: string) => readonly Pick<Candidate, "provider" | "model">[];
  /** Who may have to carry on an answer that another one began. */
  readonly successors: () => readonly Candidate[];
  readonly report: (line: string) => void;
}

const stateTexts = {
  ready: "the server is ready",
  loading: "the server is loading its model",
  down: "the server does not answer",
} as const;

/** A server that was found and goes away keeps its place for so long: it may only be starting anew. */
const mayReturnMs = 60_000;

export class HomeServers implements AsyncDisposable {
  readonly health: ServerHealth;
  readonly continuations: ContinuationProbe;
  readonly #parts: Parts;
  readonly #watch: ServerWatch;
  readonly #use: LocalUse;
  #local: LocalServers = noLocalServers;
  #missing: readonly MissingModel[] = [];
  /** What was told of each server last. */
  readonly #states = new Map<string, Standing["state"]>();

  constructor(parts: Parts) {
    const { clock, wait } = parts;
    this.#parts = parts;
    this.#use = new LocalUse(clock);
    this.#watch = new ServerWatch({ clock, wait, onChange: (name, standing) => this.#changed(name, standing) });
    this.health = new ServerHealth(this.#watch, this.#use);
    this.continuations = new ContinuationProbe({
      clock,
      use: this.#use,
      inMemory: (provider, model) => this.#versionOf(provider, model),
    });
  }

  get local(): LocalServers {
    return this.#local;
  }

  /** Names of the configuration whose model is not where it should be. */
  get missing(): readonly MissingModel[] {
    return this.#missing;
  }

  /** For `/stats`; undefined: it is not watched, being none of the local ones. */
  statusOf({ name, limits }: Provider): ServerStatus | undefined {
    const standing = this.#watch.standing(name);
    if (standing === undefined) return undefined;
    const { clock } = this.#parts;
    return {
      state: standing.state,
      since: clock.now() - Math.round(clock.monotonic() - standing.since),
      loaded: standing.loaded === null ? null : [...standing.loaded.keys()],
      concurrent: limits.concurrent ?? null,
    };
  }

  /** Takes over the providers of a new configuration, or of what was found. */
  adopt(providers: Iterable<Provider>): void {
    this.#watch.configure(providers);
    this.#lookAround();
  }

  /** Resolves when each was looked at once. */
  async seen(): Promise<void> {
    const local = [...this.#parts.config().providers.values()].filter((provider) => provider.local);
    await Promise.all(local.map(async ({ name }) => this.#watch.lookNow(name)));
  }

  /** Around the calls to local servers: they tell how these are. */
  noticing(next: Handler<Keyed>): Handler<Keyed> {
    return withLocalUse(this.#use, this.#watch, next);
  }

  async discover(): Promise<void> {
    const config = this.#parts.config();
    const found = await findLocalServers({
      providers: config.providers,
      own: this.#parts.own(),
      localProvider,
      before: this.#local,
      mayReturn: (name) => this.#mayReturn(name),
    });
    // A reload meanwhile has asked for itself, and what it does not name any more would come back.
    if (config === this.#parts.config() && JSON.stringify(found) !== JSON.stringify(this.#local)) {
      this.#local = found;
      this.#parts.onFound();
    }
    this.#lookAround();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    await this.continuations[Symbol.asyncDispose]();
  }

  #mayReturn(name: string): boolean {
    const standing = this.#watch.standing(name);
    if (standing === undefined) return false;
    // Too busy to list its models within a second is not gone.
    return standing.state !== "down" || this.#parts.clock.monotonic() - standing.since < mayReturnMs;
  }

  #changed(name: string, standing: Standing): void {
    this.#tellState(name, standing);
    // Other models, or another window: what they can do is asked again.
    if (standing.state === "ready") void this.discover();
    else this.#lookAround();
  }

  /** Each change once. That a server is there from the start is nothing to tell. */
  #tellState(name: string, { state }: Standing): void {
    const before = this.#states.get(name) ?? "ready";
    if (state === "unknown" || state === before) return;
    this.#states.set(name, state);
    if (state === "ready") this.#parts.onReturn(name);
    this.#parts.report(`${name}: ${stateTexts[state]}`);
  }

  #versionOf(provider: Provider, model: string): string | null {
    if (this.#parts.config().takeover === "off") return null;
    const version = this.health.inMemory(provider, model);
    return version === null ? null : `${version} ${this.#local.facts[provider.name]?.version ?? ""}`;
  }

  #lookAround(): void {
    const before = this.#missing;
    this.#missing = missingModels({
      names: this.#parts.names(),
      meaning: this.#parts.meaning,
      isMissing: (meant) => this.health.of(meant) === "missing",
      instead: (meant) => this.health.instead(meant),
      listed: (name) => this.#watch.standing(name)?.listed ?? [],
    });
    const { report } = this.#parts;
    for (const { message } of this.#missing) if (!before.some((one) => one.message === message)) report(message);
    for (const { name, provider, model } of before) {
      const meant = this.#parts.meaning(name).find((one) => one.provider.name === provider && one.model === model);
      const health = meant === undefined ? undefined : this.health.of(meant);
      const there = health === "ready" || health === "cold";
      if (there && !this.#missing.some((one) => one.name === name)) report(`${name}: ${provider} has ${model} now`);
    }
    for (const candidate of this.#parts.successors()) this.continuations.of(candidate);
    void this.continuations.look();
  }
}
