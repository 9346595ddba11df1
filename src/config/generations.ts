// Configurations come and go while requests run: a request keeps the generation it began with, and a generation is
// disposed when the last request has left it.

import type { Clock } from "../clock.ts";
import { formatFault, say, unsay } from "./fault.ts";
import type { Config, Fault } from "./types.ts";

/** One configuration and what was built from it. */
export interface Generation<T> {
  /** 1 for the first. */
  readonly number: number;
  readonly config: Config;
  readonly value: T;
  /** Wall clock, milliseconds. */
  readonly loadedAt: number;
}

export interface GenerationsOptions<T> {
  readonly clock: Clock;
  /** Called once a generation. May throw: then the old one stays. */
  readonly build: (config: Config, number: number) => T | Promise<T>;
  /** Once for each different set of faults, not for each reading of the same faulty file. `cause`: what `build` threw. */
  readonly onFault: (faults: readonly Fault[], cause: unknown) => void;
  /** After each swap. */
  readonly onLoaded?: (generation: Generation<T>) => void;
  /** These keys are not what the process began with: only a restart changes that. */
  readonly onRestartNeeded?: (keys: readonly string[]) => void;
  /** An old generation did not close properly; the new one is not touched by that. */
  readonly onDisposeFailed: (error: unknown, number: number) => void;
}

class Slot<T> implements Generation<T> {
  readonly number: number;
  readonly config: Config;
  readonly value: T;
  readonly loadedAt: number;
  users = 0;
  retired = false;

  constructor(number: number, config: Config, value: T, loadedAt: number) {
    this.number = number;
    this.config = config;
    this.value = value;
    this.loadedAt = loadedAt;
  }
}

/** Holds the generation in force and those that are still in use. */
export class Generations<T extends AsyncDisposable> implements AsyncDisposable {
  readonly #options: GenerationsOptions<T>;
  readonly #first: Config;
  readonly #live = new Set<Slot<T>>();
  #current: Slot<T>;
  #fault: { readonly since: number; readonly faults: readonly Fault[] } | null = null;
  #faultText = "";
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;
  #allGone: (() => void) | null = null;

  private constructor(options: GenerationsOptions<T>, first: Slot<T>) {
    this.#options = options;
    this.#first = first.config;
    this.#current = first;
    this.#live.add(first);
  }

  /** Rejects with what `build` throws: a start without a configuration is no start. */
  static async start<T extends AsyncDisposable>(
    config: Config,
    options: GenerationsOptions<T>,
  ): Promise<Generations<T>> {
    const value = await options.build(config, 1);
    return new Generations(options, new Slot(1, config, value, options.clock.now()));
  }

  get current(): Generation<T> {
    return this.#current;
  }

  /** The last reading was refused, for the first time at `since` (wall clock, milliseconds); null where all is well. */
  get fault(): { readonly since: number; readonly faults: readonly Fault[] } | null {
    return this.#fault;
  }

  /** Keys of the configuration in force that only take effect at the next start; empty: it is in force as a whole. */
  get restartNeeded(): readonly string[] {
    return restartKeys(this.#first, this.#current.config);
  }

  /** The generation in force, kept alive until `release`. Costs a request one addition. */
  acquire(): Generation<T> {
    this.#current.users++;
    return this.#current;
  }

  /** Once for each `acquire`, with what it gave. */
  release(generation: Generation<T>): void {
    if (!(generation instanceof Slot) || !this.#live.has(generation) || generation.users === 0) {
      throw new Error("a generation was released more often than acquired");
    }
    generation.users--;
    if (generation.users === 0 && generation.retired) void this.#dispose(generation);
  }

  /** Takes what `loadConfig` gave; one after the other. Never rejects. True: it is in force. */
  async apply(loaded: { config: Config } | { faults: readonly Fault[] }): Promise<boolean> {
    const turn = this.#queue.then(() => this.#apply(loaded));
    this.#queue = turn;
    return turn;
  }

  async #apply(loaded: { config: Config } | { faults: readonly Fault[] }): Promise<boolean> {
    if (this.#closed) return false;
    if ("faults" in loaded) return this.#refuse(loaded.faults, undefined);
    const number = this.#current.number + 1;
    let value: T;
    try {
      value = await this.#options.build(loaded.config, number);
    } catch (cause) {
      return this.#refuse([unbuildable], cause);
    }
    const old = this.#current;
    this.#current = new Slot(number, loaded.config, value, this.#options.clock.now());
    this.#live.add(this.#current);
    this.#fault = null;
    this.#faultText = "";
    old.retired = true;
    if (old.users === 0) void this.#dispose(old);
    this.#options.onLoaded?.(this.#current);
    if (this.restartNeeded.length > 0) this.#options.onRestartNeeded?.(this.restartNeeded);
    return true;
  }

  #refuse(faults: readonly Fault[], cause: unknown): false {
    const text = faults.map(formatFault).join("\n");
    this.#fault = { since: this.#fault?.since ?? this.#options.clock.now(), faults };
    if (text !== this.#faultText) this.#options.onFault(faults, cause);
    this.#faultText = text;
    return false;
  }

  async #dispose(slot: Slot<T>): Promise<void> {
    try {
      await slot.value[Symbol.asyncDispose]();
    } catch (error) {
      this.#options.onDisposeFailed(error, slot.number);
    }
    this.#live.delete(slot);
    if (this.#live.size === 0) this.#allGone?.();
  }

  /** Resolves when the last user of every generation has left and all are disposed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      await this.#queue;
      this.#current.retired = true;
      if (this.#current.users === 0) void this.#dispose(this.#current);
    }
    if (this.#live.size === 0) return;
    const before = this.#allGone;
    await new Promise<void>((resolve) => {
      this.#allGone = () => {
        before?.();
        resolve();
      };
    });
  }
}

const unbuildable: Fault = {
  file: "config",
  line: 1,
  column: 1,
  keyPath: "",
  ...unsay(say("could not be put to use", "see the log for the reason")),
};

function restartKeys(first: Config, now: Config): string[] {
  const addresses = (config: Config): string => config.listen.map((address) => address.text).join(" ");
  const changed: Readonly<Record<string, boolean>> = {
    listen: addresses(first) !== addresses(now),
    tls: first.tls?.certFile !== now.tls?.certFile || first.tls?.keyFile !== now.tls?.keyFile,
    host_names: first.hostNames.join(" ") !== now.hostNames.join(" "),
    "audit.file": first.audit.file !== now.audit.file,
  };
  return Object.keys(changed).filter((key) => changed[key]);
}
