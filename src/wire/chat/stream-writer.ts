// Neutral events to a stream of the Chat dialect (wire.md G): the role first, one finish reason, the usage chunk only
// where it was asked for, `[DONE]` last.

import { sseErrorEvent } from "../errors.ts";
import { ToolIds } from "../messages/tool-ids.ts";
import { clientToolOf } from "../messages/tool-names.ts";
import { mergeUsage, noUsage } from "../usage.ts";
import type { AnswerContext, JsonObject, NeutralEvent, StopReason, StreamWriter, UpstreamFault } from "../neutral.ts";
import { comment, formatEvent } from "../sse.ts";
import { customInput } from "./answer.ts";
import { toChatFinish } from "./finish-reasons.ts";
import { parseArguments } from "./tool-arguments.ts";
import { toChatUsage } from "./usage.ts";

/** Characters of a custom tool's input that may be kept until it is complete. */
const MAX_HELD = 8 * 1024 * 1024;

interface Call {
  /** Its place in the client's answer. */
  readonly position: number;
  /** A custom tool's arguments are an object around the free text, so they must be whole before they can be shown. */
  readonly custom: boolean;
  /** Arguments so far, of a custom tool; of others only whether there were any. */
  json: string;
  ended: boolean;
}

/** What all chunks of an answer share that another upstream began. */
export interface ResumedCompletion {
  readonly id: string | undefined;
  readonly created: number | undefined;
}

export class ChatWriter implements StreamWriter {
  readonly #context: AnswerContext;
  readonly #ids: ToolIds;
  readonly #usage = { ...noUsage };
  /** All chunks of an answer begin and end alike. */
  readonly #head: string;
  readonly #tail: string;
  /** By the event's index. */
  readonly #calls = new Map<number, Call>();
  /** Blocks of thinking so far, where the client tells them apart. */
  #thoughts = 0;
  #thinking = false;
  #started = false;
  #stopped = false;
  #finished = false;

  /** `resumed`: the client has the beginning of the answer from somebody else, under this name. */
  constructor(context: AnswerContext, resumed?: ResumedCompletion) {
    this.#context = context;
    this.#ids = new ToolIds(`call_${context.id}`);
    this.#started = resumed !== undefined;
    const id = JSON.stringify(resumed?.id ?? `chatcmpl-${context.id}`);
    const created = resumed?.created ?? context.createdAt;
    const model = JSON.stringify(context.model);
    this.#head = `{"id":${id},"object":"chat.completion.chunk","created":${created},"model":${model},"choices":[`;
    this.#tail = context.includeUsage ? '],"usage":null}' : "]}";
  }

  write(event: NeutralEvent): string {
    if (this.#finished || (this.#stopped && isContent(event))) return "";
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
        return event.text === "" ? "" : this.#thought(event.text);
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
        return this.#detail({ type: "reasoning.text", signature: event.signature }, true);
      case "redacted_thinking":
        return this.#detail({ type: "reasoning.encrypted", data: event.data }, true);
      case "block_end":
        this.#endThought();
        return "";
      case "other":
      // Blocks have no place in this dialect.
      default:
        return "";
    }
  }

  #thought(text: string): string {
    const json = JSON.stringify(text);
    if (this.#context.request.reasoningDetails !== true) return this.#delta(`{"reasoning_content":${json}}`);
    const detail = this.#detailJson({ type: "reasoning.text", text });
    return this.#delta(`{"reasoning_content":${json},"reasoning":${json},"reasoning_details":[${detail}]}`);
  }

  /** What OpenRouter's clients keep for the next turn; the dialect's other clients have no place for it. */
  #detail(detail: JsonObject, last: boolean): string {
    if (this.#context.request.reasoningDetails !== true) return "";
    const json = this.#detailJson(detail);
    if (last) this.#endThought();
    return this.#delta(`{"reasoning_details":[${json}]}`);
  }

  #detailJson(detail: JsonObject): string {
    this.#thinking = true;
    return JSON.stringify({ ...detail, format: "anthropic-claude-v1", index: this.#thoughts });
  }

  #endThought(): void {
    if (this.#thinking) this.#thoughts += 1;
    this.#thinking = false;
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
    const call: Call = { position: this.#calls.size, custom: form === "custom", json: "", ended: false };
    this.#calls.set(event.index, call);
    if (this.#context.request.legacyCalls === true) {
      // The older form has room for one.
      return call.position > 0 ? "" : this.#delta(JSON.stringify({ function_call: { name, arguments: "" } }));
    }
    const head = { index: call.position, id: this.#ids.take(event.id, event.index) };
    const start = call.custom
      ? { ...head, type: "custom", custom: { name, input: "" } }
      : { ...head, type: "function", function: { name, arguments: "" } };
    return this.#delta(JSON.stringify({ tool_calls: [start] }));
  }

  #toolDelta(index: number, json: string): string {
    const call = this.#calls.get(index);
    if (json === "" || call === undefined || call.ended) return "";
    if (call.custom) {
      if (call.json.length < MAX_HELD) call.json += json;
      return "";
    }
    call.json = "…";
    return this.#arguments(call, json);
  }

  #arguments({ position }: Call, json: string): string {
    const text = JSON.stringify(json);
    if (this.#context.request.legacyCalls === true) {
      return position > 0 ? "" : this.#delta(`{"function_call":{"arguments":${text}}}`);
    }
    return this.#delta(`{"tool_calls":[{"index":${position},"function":{"arguments":${text}}}]}`);
  }

  #toolEnd(index: number): string {
    const call = this.#calls.get(index);
    if (call === undefined || call.ended) return "";
    call.ended = true;
    // Clients parse what they have put together: no text at all is no JSON.
    if (!call.custom) return call.json === "" ? this.#arguments(call, "{}") : "";
    const input = customInput(parseArguments(call.json), call.json);
    return this.#delta(JSON.stringify({ tool_calls: [{ index: call.position, custom: { input } }] }));
  }

  #stop(reason: StopReason): string {
    if (this.#stopped) return "";
    let out = this.#begin();
    for (const index of this.#calls.keys()) out += this.#toolEnd(index);
    this.#stopped = true;
    const finish = toChatFinish(reason, this.#calls.size > 0, this.#context.request.legacyCalls);
    return out + this.#chunk("{}", JSON.stringify(finish));
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

/** Behind the finish reason clients take no more of it. */
function isContent({ type }: NeutralEvent): boolean {
  return type !== "usage" && type !== "end" && type !== "error";
}
