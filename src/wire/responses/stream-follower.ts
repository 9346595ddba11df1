import type { AnswerContext, JsonObject, NeutralEvent, SseEvent, StreamFollower, StreamWriter } from "../neutral.ts";
import { isObject, numberAt, objectAt, parseJson, stringAt } from "./json-fields.ts";
import { createWriter, type PartStage } from "./stream-writer.ts";

interface OpenItem {
  /** `message`, `reasoning`, or what nobody else can go on with. */
  readonly type: string;
  readonly id: string;
  text: string;
  part: PartStage;
  /** More than one part, or one of another kind than text. */
  odd: boolean;
}

/** Which items of a Responses stream are finished and which is open. Deltas are not parsed: the reader did that. */
export class ResponsesFollower implements StreamFollower {
  #created: string | undefined;
  readonly #output: JsonObject[] = [];
  readonly #open = new Map<number, OpenItem>();
  /** An item without a place: nothing can be put behind it. */
  #lost = false;

  see(event: SseEvent, events: readonly NeutralEvent[]): void {
    switch (typeOf(event)) {
      case "response.created":
        this.#created = event.data;
        return;
      case "response.output_item.added":
        return this.#added(event.data);
      case "response.output_item.done":
        return this.#done(event.data);
      case "response.content_part.added":
      case "response.reasoning_summary_part.added":
        return this.#partAdded(event.data);
      case "response.output_text.done":
      case "response.reasoning_summary_text.done":
        return this.#stage(event.data, "told");
      case "response.content_part.done":
      case "response.reasoning_summary_part.done":
        return this.#stage(event.data, "done");
      default:
        for (const one of events) this.#delta(one);
    }
  }

  resume(context: AnswerContext, sequence: number): StreamWriter | null {
    const [first, ...others] = this.#open;
    if (this.#lost || others.length > 0) return null;
    const created = this.#created === undefined ? undefined : parseJson(this.#created);
    const resumed = {
      response: isObject(created) ? objectAt(created, "response") : undefined,
      sequence,
      output: this.#output,
    };
    if (first === undefined) return createWriter(context, { ...resumed, open: undefined });
    const [index, { type, id, text, part, odd }] = first;
    if (odd || (type !== "message" && type !== "reasoning")) return null;
    return createWriter(context, { ...resumed, open: { kind: type, id, index, text, part } });
  }

  #added(data: string): void {
    const { index, item } = placed(data);
    if (index === undefined || item === undefined || index !== this.#output.length + this.#open.size) {
      this.#lost = true;
      return;
    }
    const id = stringAt(item, "id") ?? "";
    this.#open.set(index, { type: stringAt(item, "type") ?? "", id, text: "", part: "none", odd: false });
  }

  #done(data: string): void {
    const { index, item } = placed(data);
    if (index === undefined || item === undefined) return;
    this.#open.delete(index);
    this.#output[index] = item;
  }

  #partAdded(data: string): void {
    const open = this.#last();
    if (open === undefined) return;
    const type = stringAt(objectAt(parsed(data), "part") ?? {}, "type");
    if (open.part !== "none" || (type !== "output_text" && type !== "summary_text")) open.odd = true;
    open.part = "open";
  }

  #stage(data: string, part: PartStage): void {
    const index = numberAt(parsed(data), "output_index");
    const open = index === undefined ? this.#last() : this.#open.get(index);
    if (open !== undefined) open.part = part;
  }

  #delta(event: NeutralEvent): void {
    const open = this.#last();
    if (open === undefined) return;
    if (event.type === "text" && open.type === "message") open.text += event.text;
    else if (event.type === "thinking" && open.type === "reasoning") {
      // Reasoning that is shown as it is has parts of another kind.
      if (open.part !== "open") open.odd = true;
      open.text += event.text;
    } else if (event.type === "text" || event.type === "thinking" || event.type === "refusal") open.odd = true;
  }

  #last(): OpenItem | undefined {
    return [...this.#open.values()].at(-1);
  }
}

function typeOf({ event, data }: SseEvent): string {
  return event ?? /"type":\s*"(response\.[a-z_.]{1,60})"/.exec(data)?.[1] ?? "";
}

function placed(data: string): { index: number | undefined; item: JsonObject | undefined } {
  const object = parsed(data);
  return { index: numberAt(object, "output_index"), item: objectAt(object, "item") };
}

function parsed(data: string): JsonObject {
  const value = parseJson(data);
  return isObject(value) ? value : {};
}
