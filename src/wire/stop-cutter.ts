// Stop sequences for servers whose dialect or model has none: the text ends here, before the first match.

import type { NeutralAnswer, NeutralEvent, StreamWriter, UpstreamFault } from "./neutral.ts";

/** Each sequence costs a comparison for every character: what is beyond these bounds is nothing that a client needs. */
const MAX_STOPS = 64;
const MAX_LENGTH = 1_000;

/** The sequences can be honoured here, whatever the server makes of them. */
export function canCut(stops: readonly string[]): boolean {
  return stops.length <= MAX_STOPS && stops.every((stop) => stop.length <= MAX_LENGTH);
}

/**
 * `writer`, which is told no text from the first of `stops` on. Text that may be the beginning of a sequence waits for
 * what follows it: at most one sequence less one character. What the upstream says after a match is left out, but for
 * its usage and its end. Stands between meter and client, so that what is left out is still counted.
 */
export function cutAtStops(writer: StreamWriter, stops: readonly string[]): StreamWriter {
  const search = searchFor(stops);
  return search === null ? writer : new StopCutter(writer, search);
}

/** An answer in one piece, cut in the same way. */
export function answerCutAtStops(answer: NeutralAnswer, stops: readonly string[]): NeutralAnswer {
  const search = searchFor(stops);
  if (search === null) return answer;
  for (let i = 0; i < answer.parts.length; i++) {
    const part = answer.parts[i];
    if (part?.type !== "text") continue;
    search.reset();
    const match = search.find(part.text);
    if (match === null) continue;
    const text = part.text.slice(0, match.end - match.stop.length);
    const parts = answer.parts.slice(0, i);
    if (text !== "") parts.push({ ...part, text });
    return { ...answer, parts, stop: "stop_sequence", stopSequence: match.stop };
  }
  return answer;
}

class StopCutter implements StreamWriter {
  readonly #writer: StreamWriter;
  readonly #search: Search;
  /** Text that is not yet given out. */
  #held = "";
  #matched: string | undefined;
  /** The reason to stop is given. */
  #told = false;

  constructor(writer: StreamWriter, search: Search) {
    this.#writer = writer;
    this.#search = search;
  }

  write(event: NeutralEvent): string {
    if (this.#matched !== undefined) return this.#afterMatch(event, this.#matched);
    if (event.type === "text") return this.#text(event.text);
    if (event.type === "usage" || event.type === "other") return this.#writer.write(event);
    // Whatever ends or interrupts the text: no sequence goes on behind it.
    return this.#flush() + this.#writer.write(event);
  }

  ping(): string {
    return this.#writer.ping();
  }

  /** Behind a match the client has all it asked for: a failure there is not its own. */
  fail(fault: UpstreamFault): string {
    if (this.#matched === undefined) return this.#flush() + this.#writer.fail(fault);
    return this.#stop(this.#matched) + this.#writer.write({ type: "end" });
  }

  #text(text: string): string {
    const match = this.#search.find(text);
    if (match !== null) {
      this.#matched = match.stop;
      const whole = this.#held + text;
      this.#held = "";
      return this.#give(whole.slice(0, whole.length - text.length + match.end - match.stop.length));
    }
    const open = this.#search.open;
    if (open === 0 && this.#held === "") return this.#writer.write({ type: "text", text });
    const whole = this.#held + text;
    this.#held = open === 0 ? "" : whole.slice(-open);
    return this.#give(whole.slice(0, whole.length - open));
  }

  #afterMatch(event: NeutralEvent, stopSequence: string): string {
    if (event.type === "stop") return this.#stop(stopSequence);
    if (event.type === "error") return this.fail(event.fault);
    // Some servers end without a reason.
    if (event.type === "end") return this.#stop(stopSequence) + this.#writer.write(event);
    return event.type === "usage" || event.type === "other" ? this.#writer.write(event) : "";
  }

  #stop(stopSequence: string): string {
    if (this.#told) return "";
    this.#told = true;
    return this.#writer.write({ type: "stop", reason: "stop_sequence", stopSequence });
  }

  #flush(): string {
    const text = this.#held;
    this.#held = "";
    this.#search.reset();
    return this.#give(text);
  }

  #give(text: string): string {
    return text === "" ? "" : this.#writer.write({ type: "text", text });
  }
}

interface Match {
  readonly stop: string;
  /** Index in the text last searched, behind the match. */
  readonly end: number;
}

function searchFor(stops: readonly string[]): Search | null {
  if (stops.length === 0) return null;
  const wanted = stops.filter((stop) => stop !== "" && stop.length <= MAX_LENGTH).slice(0, MAX_STOPS);
  return wanted.length === 0 ? null : new Search(wanted);
}

/** Finds the first of several texts in a text that comes in pieces, each character looked at once (Knuth, Morris, Pratt). */
class Search {
  readonly #stops: readonly string[];
  /** By sequence: where to go on after a mismatch behind so many characters. */
  readonly #fallbacks: readonly Uint16Array[];
  /** By sequence: how many of its characters the text ends with. */
  readonly #states: Uint16Array;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#fallbacks = stops.map(fallbacksOf);
    this.#states = new Uint16Array(stops.length);
  }

  /** Characters at the end of the text that may be the beginning of a sequence. */
  get open(): number {
    let most = 0;
    for (const state of this.#states) if (state > most) most = state;
    return most;
  }

  reset(): void {
    this.#states.fill(0);
  }

  /** The match that is complete first; of several the longest. */
  find(text: string): Match | null {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      let found: string | null = null;
      for (let i = 0; i < this.#stops.length; i++) {
        const stop = this.#stops[i]!;
        if (this.#step(i, stop, unit) && (found === null || stop.length > found.length)) found = stop;
      }
      if (found !== null) return { stop: found, end: at + 1 };
    }
    return null;
  }

  /** True where the sequence is complete. */
  #step(index: number, stop: string, unit: number): boolean {
    const fallbacks = this.#fallbacks[index]!;
    let state = this.#states[index]!;
    while (state > 0 && stop.charCodeAt(state) !== unit) state = fallbacks[state - 1]!;
    if (stop.charCodeAt(state) === unit) state++;
    this.#states[index] = state;
    return state === stop.length;
  }
}

function fallbacksOf(stop: string): Uint16Array {
  const fallbacks = new Uint16Array(stop.length);
  let state = 0;
  for (let at = 1; at < stop.length; at++) {
    while (state > 0 && stop[at] !== stop[state]) state = fallbacks[state - 1]!;
    if (stop[at] === stop[state]) state++;
    fallbacks[at] = state;
  }
  return fallbacks;
}
