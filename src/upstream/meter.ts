import type { AttemptRecord } from "../request.ts";
import { mergeUsage, noUsage } from "../wire/messages/index.ts";
import type { NeutralEvent, Usage } from "../wire/neutral.ts";

/**
 * Bytes a token, on the dear side, for what no vendor counted: English lies at 4.5, code at 3.3, JSON at 2.2
 * (threat model, section 3.2).
 */
const bytesPerToken = 3;

export function countTokens(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken);
}

/** Counts one streamed answer as it passes, and keeps what the upstream says about it. */
export class Meter {
  /** UTF-8 bytes of model output seen: at least as many as tokens. */
  outputBytes = 0;
  model: string | undefined;
  stopped = false;
  ended = false;
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

  /** Output tokens so far, never below the truth: a token is at least one byte. */
  get outputBound(): number {
    return Math.max(this.outputBytes, this.#usage?.output ?? 0);
  }

  /** Writes what is known into the attempt: the upstream's own count where it is complete, else ours. */
  close(attempt: AttemptRecord, inputTokenBound: number): void {
    attempt.reportedModel = this.model ?? attempt.reportedModel;
    const complete = this.#final && (this.ended || this.stopped);
    recordUsage(attempt, this.#usage, complete, this.outputBytes, inputTokenBound);
  }

  /** Cumulative counters: the newest replaces, but a zero never replaces a count (some servers send zeros first or last). */
  #merge(news: Partial<Usage>): void {
    this.#usage ??= { ...noUsage };
    mergeUsage(this.#usage, news);
    if (this.stopped) this.#final = true;
  }
}

/** No tokeniser makes tokens this long of a whole answer: an output count below it is a lie or a running count. */
const maxBytesPerToken = 24;

/**
 * The upstream's own count where it is complete and can be true, else what it said filled up by our count of the bytes
 * that were seen.
 */
export function recordUsage(
  attempt: AttemptRecord,
  reported: Usage | null,
  complete: boolean,
  outputBytes: number,
  inputTokenBound: number,
): void {
  const known = reported ?? noUsage;
  const promptKnown = known.input + known.cacheRead + known.cacheWrite5m + known.cacheWrite1h > 0;
  if (complete && promptKnown && known.output * maxBytesPerToken >= outputBytes) {
    attempt.usage = known;
    attempt.usageSource = "upstream";
    return;
  }
  attempt.usage = {
    ...known,
    input: promptKnown ? known.input : countTokens(inputTokenBound),
    output: Math.max(known.output, countTokens(outputBytes)),
  };
  attempt.usageSource = "counted";
}
