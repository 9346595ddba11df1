// Neutral events to a stream of the Chat dialect (wire.md G): the role first, one finish reason, the usage chunk only
// where it was asked for, `[DONE]` last.

import { sseErrorEvent } from "../errors.ts";
import { ToolIds } from "../messages/tool-ids.ts";
import { clientToolOf } from "../messages/tool-names.ts";
import { mergeUsage, noUsage } from "../messages/usage.ts";
import type { AnswerContext, JsonObject, NeutralEvent, StopReason, StreamWriter, UpstreamFault } from "../neutral.ts";
import { comment, formatEvent } from "../sse.ts";
import { customInput } from "./answer.ts";
import { toChatFinish } from "./finish-reasons.ts";
import { parseArguments } from "./tool-arguments.ts";
import { toChatUsage } from "./usage.ts";

/** Characters of a custom tool's input that may be kept until it is complete. */
const MAX_HELD = 8 * 1024 * 1024;

/** A custom tool's arguments are an object around the free text, so they must be whole before they can be shown. */
interface CustomCall {
  readonly index: number;
  json: string;
}

export class ChatWriter implements StreamWriter {
  readonly #context: AnswerContext;
  readonly #ids: ToolIds;
  readonly #usage = { ...noUsage };
  /** All chunks of an answer begin and end alike. */
  readonly #head: string;
  readonly #tail: string;
  readonly #custom = new Map<number, CustomCall>();
  /** Position in the client's answer by the event's index. */
  readonly #calls = new Map<number, number>();
  #started = false;
  #stopped = false;
  #finished = false;

  constructor(context: AnswerContext) {
    this.#context = context;
    this.#ids = new ToolIds(`call_${context.id}`);
    const id = JSON.stringify(`chatcmpl-${context.id}`);
    const model = JSON.stringify(context.model);
    this.#head = `{"id":${id},"object":"chat.completion.chunk","created":${context.createdAt},"model":${model},"choices":[`;
    this.#tail = context.includeUsage ? '],"usage":null}' : "]}";
  }

  write(event: NeutralEvent): string {
    if (this.#finished) return "";
    switch (event.type) {
      case "usage":
        mergeUsage(this.#usage, event.usage);
        return "";
      case "error":
        return this.fail(event.fault);
      case "start":
        return this.#begin();
      case "text":
        return event.text === "" ? "" : this.#delta(`{"content":${JSON.stringify(event.text)}}`);
      case "thinking":
        return event.text === "" ? "" : this.#delta(`{"reasoning_content":${JSON.stringify(event.text)}}`);
      case "refusal":
        return event.text === "" ? "" : this.#delta(`{"refusal":${JSON.stringify(event.text)}}`);
      case "tool_start":
        return this.#toolStart(event);
      case "tool_delta":
        return this.#toolDelta(event.index, event.json);
      case "tool_end":
        return this.#toolEnd(event.index);
      case "stop":
        return this.#stop(event.reason);
      case "end":
        return this.#end();
      case "thinking_signature":
      case "redacted_thinking":
      case "block_end":
      case "other":
      // Signatures and sealed thinking have no place in this dialect, and neither have blocks.
      default:
        return "";
    }
  }

  /** An event would reach the user of some clients; a comment reaches nobody. */
  ping(): string {
    return this.#finished ? "" : comment("ping");
  }

  fail(fault: UpstreamFault): string {
    if (this.#finished) return "";
    this.#finished = true;
    return sseErrorEvent("chat", fault);
  }

  #begin(): string {
    if (this.#started) return "";
    this.#started = true;
    return this.#chunk('{"role":"assistant","content":""}', "null");
  }

  #delta(json: string): string {
    return this.#begin() + this.#chunk(json, "null");
  }

  #chunk(delta: string, finish: string): string {
    const choice = `{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}`;
    return formatEvent(undefined, this.#head + choice + this.#tail);
  }

  /** `index` counts tool calls, not blocks. */
  #toolStart(event: Extract<NeutralEvent, { type: "tool_start" }>): string {
    if (this.#calls.has(event.index)) return "";
    const { name, form } = clientToolOf(this.#context.request, event.name);
    const position = this.#calls.size;
    const call: JsonObject = { index: position, id: this.#ids.take(event.id, event.index) };
    if (form === "custom") {
      this.#custom.set(event.index, { index: position, json: "" });
      Object.assign(call, { type: "custom", custom: { name, input: "" } });
    } else {
      Object.assign(call, { type: "function", function: { name, arguments: "" } });
    }
    this.#calls.set(event.index, position);
    return this.#delta(JSON.stringify({ tool_calls: [call] }));
  }

  #toolDelta(index: number, json: string): string {
    const position = this.#calls.get(index);
    if (json === "" || position === undefined) return "";
    const custom = this.#custom.get(index);
    if (custom === undefined) {
      return this.#delta(`{"tool_calls":[{"index":${position},"function":{"arguments":${JSON.stringify(json)}}}]}`);
    }
    if (custom.json.length < MAX_HELD) custom.json += json;
    return "";
  }

  #toolEnd(index: number): string {
    const custom = this.#custom.get(index);
    if (custom === undefined) return "";
    this.#custom.delete(index);
    const input = customInput(parseArguments(custom.json), custom.json);
    const call = { index: custom.index, custom: { input } };
    return this.#delta(JSON.stringify({ tool_calls: [call] }));
  }

  #stop(reason: StopReason): string {
    if (this.#stopped) return "";
    let out = this.#begin();
    for (const index of this.#custom.keys()) out += this.#toolEnd(index);
    this.#stopped = true;
    return out + this.#chunk("{}", JSON.stringify(toChatFinish(reason, this.#calls.size > 0)));
  }

  #end(): string {
    const finish = this.#stop("end");
    this.#finished = true;
    return finish + this.#usageChunk() + formatEvent(undefined, "[DONE]");
  }

  #usageChunk(): string {
    if (!this.#context.includeUsage) return "";
    return formatEvent(undefined, `${this.#head}],"usage":${JSON.stringify(toChatUsage(this.#usage))}}`);
  }
}
