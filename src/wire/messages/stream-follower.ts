import type { AnswerContext, Json, JsonObject, SseEvent, StreamFollower, StreamWriter } from "../neutral.ts";
import { isObject, wordOf } from "./request-fields.ts";
import { MessagesWriter } from "./stream-writer.ts";

/** Which block of a Messages stream is open. Deltas are not parsed: blocks begin and end by events of their own. */
export class MessagesFollower implements StreamFollower {
  readonly #open = new Map<number, string>();
  #next = 0;

  see(event: SseEvent): void {
    const { data } = event;
    // Inside a JSON string a quote is escaped, so these find the words as strings of their own.
    if (data.includes('"content_block_start"')) this.#start(parsed(data));
    else if (data.includes('"content_block_stop"')) this.#stop(parsed(data));
  }

  resume(context: AnswerContext): StreamWriter | null {
    const [first, ...others] = this.#open;
    if (first === undefined) return new MessagesWriter(context, { index: this.#next, open: null });
    const [index, kind] = first;
    if (others.length > 0 || index !== this.#next - 1 || (kind !== "text" && kind !== "thinking")) return null;
    return new MessagesWriter(context, { index, open: kind });
  }

  #start(data: JsonObject): void {
    const { index, content_block: block } = data;
    if (data["type"] !== "content_block_start" || typeof index !== "number") return;
    this.#open.set(index, isObject(block) ? wordOf(block["type"]) : "");
    this.#next = Math.max(this.#next, index + 1);
  }

  #stop(data: JsonObject): void {
    if (data["type"] === "content_block_stop" && typeof data["index"] === "number") this.#open.delete(data["index"]);
  }
}

function parsed(data: string): JsonObject {
  try {
    const value = JSON.parse(data) as Json;
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
