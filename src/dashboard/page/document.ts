// What the gateway sends, as far as the page reads it. Read with tolerance: a gateway that is older or newer than the page
// leaves members out or adds some.

export interface Agent {
  readonly daily_usd: number;
  readonly spent_usd: number;
  readonly held_usd: number;
  readonly remaining_usd: number;
  readonly over_budget: boolean;
  readonly requests: number;
  readonly cloud: number;
  readonly local: number;
  readonly fallbacks: number;
  readonly refused: number;
  readonly errors: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly hour?: Window;
  readonly month?: Window;
}

export interface Window {
  readonly cap_usd: number;
  readonly spent_usd: number;
  readonly held_usd: number;
  readonly remaining_usd: number;
}

export interface Limit {
  readonly limit: number;
  readonly remaining: number;
  readonly resets_at: string | null;
}

/** A model, or a provider, that is left alone for a while. */
export interface Resting {
  readonly state: string;
  readonly backoff_until: string | null;
}

export interface Provider extends Resting {
  readonly requests: number;
  readonly errors: number;
  readonly key: string;
  readonly latency_ms: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
  /** By kind (`requests`, `tokens` …), and what else a gateway knows of them. */
  readonly limits: Readonly<Record<string, unknown>>;
  /** Those of its models that are left alone. */
  readonly models?: Readonly<Record<string, Resting>>;
  /** Requests that stand in line for it. */
  readonly waiting?: number;
  /** Of a local one: how its server was seen last. */
  readonly server?: {
    readonly state: string;
    readonly since?: string;
    readonly loaded?: readonly string[] | null;
  };
}

export interface Model {
  readonly requests: number;
  readonly spent_usd: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly price_drift?: number | null;
}

export interface Attempt {
  readonly candidate: string;
  readonly outcome: string | null;
  readonly status: number | null;
  readonly ms: number | null;
  readonly ttft_ms?: number | null;
  readonly usd?: number;
  readonly note?: string | null;
  /** Of a request that runs. */
  readonly began?: string;
  readonly held_usd?: number;
  /** `provider/model` behind an alias. */
  readonly upstream?: string | null;
  readonly upstream_id?: string | null;
  readonly listed_usd?: number;
}

export interface Live {
  readonly id: string;
  readonly ts: string;
  readonly agent: string | null;
  readonly requested_model: string | null;
  readonly stream: boolean;
  readonly attempts: readonly Attempt[];
  readonly served_by: string | null;
}

/** A line of the audit trail. */
export interface Entry {
  readonly seq: number;
  readonly prev?: string;
  readonly ts: string;
  readonly id: string;
  readonly agent: string | null;
  readonly auth?: string | null;
  readonly peer?: string;
  readonly dialect?: string;
  readonly path?: string;
  readonly stream?: boolean;
  readonly requested_model: string | null;
  readonly intent?: string | null;
  readonly route?: string | null;
  readonly attempts: readonly Attempt[];
  readonly attempts_left_out?: number;
  readonly served_by: string | null;
  readonly local: boolean;
  readonly outcome: string;
  readonly status: number;
  readonly usage: Readonly<Record<string, number | string>> | null;
  readonly usd: number;
  readonly held_usd: number;
  readonly would_have_usd: number | null;
  readonly price: string | null;
  readonly ms: number;
  readonly bytes_in?: number;
  readonly bytes_out?: number;
  readonly client_retry?: number;
  readonly replay_of?: string;
}

export interface Period {
  readonly key: string;
  readonly requests: number;
  readonly cloud: number;
  readonly local: number;
  readonly refused: number;
  readonly errors: number;
  readonly spent_usd: number;
  readonly saved_usd: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
}

export type Span = "hours" | "days" | "months";
export type History = Readonly<Record<Span, readonly Period[]>> & { readonly reading: boolean };

export interface Document {
  readonly version: string;
  readonly now: string;
  readonly day: string;
  readonly day_ends_at: string;
  readonly uptime_s: number;
  readonly in_flight: number;
  readonly config: {
    readonly generation: number;
    readonly loaded_at: string;
    readonly fault: { readonly since: string; readonly messages: readonly string[] } | null;
  };
  readonly agents: Readonly<Record<string, Agent>>;
  readonly providers: Readonly<Record<string, Provider>>;
  readonly models: Readonly<Record<string, Model>>;
  readonly audit: {
    readonly entries: number;
    readonly head: string;
    readonly last_written_at: string | null;
    readonly fault: { readonly since: string; readonly message: string } | null;
    readonly notes?: readonly string[];
    readonly seal?: { readonly key: string | null; readonly seq: number; readonly fault: string | null };
    /** What was done to the trail from outside. */
    readonly alarms?: readonly { readonly at: string; readonly text: string }[];
  };
  readonly overload?: { readonly level: string; readonly reasons: readonly string[]; readonly shed: number };
  readonly missing_models?: readonly { readonly name: string; readonly message: string }[];
  readonly totals: {
    readonly requests: number;
    readonly spent_usd: number;
    readonly saved_usd: number;
    readonly local_share: number;
  };
  readonly ledger: { readonly fault: string | null; readonly notes?: readonly string[] };
  readonly page: string | null;
  readonly live: readonly Live[];
  /** Newest first. */
  readonly recent: readonly Entry[];
  readonly history: Readonly<Record<Span, Period>> & { readonly reading: boolean };
}

/** One line and its place in the chain. */
export interface Place {
  readonly line: string;
  readonly hash: string;
  readonly links_back: boolean | null;
  readonly links_on: boolean | null;
}

export interface Found {
  readonly entries: readonly Entry[];
  readonly next: number | null;
  readonly searched: number;
  readonly reached: string | null;
}
