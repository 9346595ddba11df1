// When each local server was last given work, and what came of it: whoever asks it for its own sake does so only while it
// is idle, and what an attempt meets there is known to all at once.

import type { Clock } from "../clock.ts";
import { AttemptError } from "../errors.ts";
import type { GatewayResponse, Handler, Keyed } from "../request.ts";

interface Use {
  running: number;
  /** Monotonic, milliseconds; -Infinity: never. */
  lastAt: number;
  /** The model that answered last: it is in memory, or was a moment ago. */
  served: string | undefined;
}

export class LocalUse {
  readonly #clock: Clock;
  readonly #uses = new Map<string, Use>();
  readonly #onBegin: ((provider: string) => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Told before each request is sent. */
  onBegin(listener: (provider: string) => void): void {
    this.#onBegin.push(listener);
  }

  begin(provider: string): void {
    const use = this.#use(provider);
    use.running++;
    use.lastAt = this.#clock.monotonic();
    for (const listener of this.#onBegin) listener(provider);
  }

  end(provider: string, served?: string): void {
    const use = this.#use(provider);
    use.running--;
    use.lastAt = this.#clock.monotonic();
    if (served !== undefined) use.served = served;
  }

  /** For how long it has had nothing to do, in milliseconds. */
  idleMs(provider: string): number {
    const use = this.#uses.get(provider);
    if (use === undefined) return Infinity;
    return use.running > 0 ? 0 : this.#clock.monotonic() - use.lastAt;
  }

  served(provider: string): string | undefined {
    return this.#uses.get(provider)?.served;
  }

  #use(provider: string): Use {
    let use = this.#uses.get(provider);
    if (use === undefined) this.#uses.set(provider, (use = { running: 0, lastAt: -Infinity, served: undefined }));
    return use;
  }
}

/** What an attempt tells of the server's state. */
export interface Witness {
  /** It could not be reached, or broke off. */
  doubt(provider: string): void;
  sawLoading(provider: string): void;
}

/** Keeps the books of `use` around every call to a local server. */
export function withLocalUse(use: LocalUse, witness: Witness, next: Handler<Keyed>): Handler<Keyed> {
  return (keyed) => (keyed.candidate.local ? used(use, witness, next, keyed) : next(keyed));
}

async function used(use: LocalUse, witness: Witness, next: Handler<Keyed>, keyed: Keyed): Promise<GatewayResponse> {
  const { provider, model } = keyed.candidate;
  use.begin(provider.name);
  try {
    const response = await next(keyed);
    void response.finished.then(({ outcome }) => {
      use.end(provider.name, outcome === "ok" ? model : undefined);
      if (outcome === "upstream_error") witness.doubt(provider.name);
    });
    return response;
  } catch (error) {
    use.end(provider.name);
    if (error instanceof AttemptError) tell(error, provider.name, witness);
    throw error;
  }
}

const unreached = new Set(["connect_failed", "timeout_connect", "timeout_first_byte", "cut_stream"]);

function tell(error: AttemptError, provider: string, witness: Witness): void {
  if (error.loading) witness.sawLoading(provider);
  else if (unreached.has(error.outcome)) witness.doubt(provider);
}
