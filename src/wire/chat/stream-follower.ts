import { isObject } from "../messages/request-fields.ts";
import type { AnswerContext, Json, SseEvent, StreamFollower, StreamWriter } from "../neutral.ts";
import { ChatWriter, type ResumedCompletion } from "./stream-writer.ts";

/** Under which name a Chat stream goes: its first chunk tells. This dialect has no blocks that could be open. */
export class ChatFollower implements StreamFollower {
  #first: ResumedCompletion | null = null;

  see({ data }: SseEvent): void {
    if (this.#first !== null || !data.startsWith("{")) return;
    let chunk: Json;
    try {
      chunk = JSON.parse(data) as Json;
    } catch {
      return;
    }
    if (!isObject(chunk)) return;
    const { id, created } = chunk;
    this.#first = {
      id: typeof id === "string" && id !== "" ? id : undefined,
      created: typeof created === "number" ? created : undefined,
    };
  }

  resume(context: AnswerContext): StreamWriter {
    return new ChatWriter(context, this.#first ?? { id: undefined, created: undefined });
  }
}
