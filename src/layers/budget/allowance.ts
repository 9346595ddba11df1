// How much output a hold pays for. A stream whose every token is seen gets it in slices, so that a large `max_tokens` does
// not lock a small cap; what can't be watched (JSON answers, hidden reasoning) is paid for in full before it is sent.

import type { Nanos } from "../../money.ts";
import type { Allowance, Paced, Price } from "../../request.ts";
import { type CacheLifetime, cacheLifetimeOf } from "../../wire/cache-lifetime.ts";
import type { JsonObject, Usage } from "../../wire/neutral.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import { ceilingOf, priceOf } from "../../catalogue/index.ts";
import { boundNanos, costNanos, dearest, outputRate, toolFeeNanos } from "./cost.ts";
import type { Hold } from "./ledger.ts";
import { askedFactor, billedFactor, type Factor, times } from "./surcharge.ts";

const slice = 2_048;
/** Less output than this is not worth an attempt, where more was asked for. */
const leastTokens = 1_024;
/** What a full allowance may always have, however little of the cap that leaves to others. */
const fairTokens = 8_192;
/** Where neither the client nor the catalogue knows a limit. */
const usualTokens = 32_000;
/** The largest window that any vendor sells: what a long-prompt price at or above the listed window stands for. */
const largestWindow = 1_000_000;

/** Money and tokens that an attempt needs before it is sent. */
export interface Need {
  readonly nanos: Nanos;
  /** Output tokens that `nanos` covers, over all answers. */
  readonly outputTokens: number;
  readonly clampTo: number | undefined;
  readonly nanosPerToken: number;
  /** Output tokens up to which the rest is drawn as it flows; null: all of it is paid for up front. */
  readonly drawUpTo: number | null;
  /** What it needs once the prompt's usage is told, for so many output tokens; null: the bound stands until the end. */
  readonly corrected: ((prompt: Usage, outputTokens: number) => Correction) | null;
}

interface Correction {
  readonly nanos: Nanos;
  readonly nanosPerToken: number;
}

interface Terms {
  readonly price: Price;
  readonly factor: Factor;
  readonly prompt: number;
  readonly cached: CacheLifetime;
  /** Answers that may be written: the client's `n`, and once more for each model that the vendor may ask instead. */
  readonly choices: number;
  /** Nano-dollars for the prompts of those other models. */
  readonly againNanos: Nanos;
  /** Nano-dollars for the calls of the provider's own tools that the request allows. */
  readonly feeNanos: Nanos;
  /** Nano-dollars for the prompt and those calls. */
  readonly promptNanos: Nanos;
  /** Nano-dollars, not rounded, for one output token in each of `choices` answers. */
  readonly tokenNanos: number;
}

/** What to hold at so much room; null: the room does not cover the least. */
export type NeedAt = (room: Nanos) => Need | null;

/** Reads the request once. `counted`: what the vendor says that the prompt has, where it was asked. */
export function needOf(paced: Paced, price: Price, counted = Infinity): NeedAt {
  const terms = termsOf(paced.request, paced.candidate, price, counted);
  return (room) => needAt(paced, terms, room);
}

function needAt(paced: Paced, terms: Terms, room: Nanos): Need | null {
  const { request, candidate } = paced;
  const { facts, operation } = request;
  if (operation === "embeddings") return terms.promptNanos > room ? null : needed(paced, terms, 0, undefined, null);
  const limit = candidate.maxOutput ?? Number.POSITIVE_INFINITY;
  const asked = Math.min(facts.maxOutputTokens ?? candidate.maxOutput ?? usualTokens, limit);
  const affordable =
    terms.tokenNanos === 0 ? asked : Math.floor(Math.max(0, room - terms.promptNanos) / terms.tokenNanos);
  const watched = facts.stream && !facts.hasThinking && !candidate.hiddenReasoning;
  const least = watched ? Math.min(asked, leastTokens) : leastOf(asked, request.body);
  if (terms.promptNanos > room || affordable < least) return null;

  if (watched) {
    const tokens = Math.min(asked, affordable, Math.ceil(slice / terms.choices));
    const clampTo = facts.maxOutputTokens !== undefined && asked < facts.maxOutputTokens ? asked : undefined;
    const given = facts.maxOutputTokens === undefined ? limit : asked;
    return needed(paced, terms, tokens, clampTo, given * terms.choices);
  }
  const quarter = terms.tokenNanos === 0 ? asked : Math.floor(room / 4 / terms.tokenNanos);
  const tokens = Math.min(asked, affordable, Math.max(fairTokens, quarter, least));
  const clamped = facts.maxOutputTokens === undefined || tokens < facts.maxOutputTokens;
  return needed(paced, terms, tokens, clamped ? tokens : undefined, null);
}

function termsOf(request: Paced["request"], candidate: Paced["candidate"], own: Price, counted: number): Terms {
  const { facts } = request;
  const { alternates = [] } = facts;
  const provider = candidate.provider.name;
  const price = dearest([own, ...alternates.map((model) => priceOf(provider, model) ?? ceilingOf(provider))]);
  const factor = askedFactor(candidate, request.body);
  const prompt = Math.min(facts.inputTokenBound, windowOf(candidate.context, price), counted);
  // Others write to their caches unasked.
  const cached = serverKindOf(candidate.provider) === "anthropic" ? lifetimeOf(request) : "long";
  const choices = Math.max(1, facts.choices) * (1 + alternates.length);
  const onceNanos = times(boundNanos(prompt, 0, price, 1, cached), factor);
  const againNanos = onceNanos * alternates.length;
  const feeNanos = toolFeeNanos(facts.serverTools);
  return {
    price,
    factor,
    prompt,
    cached,
    choices,
    feeNanos,
    againNanos,
    promptNanos: onceNanos + againNanos + feeNanos,
    tokenNanos: (outputRate(prompt, price) * choices * factor) / 100_000,
  };
}

/** The text is searched first: most requests have no mark, and a walk through a long conversation is not free. */
function lifetimeOf({ text, body }: Paced["request"]): CacheLifetime {
  return text.includes("cache_control") || text.includes("\\u") ? cacheLifetimeOf(body) : "none";
}

function needed(
  paced: Paced,
  terms: Terms,
  tokens: number,
  clampTo: number | undefined,
  drawUpTo: number | null,
): Need {
  const { prompt, price, choices, cached } = terms;
  return {
    nanos: times(boundNanos(prompt, tokens, price, choices, cached), terms.factor) + terms.feeNanos + terms.againNanos,
    outputTokens: tokens * choices,
    clampTo,
    nanosPerToken: terms.tokenNanos / choices,
    drawUpTo,
    corrected: tellsPrompt(paced) ? (usage, outputTokens) => correction(paced, terms, usage, outputTokens) : null,
  };
}

/**
 * Anthropic counts the prompt before it answers (docs "Streaming messages": `message_start`). A tool that runs there, or
 * another model that takes over, reads the prompt again later.
 */
function tellsPrompt({ candidate, request: { facts } }: Paced): boolean {
  const again = facts.serverTools !== undefined || facts.alternates !== undefined;
  return serverKindOf(candidate.provider) === "anthropic" && !again;
}

/** The prompt at its real price, and the output at the factor that the answer names, where that is dearer than was asked for. */
function correction({ candidate, request }: Paced, terms: Terms, usage: Usage, outputTokens: number): Correction {
  const factor = Math.max(terms.factor, billedFactor(candidate, request.body, usage));
  const nanosPerToken = (terms.tokenNanos / terms.choices / terms.factor) * factor;
  const prompt = { ...usage, output: 0, reasoning: 0, serverTools: undefined };
  const promptNanos = costNanos(prompt, terms.price, { factor, priceOfOther: () => terms.price });
  return { nanos: promptNanos + Math.ceil(outputTokens * nanosPerToken), nanosPerToken };
}

// A prompt cannot be longer than the model's window; but a window that a switch widens (Anthropic's `context-1m` beta)
// shows in a price for prompts beyond it.
function windowOf(context: number | undefined, price: Price): number {
  if (context === undefined) return Number.POSITIVE_INFINITY;
  return price.long !== null && price.long.threshold >= context ? Math.max(context, largestWindow) : context;
}

// An output limit that does not exceed the thinking budget is refused (Anthropic, docs "Extended thinking"), so it is never
// clamped below that.
function leastOf(asked: number, body: JsonObject): number {
  const budget = numberIn(body["thinking"], "budget_tokens") ?? numberIn(body["reasoning"], "max_tokens") ?? 0;
  return Math.min(asked, budget + leastTokens);
}

function numberIn(value: unknown, key: string): number | undefined {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  const found = (value as JsonObject)[key];
  return typeof found === "number" && found > 0 ? found : undefined;
}

/** Costs nothing, so nothing limits it. */
export const freeAllowance: Allowance = {
  outputTokens: Number.MAX_SAFE_INTEGER,
  clampTo: undefined,
  draw: () => true,
  learnPrompt: () => undefined,
};

/** No tokeniser makes tokens this long of a whole answer: one that is longer has not stopped at its limit. */
const mostBytesPerToken = 24;
/** A short answer may be one long token: a line of dashes, a run of spaces. */
const longTokenBytes = 80;

/** What a hold pays for. Slices are drawn ahead of what was seen, so that tokens flow out of money that is already on disk. */
export class HeldAllowance implements Allowance {
  readonly clampTo: number | undefined;
  readonly #hold: Hold;
  readonly #room: () => Nanos;
  readonly #onChange: (freed: boolean) => void;
  readonly #limit: number;
  readonly #corrected: Need["corrected"];
  #nanosPerToken: number;
  #granted: number;
  /** The answer turned out to be dearer than what is left pays for. */
  #short = false;

  /** `room`: what is left of the agent's caps now. `onChange`: the hold has grown, or has given something back. */
  constructor(need: Need, hold: Hold, room: () => Nanos, onChange: (freed: boolean) => void) {
    this.clampTo = need.clampTo;
    this.#granted = need.outputTokens;
    this.#limit = need.drawUpTo ?? need.outputTokens;
    this.#nanosPerToken = need.nanosPerToken;
    this.#corrected = need.corrected;
    this.#hold = hold;
    this.#room = room;
    this.#onChange = onChange;
  }

  get outputTokens(): number {
    return this.#granted;
  }

  draw(outputTokensSeen: number): boolean {
    if (this.#short) return false;
    if (this.#granted < this.#limit && outputTokensSeen > this.#granted - slice / 2) {
      const missing = outputTokensSeen + slice / 2 - this.#granted;
      const tokens = Math.min(Math.ceil(missing / slice) * slice, this.#limit - this.#granted);
      if (!this.#grow(tokens)) this.#grow(Math.min(tokens, this.#affordable()));
    }
    if (this.#granted < this.#limit) return outputTokensSeen <= this.#granted;
    // The upstream itself stops at the limit: what is seen counts bytes, and may be more than the tokens.
    return outputTokensSeen <= this.#limit * mostBytesPerToken + longTokenBytes;
  }

  learnPrompt(usage: Usage): void {
    if (this.#corrected === null) return;
    const { nanos, nanosPerToken } = this.#corrected(usage, this.#granted);
    this.#nanosPerToken = nanosPerToken;
    const over = this.#hold.nanos - nanos;
    if (over > 0) {
      if (this.#hold.shrink(over)) this.#onChange(true);
    } else if (over < 0) {
      this.#short = !this.#hold.extend(-over);
      this.#onChange(false);
    }
  }

  #grow(tokens: number): boolean {
    if (tokens <= 0 || !this.#hold.extend(Math.ceil(tokens * this.#nanosPerToken))) return false;
    this.#granted += tokens;
    this.#onChange(false);
    return true;
  }

  #affordable(): number {
    return Math.floor(Math.max(0, this.#room()) / this.#nanosPerToken);
  }
}
