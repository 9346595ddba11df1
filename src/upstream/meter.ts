import type { AttemptRecord, Keyed } from "../request.ts";
import type { NeutralEvent, Usage } from "../wire/neutral.ts";
import { mergeUsage, noUsage, outputTokens, promptTokens } from "../wire/usage.ts";

/**
 * Bytes a token, on the dear side, for what no vendor counted: English lies at 4.5, code at 3.3, JSON at 2.2
 * (threat model, section 3.2).
 */
const bytesPerToken = 3;

export function countTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken);
}

/** No reasoning model that does not show it writes faster; who shows what it thinks is counted by that. */
const unseenTokensPerSecond = 300;

/**
 * Tokens that may have been thought, and are billed, in the time before the first word of an answer that did not reach its
 * end: without them an agent whose client gives up on every answer would spend nothing. Never more than is paid for.
 */
export function unseenTokens({ request, candidate, allowance }: Keyed, ms: number): number {
  if (candidate.local || !(request.facts.hasThinking || candidate.hiddenReasoning)) return 0;
  return Math.min(Math.ceil((Math.max(0, ms) * unseenTokensPerSecond) / 1_000), allowance.outputTokens);
}

/** Counts one streamed answer as it passes, and keeps what the upstream says about it. */
export class Meter {
  /** UTF-8 bytes of model output seen: at least as many as tokens. */
  outputBytes = 0;
  model: string | undefined;
  stopped = false;
  ended = false;
  #id: string | undefined;
  #usage: Usage | null = null;
  /** Usage that came with or after the stop reason is final; what came before is a running count. */
  #final = false;

  see(event: NeutralEvent): void {
    switch (event.type) {
      case "text":
      case "refusal":
      case "thinking":
        this.outputBytes += Buffer.byteLength(event.text);
        break;
      case "tool_start":
        this.outputBytes += event.name.length;
        break;
      case "tool_delta":
        this.outputBytes += Buffer.byteLength(event.json);
        break;
      case "start":
        this.model = event.model;
        this.#id = event.id;
        break;
      case "usage":
        this.#merge(event.usage);
        break;
      case "stop":
        this.stopped = true;
        this.#final ||= this.#usage !== null && this.#usage.output > 0;
        break;
      case "end":
        this.ended = true;
        break;
      case "thinking_signature":
      case "redacted_thinking":
      case "tool_end":
      case "block_end":
      case "error":
      case "other":
        break;
    }
  }

  /** What the upstream has told so far of the prompt; null: nothing. */
  get prompt(): Usage | null {
    return this.#usage !== null && promptTokens(this.#usage) > 0 ? this.#usage : null;
  }

  /** Output tokens so far, never below the truth: a token is at least one byte. */
  get outputBound(): number {
    const told = this.#usage?.output ?? 0;
    return Math.max(this.outputBytes, told > mostOutputTokens ? 0 : told);
  }

  /** Writes what is known into the attempt: the upstream's own count where it is complete, else ours. */
  close(attempt: AttemptRecord, inputTokenBound: number, unseen = 0): void {
    attempt.reportedModel = this.model ?? attempt.reportedModel;
    recordGeneration(attempt, this.#id);
    const complete = this.#final && (this.ended || this.stopped);
    recordUsage(attempt, this.#usage, complete, this.outputBytes, inputTokenBound, unseen);
  }

  /** Cumulative counters: the newest replaces, but a zero never replaces a count (some servers send zeros first or last). */
  #merge(news: Partial<Usage>): void {
    this.#usage ??= { ...noUsage };
    mergeUsage(this.#usage, news);
    if (this.stopped) this.#final = true;
  }
}

/** OpenRouter's id of an answer: what a stream that broke off has cost can be asked for under it later. */
const generation = /^gen-[\x21-\x7e]{1,124}$/;

export function recordGeneration(attempt: AttemptRecord, id: string | undefined): void {
  if (attempt.upstreamId === undefined && id !== undefined && generation.test(id)) attempt.upstreamId = id;
}

/** No tokeniser makes tokens this long of a whole answer: an output count below it is a lie or a running count. */
const maxBytesPerToken = 24;
/** A short answer may be one long token: a line of dashes, a run of spaces. */
const longTokenBytes = 80;

function canBeTrue(tokens: number, seenBytes: number): boolean {
  return tokens === 0 ? seenBytes === 0 : tokens * maxBytesPerToken + longTokenBytes >= seenBytes;
}

/** No model writes more in one answer, unless it can be seen. */
const mostOutputTokens = 1_000_000;
/** The vendor reads a prompt once more for each model that it asks instead: three of them are let through. */
const mostReadings = 4;
/** What a vendor brings into a prompt by itself, beyond the bound of what was sent. */
const mostAddedTokens = 200_000;

/** So large that it is no bill: taken as one it would use up an agent's budget for months. */
export function isAbsurd(usage: Usage, seenBytes: number, inputTokenBound: number): boolean {
  const output = Math.max(outputTokens(usage), usage.reasoning);
  if (output > Math.max(mostOutputTokens, seenBytes)) return true;
  return promptTokens(usage) > inputTokenBound * mostReadings + mostAddedTokens;
}

/**
 * The upstream's own count where it is complete and can be true, else what it said filled up by our count of the bytes
 * that were seen and the tokens that were not (`unseenTokens`).
 */
export function recordUsage(
  attempt: AttemptRecord,
  reported: Usage | null,
  complete: boolean,
  outputBytes: number,
  inputTokenBound: number,
  unseen = 0,
): void {
  const known = reported === null || isAbsurd(reported, outputBytes, inputTokenBound) ? noUsage : reported;
  const promptKnown = promptTokens(known) > 0;
  if (known.lifetimeUnknown === true) attempt.note ??= "cache writes of unknown lifetime count as five-minute ones";
  if (known.credit !== undefined) attempt.note ??= `fallback credit: ${known.credit}`;
  if (complete && promptKnown && canBeTrue(outputTokens(known), outputBytes)) {
    attempt.usage = known;
    attempt.usageSource = "upstream";
    return;
  }
  attempt.usage = {
    ...known,
    input: promptKnown ? known.input : countTokens(inputTokenBound),
    output: Math.max(known.output, countTokens(outputBytes) + unseen),
  };
  attempt.usageSource = "counted";
}
