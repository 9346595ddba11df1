// How the local servers stand, found out by looking at them again and again. It outlives configurations.

import type { Clock } from "../clock.ts";
import type { Provider } from "../request.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import { lookAt, type Look } from "./server-look.ts";

/** A server as it was seen last. */
export interface Standing {
  /** `unknown`: it was not seen yet. */
  readonly state: Look["state"] | "unknown";
  /** Monotonic, milliseconds: since when it is in that state. */
  readonly since: number;
  readonly listed: Look["listed"];
  readonly loaded: Look["loaded"];
  /** Counts its starts as far as they were seen: what was learnt of an earlier run need not hold any more. */
  readonly run: number;
}

export interface Patience {
  readonly signal: AbortSignal;
  readonly ms: number;
}

interface WatchParts {
  readonly clock: Clock;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Told whenever a server stands otherwise than before: state, models, or what is loaded. */
  readonly onChange: (provider: string, standing: Standing) => void;
  readonly look?: (provider: Provider) => Promise<Look | null>;
}

/** Often enough that a crash is seen before many requests meet it, and nothing to a server. */
const readyMs = 5_000;
/** Somebody waits for it. */
const loadingMs = 1_000;
const firstDownMs = 1_000;
const mostDownMs = 5_000;

interface Watched {
  provider: Provider;
  standing: Standing;
  /** Looks in a row that found nobody. */
  downs: number;
  /** Ends the pause before the next look. */
  wake: AbortController;
  /** The look that is under way; who asks meanwhile gets its answer. */
  looking: Promise<void> | null;
  readonly end: AbortController;
  readonly waiting: Set<() => void>;
}

export class ServerWatch implements AsyncDisposable {
  readonly #parts: WatchParts;
  readonly #look: (provider: Provider) => Promise<Look | null>;
  readonly #servers = new Map<string, Watched>();

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#look = parts.look ?? (async (provider) => lookAt(provider, serverKindOf(provider)));
  }

  /** Watches the local ones of these from now on, and no others. Those that stay are known as they were. */
  configure(providers: Iterable<Provider>): void {
    const local = new Map([...providers].filter((p) => p.local).map((p) => [p.name, p]));
    for (const [name, watched] of this.#servers) {
      const provider = local.get(name);
      if (provider === undefined || provider.url !== watched.provider.url) this.#forget(name, watched);
      else watched.provider = provider;
    }
    for (const provider of local.values()) if (!this.#servers.has(provider.name)) this.#follow(provider);
  }

  /** Undefined: it is not watched. */
  standing(provider: string): Standing | undefined {
    return this.#servers.get(provider)?.standing;
  }

  /** Looks now, or joins the look that is under way; undefined: it is not watched. */
  async lookNow(provider: string): Promise<Standing | undefined> {
    const watched = this.#servers.get(provider);
    if (watched === undefined) return undefined;
    await this.#lookOnce(watched);
    return watched.standing;
  }

  /** Somebody could not reach it: the next look is due at once. */
  doubt(provider: string): void {
    this.#servers.get(provider)?.wake.abort();
  }

  /** It said that it is loading its model: believed at once. */
  sawLoading(provider: string): void {
    const watched = this.#servers.get(provider);
    if (watched === undefined || watched.standing.state === "loading") return;
    this.#take(watched, { state: "loading", listed: watched.standing.listed, loaded: null });
    watched.wake.abort();
  }

  /** Resolves when it does not load any more, or when the patience ends. */
  async loaded(provider: string, { signal, ms }: Patience): Promise<void> {
    const watched = this.#servers.get(provider);
    if (watched === undefined || watched.standing.state !== "loading" || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const left = new AbortController();
    const leave = (): void => left.abort();
    watched.waiting.add(resolve);
    signal.addEventListener("abort", leave, { once: true });
    await Promise.race([promise, this.#parts.wait(ms, left.signal)]);
    leave();
    signal.removeEventListener("abort", leave);
    watched.waiting.delete(resolve);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, watched] of this.#servers) this.#forget(name, watched);
  }

  #follow(provider: Provider): void {
    const watched: Watched = {
      provider,
      standing: { state: "unknown", since: this.#parts.clock.monotonic(), listed: null, loaded: null, run: 0 },
      downs: 0,
      wake: new AbortController(),
      looking: null,
      end: new AbortController(),
      waiting: new Set(),
    };
    this.#servers.set(provider.name, watched);
    void this.#watch(watched);
  }

  #forget(name: string, watched: Watched): void {
    this.#servers.delete(name);
    watched.end.abort();
    watched.wake.abort();
    for (const resolve of watched.waiting) resolve();
  }

  async #watch(watched: Watched): Promise<void> {
    while (!watched.end.signal.aborted) {
      watched.wake = new AbortController();
      await this.#lookOnce(watched);
      if (watched.end.signal.aborted) return;
      await this.#parts.wait(pauseMs(watched), watched.wake.signal);
    }
  }

  async #lookOnce(watched: Watched): Promise<void> {
    watched.looking ??= this.#look(watched.provider).then((look) => {
      watched.looking = null;
      if (!watched.end.signal.aborted && look !== null) this.#take(watched, look);
    });
    return watched.looking;
  }

  #take(watched: Watched, look: Look): void {
    const before = watched.standing;
    watched.downs = look.state === "down" ? watched.downs + 1 : 0;
    // A run that was met in the middle is its first one here.
    const started = look.state === "ready" && (before.state === "down" || before.state === "loading");
    const same = before.state === look.state;
    watched.standing = {
      state: look.state,
      since: same ? before.since : this.#parts.clock.monotonic(),
      // A server that is away, or does not say, still has what it had.
      listed: look.listed ?? before.listed,
      loaded: look.loaded,
      run: started ? before.run + 1 : before.run,
    };
    if (look.state !== "loading") for (const resolve of watched.waiting) resolve();
    if (!same || !alike(before, watched.standing)) this.#parts.onChange(watched.provider.name, watched.standing);
  }
}

function pauseMs({ standing, downs }: Watched): number {
  switch (standing.state) {
    case "ready":
      return readyMs;
    case "loading":
      return loadingMs;
    case "down":
    case "unknown":
      return Math.min(firstDownMs * 2 ** Math.max(0, downs - 1), mostDownMs);
    default:
      return standing.state satisfies never;
  }
}

function alike(a: Standing, b: Standing): boolean {
  const loaded = ({ loaded: models }: Standing): string =>
    JSON.stringify(models === null ? null : [...models].map(([name, version]) => `${name} ${version}`).sort());
  return JSON.stringify(a.listed) === JSON.stringify(b.listed) && loaded(a) === loaded(b);
}
