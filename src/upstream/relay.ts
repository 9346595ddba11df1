// One streamed answer on its way from the upstream to the client: held back until the first real content, then passed on
// chunk by chunk, measured, and closed exactly once.

import { AttemptError } from "../errors.ts";
import type { AttemptOutcome, Finish, Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import { classifyFailure } from "../wire/failure-table.ts";
import { isContent } from "../wire/is-content.ts";
import { lastEvent } from "../wire/last-event.ts";
import type { NeutralEvent, SseEvent, UpstreamFault } from "../wire/neutral.ts";
import { SseLimitError, SseParser } from "../wire/sse.ts";
import { noUsage } from "../wire/usage.ts";
import type { Deadline } from "./deadline.ts";
import { callsShown, cut, failed, isDeath, overBudget, type Death } from "./death.ts";
import { DeltaScrubber, type Scrubbed } from "./delta-scrubber.ts";
import { failureOf } from "./dispatch.ts";
import { isAbsurd, Meter, unseenTokens } from "./meter.ts";
import { oversizeNote, StreamBound } from "./stream-bound.ts";
import type { Rendering, Standing } from "./rendering.ts";
import { Successor } from "./successor.ts";

export interface RelayParts {
  readonly keyed: Keyed;
  readonly deadline: Deadline;
  readonly rendering: Rendering;
  readonly clock: Clock;
  /** Takes keys out of an upstream's error text. */
  readonly redact: (text: string) => string;
  /** When the request went out, monotonic: waiting for its turn is no silence of the upstream. */
  readonly sentAt: number;
  /** The client hears something at least this often while the answer is under way. */
  readonly keepAliveMs: number;
  readonly source: Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;
}

/** Before commit at most this much is held back. */
const maxHeldBackChars = 256 * 1024;
/** Behind the terminal event only the end of the body can come: waited for so long, so that the connection is kept for reuse. */
const endGraceMs = 250;
/** A client that reads nothing for so long does not come back: its hold is settled and its connection broken off. */
const maxPauseMs = 600_000;
/** An answer that is put together here before it is shown. */
const maxWholeBytes = 64 * 1024 * 1024;
const encoder = new TextEncoder();

export class StreamRelay {
  readonly finished: Promise<Finish>;
  readonly #parts: RelayParts;
  readonly #parser = new SseParser();
  readonly #meter = new Meter();
  readonly #bound: StreamBound;
  readonly #deltas: DeltaScrubber | null;
  readonly #finish: (finish: Finish) => void;
  /** When the model began to answer, monotonic, though nothing of it may be shown yet; null: not by now. */
  #begunAt: number | null = null;
  #contentSeen = false;
  #closed = false;
  /** How it ended; null: it has not. */
  #outcome: Finish["outcome"] | null = null;
  #sourceDone = false;
  #fault: UpstreamFault | null = null;
  /** The event that told of it after the commit: not shown before it is known that nobody goes on. */
  #told: Death["told"];
  /** Content came that is not shown yet: a call that waits. */
  #contentWaits = false;
  /** Who goes on with the answer. */
  #successor: Successor | null = null;
  #overCap = false;
  #promptTold = false;
  #usefulAt: number;
  /** Since when the client has not asked for more; null while the upstream is being read for it. */
  #pausedAt: number | null = null;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #writtenAt: number;
  #bytesOut = 0;

  constructor(parts: RelayParts) {
    this.#parts = parts;
    const { scrubber } = parts.keyed;
    this.#bound = new StreamBound(parts.keyed);
    this.#deltas = scrubber === null ? null : new DeltaScrubber(scrubber);
    const { promise, resolve } = Promise.withResolvers<Finish>();
    this.finished = promise;
    this.#finish = resolve;
    this.#usefulAt = parts.clock.monotonic();
    this.#writtenAt = this.#usefulAt;
  }

  /**
   * Reads until the first content and returns what is to be sent by then. Throws AttemptError where the stream fails
   * before: the client has seen nothing, so another candidate can still answer.
   */
  async firstContent(): Promise<string> {
    const { keyed, deadline, clock } = this.#parts;
    const { timeouts } = keyed.candidate.provider;
    const elapsedMs = clock.monotonic() - this.#parts.sentAt;
    deadline.arm("timeout_first_content", Math.max(1, timeouts.firstContentMs - elapsedMs));
    let held = "";
    try {
      while (!this.#contentSeen && held.length < maxHeldBackChars) {
        const begunAt = this.#begunAt;
        held += await this.#step();
        // A long tool call is held back to its end: from its first word on only silence counts.
        if (this.#begunAt !== begunAt) this.#watchIdle();
        if (this.#fault !== null)
          throw new AttemptError("error_event", { billed: "unknown", status: this.#fault.status, fault: this.#fault });
        const over = (this.#sourceDone || this.#meter.ended) && !this.#contentSeen;
        if (over && this.#parts.rendering.isAnswered?.() === true) this.#contentSeen = true;
        else if (over) {
          throw new AttemptError("cut_stream", { billed: "unknown", note: "the answer ended before any content" });
        }
      }
    } catch (error) {
      this.#abandon();
      throw error instanceof AttemptError ? error : brokenBefore(error, deadline);
    }
    keyed.attempt.ttftMs = clock.monotonic() - keyed.attempt.startedAt;
    this.#pausedAt = clock.monotonic();
    this.#writtenAt = this.#pausedAt;
    this.#watchIdle();
    return held;
  }

  /** The body for the client: pulls from the upstream only as fast as the client reads. */
  body(held: string): ReadableStream<Uint8Array> {
    // A pull that brings nothing would never be repeated.
    let first: string | null = held === "" ? null : held;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: async (controller) => {
          const text = this.#successor === null ? (first ?? (await this.#nextText())) : "";
          first = null;
          if (text !== "") this.#enqueue(controller, text);
          this.#tellEnd();
          if (this.#successor !== null) return text === "" ? this.#successor.pull(controller) : undefined;
          if (this.#closed || (this.#sourceDone && text === "")) controller.close();
        },
        cancel: () => {
          if (this.#successor === null) this.#clientLeft();
          else this.#successor.cancel();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * Reads to the end and shows nothing: `rendering` keeps the answer. Throws AttemptError where the stream fails, however
   * late: nobody has seen any of it, so another candidate can still answer.
   */
  async readToEnd(): Promise<void> {
    await this.firstContent();
    this.#resume();
    try {
      while (!this.#sourceDone && !this.#meter.ended && this.#fault === null && !this.#unpaid) {
        await this.#step();
        if (this.#meter.outputBytes > maxWholeBytes) throw new SseLimitError(maxWholeBytes);
      }
      this.#finishUnseen();
    } catch (error) {
      this.#broken(error);
    }
    this.#tellEnd();
    const { outcome } = await this.finished;
    if (outcome === "ok") return;
    const { attempt } = this.#parts.keyed;
    throw new AttemptError(attempt.outcome ?? "cut_stream", {
      // We cut it ourselves: it is nobody's failure.
      ...(outcome === "refused_budget" && { failure: ownDoing }),
      billed: "unknown",
      status: this.#fault?.status ?? 0,
      note: attempt.note ?? undefined,
    });
  }

  #finishUnseen(): void {
    if (this.#unpaid) this.#dies(overBudget);
    else if (this.#fault !== null) this.#dies({ ...failed, fault: this.#fault });
    else if (this.#meter.ended) this.#close("ok", null, "ok");
    else this.#end();
  }

  #enqueue(controller: ReadableStreamDefaultController<Uint8Array>, text: string): void {
    const bytes = encoder.encode(text);
    this.#bytesOut += bytes.byteLength;
    controller.enqueue(bytes);
  }

  /** What is rendered is whole events, so that whatever the timer adds stands between two of them. */
  #beat(): number {
    const { clock, keepAliveMs, rendering } = this.#parts;
    const controller = this.#controller;
    if (controller === null || this.#pausedAt !== null || this.#closed) return keepAliveMs;
    const now = clock.monotonic();
    const leftMs = keepAliveMs - (now - this.#writtenAt);
    if (leftMs > 0) return leftMs;
    // Something unread stands in the queue: the client is slow, not in doubt.
    const text = controller.desiredSize === 0 ? rendering.ping() : "";
    if (text !== "") this.#enqueue(controller, text);
    this.#writtenAt = now;
    return keepAliveMs;
  }

  async #nextText(): Promise<string> {
    let text = "";
    this.#resume();
    try {
      while (text === "" && !this.#sourceDone && this.#fault === null && !this.#unpaid) {
        text += await this.#step();
      }
    } catch (error) {
      return text + this.#broken(error);
    }
    this.#pausedAt = this.#parts.clock.monotonic();
    this.#writtenAt = this.#pausedAt;
    if (this.#unpaid) return text + this.#dies(overBudget);
    if (this.#fault !== null) return text + this.#dies({ ...failed, fault: this.#fault, told: this.#told });
    if (this.#sourceDone) return text + this.#end();
    return text;
  }

  /** The reason to stop was given; of several answers in one stream (`n`) the first one's says nothing about the others. */
  get #complete(): boolean {
    return this.#meter.ended || (this.#meter.stopped && this.#parts.keyed.request.facts.choices === 1);
  }

  /** A complete answer is not spoiled: nothing more is generated, so that no money would be saved. */
  get #unpaid(): boolean {
    return this.#overCap && !this.#complete;
  }

  /** The time in which the client did not read is no silence of the upstream. */
  #resume(): void {
    const { clock, deadline } = this.#parts;
    if (this.#pausedAt !== null) this.#usefulAt += clock.monotonic() - this.#pausedAt;
    this.#pausedAt = null;
    if (this.#meter.ended) deadline.arm("timeout_idle", endGraceMs);
  }

  /** Reads one chunk; returns what it means for the client. */
  async #step(): Promise<string> {
    const { source } = this.#parts;
    const { done, value } = await source.read();
    if (done) {
      this.#sourceDone = true;
      const tail = this.#parser.end();
      const last = tail === null ? null : lastEvent(this.#parts.keyed.candidate.dialect, tail);
      return last === null || this.#meter.ended || this.#fault !== null ? "" : this.#clean(this.#take(last));
    }
    let text = "";
    const events = this.#parser.push(value);
    this.#bound.count(value.byteLength, events.length);
    for (const event of events) {
      // After the terminal event nothing may follow, whatever the upstream sends.
      if (this.#meter.ended || this.#fault !== null) break;
      text += this.#take(event);
    }
    return this.#clean(text);
  }

  /** What leaves holds whole events: no key goes across their ends but the one that deltas spell, which was seen before. */
  #clean(text: string): string {
    const { scrubber } = this.#parts.keyed;
    return scrubber === null || text === "" ? text : scrubber.clean(text);
  }

  #take(event: SseEvent): string {
    const { rendering, keyed, clock } = this.#parts;
    const events = rendering.read(event);
    // The answer is all there: what fails behind it takes nothing of it.
    if (this.#complete && events.some((one) => one.type === "error")) return "";
    let useful = false;
    for (const one of events) {
      this.#meter.see(one);
      if (one.type === "error") this.#fault = one.fault;
      else if (isUseful(one)) useful = true;
      if (isContent(one)) this.#begunAt ??= clock.monotonic();
    }
    const shown = rendering.release?.(events) ?? events;
    for (const one of shown) {
      if (one.type === "error") this.#fault ??= one.fault;
      else if (isContent(one)) this.#contentWaits = true;
    }
    if (useful) this.#usefulAt = clock.monotonic();
    // An error is not shown while somebody else may still answer, or go on.
    if (this.#fault !== null) {
      this.#told = { event, events: shown };
      return "";
    }
    this.#tellPrompt();
    if (!keyed.allowance.draw(this.#meter.outputBound)) this.#overCap = true;
    const scrubbed = this.#deltas?.push(event, shown) ?? null;
    const text = scrubbed === null ? rendering.render(event, shown) : this.#rendered(scrubbed);
    if (this.#contentWaits && rendering.waits?.() !== true) this.#contentSeen = true;
    return text;
  }

  #rendered(scrubbed: readonly Scrubbed[]): string {
    let text = "";
    for (const { event, events } of scrubbed) {
      if (event !== null) text += this.#parts.rendering.render(event, events);
    }
    return text;
  }

  /** What was held back because a key may have begun there: nothing follows any more. */
  #heldBack(): string {
    return this.#clean(this.#rendered(this.#deltas?.flush() ?? []));
  }

  /** Once: what comes later are running totals of the same prompt. */
  #tellPrompt(): void {
    if (this.#promptTold) return;
    const { prompt } = this.#meter;
    if (prompt === null) return;
    this.#promptTold = true;
    const { allowance, request } = this.#parts.keyed;
    // A lie about it must not cut a sound answer.
    if (!isAbsurd(prompt, this.#meter.outputBytes, request.facts.inputTokenBound)) allowance.learnPrompt(prompt);
  }

  /** One timer a stream, re-armed by what is left: no timer per chunk. */
  #watchIdle(): void {
    const { deadline, keyed, clock } = this.#parts;
    const idleMs = (): number => {
      const now = clock.monotonic();
      if (this.#pausedAt === null) return now - this.#usefulAt;
      if (now - this.#pausedAt < maxPauseMs) return 0;
      this.#clientLeft();
      this.#controller?.error(new Error("the client does not read"));
      return Infinity;
    };
    deadline.watch("timeout_idle", keyed.candidate.provider.timeouts.idleMs, idleMs, () => this.#beat());
  }

  /** The upstream's body ended. */
  #end(): string {
    if (this.#closed) return "";
    const { rendering } = this.#parts;
    const held = this.#heldBack();
    if (this.#meter.ended) {
      this.#close("ok", null, "ok");
      return held;
    }
    if (this.#complete) {
      const text = held + this.#clean(rendering.terminal());
      this.#close("ok", null, "ok");
      return text;
    }
    return held + this.#dies(cut);
  }

  #broken(error: unknown): string {
    const { deadline } = this.#parts;
    if (deadline.clientGone) {
      this.#clientLeft();
      return "";
    }
    // The reason to stop was given: a connection that breaks behind it loses nothing.
    if (this.#complete) return this.#end();
    const oversize = oversizeNote(error);
    if (oversize !== null) return this.#dies({ ...cut, note: oversize });
    return this.#dies({ ...cut, outcome: deadline.expired ?? "cut_stream" });
  }

  /**
   * The answer is not complete and this upstream brings no more of it. Returns what the client is told at once: the rest
   * comes from whoever goes on, or is the failure.
   */
  #dies(death: Death): string {
    if (this.#closed) return "";
    const held = this.#heldBack();
    const standing = this.#standing(death);
    if (standing === null) {
      const text = this.#failure(death);
      this.#close(death.outcome, death.note, death.end);
      return held + text;
    }
    const { shown, writer } = standing;
    // The client runs the calls that it has, and comes back with what they gave: who went on would call again.
    const finished = shown.calls > 0;
    this.#close(death.outcome, finished ? callsShown(death) : death.note, finished ? "ok" : death.end);
    const usage = this.#parts.keyed.attempt.usage ?? noUsage;
    if (finished) {
      const events: NeutralEvent[] = [
        { type: "usage", usage },
        { type: "stop", reason: "tool_calls", stopSequence: undefined },
        { type: "end" },
      ];
      return held + events.map((event) => writer.write(event)).join("");
    }
    const { handOver } = this.#parts.keyed;
    this.#successor = new Successor({
      answer: handOver!.carryOn({ text: shown.text, open: shown.open, writer, usage }),
      fail: () => (death.told === undefined ? this.#redacted(writer.fail(death.fault)) : this.#failure(death)),
      ping: () => writer.ping(),
      keepAliveMs: this.#parts.keepAliveMs,
      wrote: (bytes) => handOver!.wrote(bytes),
    });
    return held;
  }

  #standing(death: Death): Standing | null {
    const { handOver, request } = this.#parts.keyed;
    if (handOver === undefined || !isDeath(death.fault)) return null;
    if (death === overBudget && request.agent.overBudget === "refuse") return null;
    const standing = this.#parts.rendering.standing?.() ?? null;
    if (standing === null || standing.shown.refused) return null;
    // Two halves of a JSON text from two models are none.
    return request.facts.hasJsonFormat && standing.shown.text !== "" ? null : standing;
  }

  /** The upstream's own words where it told its failure in the client's dialect. */
  #failure({ fault, told }: Death): string {
    const { rendering } = this.#parts;
    return this.#redacted(told === undefined ? rendering.fail(fault) : rendering.render(told.event, told.events));
  }

  #redacted(text: string): string {
    return this.#parts.redact(this.#clean(text));
  }

  /** Who has the terminal event has the answer: Codex hangs up on it, without waiting for the end of the body. */
  #clientLeft(): void {
    const outcome = this.#meter.ended ? "ok" : "client_gone";
    this.#close(outcome, null, outcome);
    this.#tellEnd();
  }

  /** After the last bytes, so that they are counted. */
  #tellEnd(): void {
    if (this.#outcome !== null) this.#finish({ outcome: this.#outcome, bytesOut: this.#bytesOut });
  }

  #close(outcome: AttemptOutcome, note: string | null, end: Finish["outcome"]): void {
    if (this.#closed) return;
    const { attempt, request } = this.#parts.keyed;
    attempt.outcome = outcome;
    attempt.status = 200;
    if (note !== null) attempt.note = note;
    attempt.ms = this.#parts.clock.monotonic() - attempt.startedAt;
    this.#meter.close(attempt, request.facts.inputTokenBound, this.#unseen());
    this.#release();
    this.#outcome = end;
  }

  /** Nothing was shown: what the upstream worked on is charged as counted, and its call is ended. */
  #abandon(): void {
    const { attempt, request } = this.#parts.keyed;
    this.#meter.close(attempt, request.facts.inputTokenBound, this.#unseen());
    this.#release();
  }

  /** An upstream that tells of its own failure sends no bill for what it did not say. */
  #unseen(): number {
    const { clock, keyed, sentAt } = this.#parts;
    return this.#fault !== null ? 0 : unseenTokens(keyed, (this.#begunAt ?? clock.monotonic()) - sentAt);
  }

  #release(): void {
    this.#closed = true;
    const { deadline, source } = this.#parts;
    deadline.close();
    deadline.abort();
    // The call is over either way; a failing cancel has nobody to tell.
    source.cancel().catch(() => undefined);
  }
}

/** Nobody has seen anything yet. */
function brokenBefore(error: unknown, deadline: Deadline): AttemptError {
  const note = oversizeNote(error);
  return note === null ? failureOf(error, deadline) : new AttemptError("cut_stream", { billed: "unknown", note });
}

/** The answer gets on: empty pieces and sums of tokens come from a model that is stuck, too. */
function isUseful(event: NeutralEvent): boolean {
  if (event.type === "tool_delta") return event.json !== "";
  if (event.type === "text" || event.type === "refusal" || event.type === "thinking") return event.text !== "";
  return event.type !== "usage" && event.type !== "error" && event.type !== "other";
}

const ownDoing = classifyFailure({ outcome: "client_gone", status: 0 });
