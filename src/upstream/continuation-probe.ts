// Finds out whether a local model carries on an answer that was begun: by asking for the rest of a fixed half sentence, in
// the background, in each way that its kind of server may know.

import type { Clock } from "../clock.ts";
import type { Candidate, Provider } from "../request.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import type { Json } from "../wire/neutral.ts";
import { ask, isRecord, type Told } from "./ask-json.ts";
import {
  continuationTrials,
  noContinuation,
  type Continuation,
  type Continuations,
  type ContinuationTrial,
} from "./continuation.ts";
import { endpointOf } from "./endpoint.ts";
import type { LocalUse } from "./local-use.ts";

interface ProbeParts {
  readonly clock: Clock;
  readonly use: LocalUse;
  /** What identifies the model that is in memory there (run, version); null: it is not, or nobody knows. */
  readonly inMemory: (provider: Provider, model: string) => string | null;
}

/** No server of its own begins an answer so: who repeats it was given it. */
export const begun = "Gladly, dear reader of mine, here they are: one, two, three, four,";
const question = "Count from one to ten in words, separated by commas.";
/** What must come next. Only a model that goes on has no need to begin with one. */
const nextWord = "five";
/** The rest of it is not needed; where the beginning is repeated it has to fit. */
const outputTokens = 32;
const probeMs = 20_000;
/**
 * Between two questions of an agent its prompt lies in the server's cache, and where there is one place ours would push it
 * out: an agent that works on is left alone.
 */
const quietMs = 30_000;
/** After a server gave no answer to it; doubled each time. */
const againMs = 60_000;
const mostAgainMs = 3_600_000;
const maxKnown = 200;

interface Probe {
  readonly provider: Provider;
  readonly model: string;
  readonly key: string;
}

export class ContinuationProbe implements Continuations, AsyncDisposable {
  readonly #parts: ProbeParts;
  readonly #known = new Map<string, Continuation>();
  /** Asked for and not known yet, by provider and model. */
  readonly #wanted = new Map<string, Omit<Probe, "key">>();
  /** The one probe of each server. */
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();
  /** By what was not answered: how often, and when it is due again (monotonic). */
  readonly #unanswered = new Map<string, { readonly times: number; readonly dueAt: number }>();
  readonly #end = new AbortController();

  constructor(parts: ProbeParts) {
    this.#parts = parts;
    // A request has the server for itself at once: both kinds of server stop when their client hangs up.
    parts.use.onBegin((provider) => this.#running.get(provider)?.stop.abort());
  }

  of(candidate: Candidate): Continuation | undefined {
    const { provider, model } = candidate;
    if (!provider.local || !provider.dialects.includes("chat")) return noContinuation;
    const version = this.#parts.inMemory(provider, model);
    const key = version === null ? null : keyOf(provider, model, version);
    const known = key === null ? undefined : this.#known.get(key);
    if (known === undefined) this.#want(provider, model);
    return known;
  }

  /**
   * Something has changed (a server is back, a model was loaded, nobody works there any more): what is wanted is tried.
   * Resolves when nothing is being asked.
   */
  async look(): Promise<void> {
    this.#start();
    await Promise.all([...this.#running.values()].map(async ({ ended }) => ended));
  }

  #start(): void {
    if (this.#end.signal.aborted) return;
    const due = new Map<string, Probe>();
    for (const { provider, model } of this.#wanted.values()) {
      const version = this.#parts.inMemory(provider, model);
      if (version === null || due.has(provider.name) || this.#running.has(provider.name)) continue;
      const key = keyOf(provider, model, version);
      if (this.#parts.clock.monotonic() < (this.#unanswered.get(key)?.dueAt ?? -Infinity)) continue;
      if (this.#parts.use.idleMs(provider.name) >= quietMs) due.set(provider.name, { provider, model, key });
    }
    for (const probe of due.values()) {
      const stop = new AbortController();
      this.#running.set(probe.provider.name, { stop, ended: this.#run(probe, stop) });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    for (const { stop } of this.#running.values()) stop.abort();
  }

  #want(provider: Provider, model: string): void {
    const name = keyOf(provider, model, "");
    if (this.#wanted.has(name) || this.#wanted.size >= maxKnown) return;
    this.#wanted.set(name, { provider, model });
    this.#start();
  }

  async #run({ provider, model, key }: Probe, stop: AbortController): Promise<void> {
    const found = await askForContinuation(provider, model, stop.signal);
    this.#running.delete(provider.name);
    if (found === undefined) {
      // Put off by a request it is due as soon as that server is idle again.
      if (!stop.signal.aborted) this.#putOff(key);
      return;
    }
    keep(this.#known, key, found);
    this.#wanted.delete(keyOf(provider, model, ""));
    // The next one of the same server.
    await this.look();
  }

  #putOff(key: string): void {
    const times = (this.#unanswered.get(key)?.times ?? 0) + 1;
    const againInMs = Math.min(againMs * 2 ** (times - 1), mostAgainMs);
    this.#unanswered.delete(key);
    keep(this.#unanswered, key, { times, dueAt: this.#parts.clock.monotonic() + againInMs });
  }
}

/** What was known longest is forgotten first. */
function keep<T>(known: Map<string, T>, key: string, value: T): void {
  if (known.size >= maxKnown) known.delete(known.keys().next().value!);
  known.set(key, value);
}

function keyOf({ name, url }: Provider, model: string, version: string): string {
  return `${name}\n${url}\n${model}\n${version}`;
}

/** Undefined: no answer that says anything. Never throws. */
export async function askForContinuation(
  provider: Provider,
  model: string,
  signal: AbortSignal,
): Promise<Continuation | undefined> {
  for (const trial of continuationTrials[serverKindOf(provider)]) {
    const told = await ask(endpointOf(provider, "chat", "generate"), {
      body: JSON.stringify(requestFor(model, trial)),
      ms: probeMs,
      signal,
      headers: provider.headers,
      caFile: provider.caFile,
    });
    const verdict = verdictOn(told);
    if (verdict === "unknown") return undefined;
    if (verdict !== "starts_over") return { style: trial.style, echoes: verdict === "repeats", extra: trial.extra };
  }
  return noContinuation;
}

function requestFor(model: string, { extra }: ContinuationTrial): Record<string, Json> {
  return {
    model,
    messages: [
      { role: "user", content: question },
      { role: "assistant", content: begun },
    ],
    max_tokens: outputTokens,
    temperature: 0,
    stop: ["six"],
    stream: false,
    ...extra,
  };
}

type Verdict = "goes_on" | "repeats" | "starts_over" | "unknown";

/** A 400 or 422 says that this way is none; any other failure says nothing about it. */
function verdictOn(told: Told): Verdict {
  if (typeof told !== "object") return "unknown";
  if (told.status === 400 || told.status === 422) return "starts_over";
  const text = told.status === 200 ? textIn(told.json) : undefined;
  return text === undefined ? "unknown" : classify(text);
}

/** Where the answer takes up: in the middle of the sentence, with its beginning once more, or anew. */
export function classify(text: string): Exclude<Verdict, "unknown"> {
  const said = squeezed(text);
  const given = squeezed(begun);
  if (said.startsWith(nextWord)) return "goes_on";
  return said.startsWith(given) && said.slice(given.length).startsWith(nextWord) ? "repeats" : "starts_over";
}

/** Letters alone: servers differ in the blanks that they keep. */
function squeezed(text: string): string {
  return text.toLowerCase().replace(/[^a-z]/g, "");
}

/** Undefined: no answer of a chat. Who thinks first has begun anew. */
function textIn(answer: unknown): string | undefined {
  const choices = isRecord(answer) ? answer["choices"] : undefined;
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const message = isRecord(first) ? first["message"] : undefined;
  if (!isRecord(message)) return undefined;
  const { content, reasoning_content: thoughts, reasoning } = message;
  if ([thoughts, reasoning].some((thought) => typeof thought === "string" && thought.trim() !== "")) return "";
  return typeof content === "string" ? content : content === null || content === undefined ? "" : undefined;
}
