// How the events of an upstream become the rest of an answer that another one began.

import { AttemptError } from "../errors.ts";
import type { BegunAnswer, Keyed } from "../request.ts";
import type { Joint } from "../wire/joint.ts";
import type { Codec, NeutralEvent } from "../wire/neutral.ts";
import type { ToolHold } from "../wire/tool-hold.ts";
import { countTokens } from "./meter.ts";
import { isContent } from "../wire/is-content.ts";
import type { Rendering } from "./rendering.ts";
import { toldFault } from "./told-fault.ts";

interface CarryingOn {
  readonly keyed: Keyed;
  readonly begun: BegunAnswer;
  readonly upstream: Codec;
  /** Null: no text was shown by now. */
  readonly joint: Joint | null;
  readonly hold: ToolHold;
  /** The model writes on behind the text by itself, so that its silence says that nothing is missing. */
  readonly prefilled: boolean;
}

/**
 * Behind the text that was shown, in the client's dialect, with the writer that stands there. What is thought on the way is
 * not shown; the counts are those of both. The writer is not touched before there is an answer: where this one fails, the
 * next one gets it as it was.
 */
export class CarryingOnRendering implements Rendering {
  readonly #parts: CarryingOn;
  readonly #reader: ReturnType<Codec["createReader"]>;
  /** Events that nobody has seen; null from the first content on. */
  #waiting: NeutralEvent[] | null = [];
  #stopped = false;
  #counted = false;
  #bytes = 0;

  constructor(parts: CarryingOn) {
    this.#parts = parts;
    this.#reader = parts.upstream.createReader();
  }

  read(event: Parameters<Rendering["read"]>[0]): NeutralEvent[] {
    return this.#reader.read(event);
  }

  /** Throws AttemptError where the model does not go on but starts over. */
  release(events: readonly NeutralEvent[]): readonly NeutralEvent[] {
    const { hold, joint } = this.#parts;
    const shown: NeutralEvent[] = [];
    for (const event of hold.release(events)) {
      if (event.type === "stop") this.#stopped = event.reason === "end";
      if (isThought(event)) continue;
      if (joint !== null && event.type === "text") pushText(shown, joint.push(event.text));
      else {
        if (joint !== null && endsText(event)) pushText(shown, joint.flush());
        shown.push(event);
      }
    }
    if (joint?.startedOver === true) {
      throw new AttemptError("error_event", { billed: "unknown", note: "it started the answer over" });
    }
    return shown;
  }

  render(_: unknown, events: readonly NeutralEvent[]): string {
    if (this.#waiting === null) return this.#write(events);
    this.#waiting.push(...events);
    const over = events.some(({ type }) => type === "end") && this.isAnswered();
    if (!over && !events.some(isContent)) return "";
    const waiting = this.#waiting;
    this.#waiting = null;
    return this.#write([{ type: "usage", usage: this.#parts.begun.usage }, ...waiting]);
  }

  terminal(): string {
    return this.render(undefined, this.release([{ type: "end" }]));
  }

  ping(): string {
    return this.#parts.begun.writer.ping();
  }

  fail(fault: Parameters<Rendering["fail"]>[0]): string {
    return this.#parts.begun.writer.fail(fault);
  }

  /** All that it had to say was there already, or it says that nothing is missing. */
  isAnswered(): boolean {
    const { joint, begun, prefilled } = this.#parts;
    if (!this.#stopped || joint === null) return false;
    return joint.heard || !begun.open || (prefilled && looksFinished(begun.text));
  }

  #write(events: readonly NeutralEvent[]): string {
    const { begun, keyed } = this.#parts;
    let text = "";
    for (const event of events) {
      if (event.type === "text") this.#bytes += Buffer.byteLength(event.text);
      // Clients are told what it was by our own count where the server told none.
      if (event.type === "end" && !this.#counted) text += begun.writer.write(this.#usage(countTokens(this.#bytes)));
      if (event.type === "error") text += begun.writer.fail(toldFault(keyed, event.fault));
      else text += begun.writer.write(event.type === "usage" ? this.#both(event) : event);
    }
    return text;
  }

  #both(event: Extract<NeutralEvent, { type: "usage" }>): NeutralEvent {
    const { usage } = this.#parts.begun;
    if (event.usage === usage) return event;
    const { output = 0 } = event.usage;
    this.#counted ||= output > 0;
    return this.#usage(output);
  }

  #usage(output: number): NeutralEvent {
    const { usage } = this.#parts.begun;
    return { type: "usage", usage: { ...usage, output: usage.output + output } };
  }
}

function isThought({ type }: NeutralEvent): boolean {
  return type === "thinking" || type === "thinking_signature" || type === "redacted_thinking";
}

function endsText({ type }: NeutralEvent): boolean {
  return type !== "usage" && type !== "other" && type !== "start";
}

function pushText(events: NeutralEvent[], text: string): void {
  if (text !== "") events.push({ type: "text", text });
}

/** Sentences, lists of code and quotations end so; what ends in the middle of a word is not finished, whatever a model says. */
function looksFinished(text: string): boolean {
  return /[.!?…。！？:;)\]}"'»”`*|]\s*$/u.test(text);
}
