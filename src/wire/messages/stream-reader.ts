// A streamed answer of the Messages dialect to neutral events (wire.md F, I, L).

import { bareLine } from "../bare-line.ts";
import type { Json, JsonObject, NeutralEvent, SseEvent, StreamReader } from "../neutral.ts";
import { inputText } from "./answer.ts";
import { isObject, wordOf } from "./request-fields.ts";
import { fromMessagesStop } from "./stop-reasons.ts";
import { SurrogateJoiner } from "./surrogate-joiner.ts";
import { faultInside, isErrorBody, nonsense } from "./upstream-error.ts";
import { type PaidTool, UsageFields } from "./usage.ts";

const other: NeutralEvent[] = [{ type: "other" }];
/** An upstream that opens more blocks without closing one is not answering. */
const MAX_OPEN_BLOCKS = 1_000;
/** Characters of inputs that open blocks began with. */
const MAX_INITIAL = 16 * 1024 * 1024;

interface OpenTool {
  readonly index: number;
  /** Some servers put the whole input into the start and send no delta. */
  initial: string;
}

/** Reads by `data.type`: some servers leave the `event:` lines out. */
export class MessagesReader implements StreamReader {
  /** Open blocks by their index; null: not a tool call of the client. */
  readonly #open = new Map<Json, OpenTool | null>();
  readonly #joiner = new SurrogateJoiner();
  #tools = 0;
  #initial = 0;
  readonly #usage = new UsageFields();
  #ended = false;

  read(event: SseEvent): NeutralEvent[] {
    if (this.#ended) return other;
    const bare = bareLine(event);
    if (isObject(bare) && isErrorBody(bare)) return this.#fail(faultInside(bare));
    if (event.data === "" || event.data === "[DONE]") return other;
    let data: Json;
    try {
      data = JSON.parse(event.data) as Json;
    } catch {
      return this.#fail(nonsense("an event that is no JSON"));
    }
    if (!isObject(data)) return this.#fail(nonsense("an event that is no JSON object"));
    switch (wordOf(data["type"]) || event.event || "") {
      case "message_start":
        return this.#start(data["message"]);
      case "content_block_start":
        return this.#blockStart(data);
      case "content_block_delta":
        return this.#delta(data);
      case "content_block_stop":
        return this.#blockStop(data);
      case "message_delta":
        return this.#messageDelta(data);
      case "message_stop":
        return this.#end();
      case "error":
        return this.#fail(faultInside(data));
      default:
        // Servers that are not Anthropic's may send a bare `{"error": ...}`.
        return data["type"] === undefined && isErrorBody(data) ? this.#fail(faultInside(data)) : other;
    }
  }

  #end(): NeutralEvent[] {
    const events: NeutralEvent[] = [];
    this.#closeAll(events);
    this.#ended = true;
    events.push({ type: "end" });
    return events;
  }

  /** Calls that the upstream never closed, where their start brought all of their input. */
  #closeAll(events: NeutralEvent[]): void {
    for (const [index, tool] of this.#open) {
      if (tool !== null && tool.initial !== "") events.push(...this.#blockStop({ index }));
    }
  }

  #fail(fault: ReturnType<typeof nonsense>): NeutralEvent[] {
    this.#ended = true;
    return [{ type: "error", fault }];
  }

  #start(message: Json | undefined): NeutralEvent[] {
    const found = isObject(message) ? message : {};
    const events: NeutralEvent[] = [
      {
        type: "start",
        id: typeof found["id"] === "string" ? found["id"] : undefined,
        model: typeof found["model"] === "string" ? found["model"] : undefined,
      },
    ];
    this.#addUsage(found["usage"], events);
    return events;
  }

  #addUsage(value: Json | undefined, events: NeutralEvent[]): void {
    if (!isObject(value)) return;
    events.push({ type: "usage", usage: this.#usage.add(value) });
  }

  #blockStart(data: JsonObject): NeutralEvent[] {
    const block = isObject(data["content_block"]) ? data["content_block"] : {};
    if (this.#open.size >= MAX_OPEN_BLOCKS) return this.#fail(nonsense("too many open content blocks"));
    const index = data["index"] ?? null;
    if (block["type"] !== "tool_use") {
      this.#open.set(index, null);
      return this.#serverTool(block) ?? initialContent(block);
    }
    const initial = inputText(block["input"]);
    const tool: OpenTool = { index: this.#tools, initial: initial === "{}" ? "" : initial };
    this.#tools += 1;
    this.#initial += tool.initial.length;
    if (this.#initial > MAX_INITIAL) return this.#fail(nonsense("tool calls that are too large"));
    this.#open.set(index, tool);
    return [
      {
        type: "tool_start",
        index: tool.index,
        id: wordOf(block["id"]).toWellFormed(),
        name: wordOf(block["name"]).toWellFormed(),
        form: "function",
      },
    ];
  }

  /** What a tool that the vendor runs adds to the bill; undefined where the block is not about one. */
  #serverTool(block: JsonObject): NeutralEvent[] | undefined {
    const name = wordOf(block["name"]);
    switch (wordOf(block["type"])) {
      case "server_tool_use":
        return isPaidTool(name) ? [{ type: "usage", usage: this.#usage.call(name) }] : undefined;
      case "web_search_tool_result":
      case "web_fetch_tool_result":
        return [{ type: "usage", usage: this.#usage.result(Buffer.byteLength(JSON.stringify(block))) }];
      default:
        return undefined;
    }
  }

  #delta(data: JsonObject): NeutralEvent[] {
    const delta = data["delta"];
    if (!isObject(delta)) return other;
    switch (wordOf(delta["type"])) {
      case "text_delta":
        return this.#text("text", delta["text"]);
      case "thinking_delta":
        return this.#text("thinking", delta["thinking"]);
      case "signature_delta":
        // Servers at home sign with nothing, and late: that begins no other block.
        return typeof delta["signature"] === "string" && delta["signature"] !== ""
          ? [{ type: "thinking_signature", signature: delta["signature"].toWellFormed() }]
          : other;
      case "input_json_delta": {
        const tool = this.#open.get(data["index"] ?? null);
        // The input of a server tool is not the client's business.
        if (!tool || typeof delta["partial_json"] !== "string") return other;
        const json = this.#joiner.push(delta["partial_json"]);
        if (json === "") return other;
        this.#dropInitial(tool);
        return [{ type: "tool_delta", index: tool.index, json }];
      }
      default:
        return other;
    }
  }

  #text(type: "text" | "thinking", value: Json | undefined): NeutralEvent[] {
    const text = typeof value === "string" ? this.#joiner.push(value) : "";
    return text === "" ? other : [{ type, text }];
  }

  #blockStop(data: JsonObject): NeutralEvent[] {
    const index = data["index"] ?? null;
    const tool = this.#open.get(index);
    this.#open.delete(index);
    this.#joiner.reset();
    if (!tool) return [{ type: "block_end" }];
    const end: NeutralEvent = { type: "tool_end", index: tool.index };
    const json = tool.initial;
    this.#dropInitial(tool);
    return json === "" ? [end] : [{ type: "tool_delta", index: tool.index, json }, end];
  }

  #dropInitial(tool: OpenTool): void {
    this.#initial -= tool.initial.length;
    tool.initial = "";
  }

  #messageDelta(data: JsonObject): NeutralEvent[] {
    const events: NeutralEvent[] = [];
    this.#addUsage(data["usage"], events);
    const delta = data["delta"];
    if (isObject(delta) && typeof delta["stop_reason"] === "string") {
      this.#closeAll(events);
      const sequence = delta["stop_sequence"];
      events.push({
        type: "stop",
        reason: fromMessagesStop(delta["stop_reason"]),
        stopSequence: typeof sequence === "string" ? sequence.toWellFormed() : undefined,
      });
    }
    return events.length === 0 ? other : events;
  }
}

function isPaidTool(name: string): name is PaidTool {
  return name === "web_search" || name === "web_fetch";
}

/** What a block brings with its start: usually nothing. */
function initialContent(block: JsonObject): NeutralEvent[] {
  const events: NeutralEvent[] = [];
  if (block["type"] === "redacted_thinking" && typeof block["data"] === "string") {
    events.push({ type: "redacted_thinking", data: block["data"].toWellFormed() });
  } else if (block["type"] === "text" && typeof block["text"] === "string" && block["text"] !== "") {
    events.push({ type: "text", text: block["text"].toWellFormed() });
  } else if (block["type"] === "thinking") {
    if (typeof block["thinking"] === "string" && block["thinking"] !== "") {
      events.push({ type: "thinking", text: block["thinking"].toWellFormed() });
    }
    if (typeof block["signature"] === "string" && block["signature"] !== "") {
      events.push({ type: "thinking_signature", signature: block["signature"].toWellFormed() });
    }
  }
  return events.length === 0 ? other : events;
}
