import { limitKinds, readQuotaHeaders, type LimitKind, type Readings } from "./quota-headers.ts";
import type { Need, Used } from "./quota.ts";
import { ToldQuota } from "./told-quota.ts";

/** What a request will probably use, beside what it may use at most. */
export interface Likely {
  readonly input: number;
  readonly output: number;
}

/** What is told about this attempt's limits is told as of it. */
export interface Sent extends Likely {
  /** Attempts are numbered in the order in which they are sent. */
  readonly attempt: number;
  /** Sums of what was sent up to this one. */
  readonly sentInput: number;
  readonly sentTokens: number;
  /** Monotonic. */
  readonly startedMs: number;
  /** Its neighbours among those that were not answered yet, in the order in which they were sent. */
  before: Sent | null;
  after: Sent | null;
  answered: boolean;
  /** The later attempt whose answer came first, with this one counted as not known to it. */
  overtakenBy: number;
}

/** What stands in line before somebody. */
export interface Ahead {
  requests: number;
  input: number;
  output: number;
}

export interface Wait {
  kind: LimitKind;
  ms: number;
}

/**
 * Before anything was answered nobody knows what is left: so many are sent then, and the others wait for the first answer's
 * headers, for a moment. The smallest accounts of the vendors may send 20 to 60 a minute.
 */
const MOST_UNKNOWING = 16;
const UNKNOWING_MS = 1_500;
/** 3.5 bytes a token at the start, until answers tell what prompts turn into (English text, code and JSON: 2.2 to 4.5). */
const FIRST_INPUT = { asked: 7_000, used: 2_000 };
/** Of what is asked for, at most 1,024, answers use about this much. */
const FIRST_OUTPUT = { asked: 1_000, used: 500 };
/** The last ten answers or so decide. */
const NEWS = 0.1;
/** Connections differ: what was sent so shortly before another one may reach the provider after it. */
const OVERTAKEN_MS = 500;
/** What runs may keep at most so much of the output that is left for itself: it is written over minutes. */
const MOST_RESERVED = 0.5;

/** Models that share their limits, at one account: what was told about them, and what was sent since. */
export class Scope {
  /** Attempts that have not ended, and requests that stand in line. */
  users = 0;
  readonly told: { [kind in LimitKind]: ToldQuota | null } = {
    requests: null,
    tokens: null,
    input_tokens: null,
    output_tokens: null,
  };
  /** Whether anything can be short. */
  limited = false;
  /** Nothing was answered yet; then until when that is waited for. */
  #unknowing = true;
  #unknowingUntilMs = Infinity;
  #family: number | undefined;
  #attempts = 0;
  #newest: Sent | null = null;
  /** The last attempt that told something. */
  #asOf = 0;
  #sentInput = 0;
  #sentTokens = 0;
  #running = 0;
  #runningOutput = 0;
  /** What is used of what is asked for at most: means of both, the newer the heavier. */
  #input = { ...FIRST_INPUT };
  #output = { ...FIRST_OUTPUT };
  /** A refusal said when it is worth asking again. */
  #notBeforeMs = 0;
  #refusedAttempt = 0;

  constructor(family: number | undefined) {
    this.#family = family;
  }

  likelyInput(need: Need): number {
    return Math.ceil((need.inputTokens * this.#input.used) / this.#input.asked);
  }

  likelyOutput(need: Need): number {
    return Math.ceil((need.outputTokens * this.#output.used) / this.#output.asked);
  }

  /** How long the first answer is waited for; 0: it is there, or few were sent. */
  unknowingMs(nowMs: number): number {
    if (!this.#unknowing || this.#running < MOST_UNKNOWING) return 0;
    return Math.max(0, this.#unknowingUntilMs - nowMs);
  }

  /** The quota that takes longest to have room, into `longest`. `hopes`: what is in doubt is left. */
  waitMs(likely: Likely, ahead: Ahead, kept: number | null, hopes: boolean, nowMs: number, longest: Wait): void {
    if (this.#notBeforeMs - nowMs > longest.ms) {
      longest.ms = this.#notBeforeMs - nowMs;
      longest.kind = "requests";
    }
    for (const kind of limitKinds) {
      const told = this.told[kind];
      if (told === null) continue;
      const reserved =
        kind === "output_tokens" ? Math.min(this.#runningOutput, (told.limit ?? Infinity) * MOST_RESERVED) : 0;
      const ms = told.waitMs(
        amountOf(kind, likely),
        aheadOf(kind, ahead),
        hopes ? reserved - told.doubt : reserved,
        kept,
        nowMs,
      );
      if (ms <= longest.ms) continue;
      longest.ms = ms;
      longest.kind = kind;
    }
  }

  /** The largest part of a told quota that this is; 0: nothing is told. */
  costOf(likely: Likely): number {
    let cost = 0;
    for (const kind of limitKinds) {
      const limit = this.told[kind]?.limit;
      if (limit !== undefined && limit > 0) cost = Math.max(cost, amountOf(kind, likely) / limit);
    }
    return cost;
  }

  /** The attempt's number. Sums are read afterwards, from `sentInput` and `sentTokens`. */
  send(input: number, output: number, kept: number | null, nowMs: number): number {
    this.users++;
    this.#running++;
    this.#sentInput += input;
    this.#sentTokens += input + output;
    this.#runningOutput += output;
    if (this.limited) {
      this.told.requests?.take(1, kept, nowMs);
      this.told.tokens?.take(input + output, kept, nowMs);
      this.told.input_tokens?.take(input, kept, nowMs);
    }
    if (this.#unknowing) {
      if (this.#attempts === 0) this.#unknowingUntilMs = nowMs + UNKNOWING_MS;
      this.limited = this.#running >= MOST_UNKNOWING;
    }
    return ++this.#attempts;
  }

  /** To be called with what came of `send`. */
  sent(one: Sent): void {
    one.before = this.#newest;
    if (this.#newest !== null) this.#newest.after = one;
    this.#newest = one;
  }

  get sentInput(): number {
    return this.#sentInput;
  }

  get sentTokens(): number {
    return this.#sentTokens;
  }

  /** The attempt has ended; `used` null: unknown, so what was likely counts. */
  settle(sent: Sent, need: Need, used: Used | null): void {
    this.#end(sent);
    // Counted by the provider while it is written; prompts are counted before the answer that tells what is left.
    this.told.output_tokens?.correct(-(used?.outputTokens ?? sent.output));
    if (used === null) return;
    note(this.#input, need.inputTokens, used.inputTokens);
    note(this.#output, need.outputTokens, used.outputTokens);
  }

  /** Nothing was sent. What was told since did not know of it either. */
  takeBack(sent: Sent): void {
    this.#end(sent);
    const amounts = { requests: 1, tokens: sent.input + sent.output, input_tokens: sent.input, output_tokens: 0 };
    for (const kind of limitKinds) {
      const told = this.told[kind];
      if (told !== null && told.asOf < sent.attempt) told.correct(amounts[kind]);
    }
  }

  /** `refusedForMs`: the provider refused for a limit and said for how long. Never throws, whatever the headers hold. */
  learn(sent: Sent, headers: Headers, refusedForMs: number | undefined, wallMs: number, nowMs: number): void {
    if (refusedForMs !== undefined) {
      this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + refusedForMs);
      this.#refusedAttempt = sent.attempt;
      this.limited = true;
    } else if (sent.attempt > this.#refusedAttempt) {
      this.#notBeforeMs = 0;
    }
    if (this.#unknowing) {
      this.#unknowing = false;
      this.limited = this.#notBeforeMs > nowMs;
    }
    const readings = readQuotaHeaders(headers, wallMs, this.#family);
    if (readings !== null) this.#adopt(readings, sent, nowMs);
    this.#answered(sent);
  }

  /** Answers overtake each other: a later question knows more. */
  #adopt({ family, kinds }: Readings, sent: Sent, nowMs: number): void {
    this.#family = family;
    this.limited = true;
    const isNewest = sent.attempt >= this.#asOf;
    if (isNewest) this.#asOf = sent.attempt;
    const overtaken = isNewest ? this.#overtaken(sent) : null;
    for (const kind of limitKinds) {
      const reading = kinds[kind];
      if (reading === undefined) continue;
      const told = (this.told[kind] ??= new ToldQuota());
      if (overtaken !== null) {
        told.tell(reading, this.#sentSince(kind, sent), aheadOf(kind, overtaken), sent.attempt, nowMs);
      } else if (sent.overtakenBy === told.asOf && reading.remaining >= told.wasTold) {
        // More was left at this one: the other answer knew of it after all.
        told.clear(amountOf(kind, sent));
      }
    }
  }

  /** What was told was about a key that is not asked any more. */
  forget(): void {
    this.#notBeforeMs = 0;
    for (const kind of limitKinds) this.told[kind] = null;
    this.limited = false;
  }

  #sentSince(kind: LimitKind, sent: Sent): number {
    switch (kind) {
      case "requests":
        return this.#attempts - sent.attempt;
      case "tokens":
        return this.#sentTokens - sent.sentTokens;
      case "input_tokens":
        return this.#sentInput - sent.sentInput;
      case "output_tokens":
        return 0;
    }
  }

  /** What was sent shortly before it and has no answer yet: the provider may not know of it. */
  #overtaken({ before, startedMs, attempt }: Sent): Ahead {
    const overtaken = { requests: 0, input: 0, output: 0 };
    for (let one = before; one !== null && one.startedMs >= startedMs - OVERTAKEN_MS; one = one.before) {
      one.overtakenBy = attempt;
      overtaken.requests++;
      overtaken.input += one.input;
      overtaken.output += one.output;
    }
    return overtaken;
  }

  #answered(sent: Sent): void {
    if (sent.answered) return;
    sent.answered = true;
    if (sent.before !== null) sent.before.after = sent.after;
    if (sent.after !== null) sent.after.before = sent.before;
    if (this.#newest === sent) this.#newest = sent.before;
    sent.before = null;
    sent.after = null;
  }

  #end(sent: Sent): void {
    this.#answered(sent);
    this.users--;
    this.#running--;
    this.#runningOutput -= sent.output;
  }
}

function amountOf(kind: LimitKind, { input, output }: Likely): number {
  switch (kind) {
    case "requests":
      return 1;
    case "tokens":
      return input + output;
    case "input_tokens":
      return input;
    case "output_tokens":
      return output;
  }
}

function aheadOf(kind: LimitKind, ahead: Ahead): number {
  return kind === "requests" ? ahead.requests : amountOf(kind, ahead);
}

function note(mean: { asked: number; used: number }, asked: number, used: number): void {
  if (!(asked > 0) || !(used >= 0) || !Number.isFinite(used)) return;
  mean.asked += NEWS * (asked - mean.asked);
  mean.used += NEWS * (Math.min(used, asked) - mean.used);
}
