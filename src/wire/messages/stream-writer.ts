// Neutral events to a stream of the Messages dialect (wire.md F): message_start, then blocks one after the other, each
// started and stopped once, then one message_delta and message_stop. What the upstream interleaves waits here.

import type { AnswerContext, JsonObject, NeutralEvent, StopReason, StreamWriter, UpstreamFault } from "../neutral.ts";
import { sseErrorEvent } from "../errors.ts";
import { formatEvent } from "../sse.ts";
import { toMessagesStop } from "./stop-reasons.ts";
import { ToolIds } from "./tool-ids.ts";
import { clientToolOf } from "./tool-names.ts";
import { mergeUsage, noUsage } from "../usage.ts";
import { toMessagesDeltaUsage, toMessagesUsage } from "./usage.ts";

/** Characters that may wait for the block before them to end; more is no answer that a client could use. */
const MAX_WAITING = 8 * 1024 * 1024;
/** What keeping a piece costs beside its characters. */
const PIECE_COST = 16;

type Kind = "text" | "thinking" | "redacted_thinking" | "tool";

interface Block {
  readonly kind: Kind;
  /** JSON of `content_block`. */
  readonly start: string;
  /** What came while another block was open. */
  waiting: string[];
  signature: string;
  ended: boolean;
}

/** Where an answer stands that another upstream began. */
export interface ResumedMessage {
  /** Of the open block, or of the next one. */
  readonly index: number;
  readonly open: "text" | "thinking" | null;
}

export class MessagesWriter implements StreamWriter {
  readonly #context: AnswerContext;
  readonly #ids: ToolIds;
  readonly #usage = { ...noUsage };
  /** The first one is open at the client, the others wait. */
  readonly #blocks: Block[] = [];
  readonly #tools = new Map<number, Block>();
  #index = 0;
  #waiting = 0;
  #started = false;
  #finished = false;
  #stop: StopReason | undefined;
  #stopSequence: string | undefined;

  /** `resumed`: the client has the beginning of the answer from somebody else. */
  constructor(context: AnswerContext, resumed?: ResumedMessage) {
    this.#context = context;
    this.#ids = new ToolIds(`toolu_${context.id}`);
    if (resumed === undefined) return;
    this.#started = true;
    this.#index = resumed.index;
    if (resumed.open !== null) {
      this.#blocks.push({ kind: resumed.open, start: "", waiting: [], signature: "", ended: false });
    }
  }

  write(event: NeutralEvent): string {
    if (this.#finished || event.type === "other") return "";
    if (event.type === "usage") {
      mergeUsage(this.#usage, event.usage);
      return "";
    }
    if (event.type === "error") return this.fail(event.fault);
    const text = this.#begin() + this.#content(event);
    return this.#waiting > MAX_WAITING ? text + this.fail(tooMuch) : text;
  }

  ping(): string {
    return this.#finished ? "" : formatEvent("ping", '{"type":"ping"}');
  }

  fail(fault: UpstreamFault): string {
    if (this.#finished) return "";
    this.#finished = true;
    return sseErrorEvent("messages", fault);
  }

  /** Exactly one message_start: clients throw away what came before a second one. */
  #begin(): string {
    if (this.#started) return "";
    this.#started = true;
    const message: JsonObject = {
      id: `msg_${this.#context.id}`,
      type: "message",
      role: "assistant",
      model: this.#context.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      container: null,
      usage: toMessagesUsage(this.#usage),
    };
    return formatEvent("message_start", JSON.stringify({ type: "message_start", message }));
  }

  #content(event: Exclude<NeutralEvent, { type: "other" | "usage" | "error" }>): string {
    switch (event.type) {
      case "start":
        return "";
      case "text":
      case "refusal":
        // An empty leading text block makes clients ask again.
        return event.text === "" ? "" : this.#append("text", event.text);
      case "thinking":
        return event.text === "" ? "" : this.#append("thinking", event.text);
      case "thinking_signature":
        return this.#append("thinking", "", event.signature);
      case "redacted_thinking":
        return this.#redacted(event.data);
      case "tool_start":
        return this.#toolStart(event);
      case "tool_delta":
        return this.#toolDelta(event.index, event.json);
      case "tool_end":
        return this.#toolEnd(event.index);
      case "block_end":
        return this.#endLast();
      case "stop":
        this.#stop = event.reason;
        this.#stopSequence = event.stopSequence;
        return this.#endAll();
      case "end":
      default:
        return this.#end();
    }
  }

  #append(kind: "text" | "thinking", text: string, signature = ""): string {
    let out = "";
    let block = this.#blocks.at(-1);
    if (block === undefined || block.kind !== kind || block.ended) {
      out = this.#push(kind, kind === "text" ? '{"type":"text","text":""}' : emptyThinking);
      block = this.#blocks.at(-1)!;
    }
    return out + this.#add(block, text, signature);
  }

  #redacted(data: string): string {
    const out = this.#push("redacted_thinking", JSON.stringify({ type: "redacted_thinking", data }));
    return out + this.#endLast();
  }

  #toolStart(event: Extract<NeutralEvent, { type: "tool_start" }>): string {
    if (this.#tools.has(event.index)) return "";
    const start = JSON.stringify({
      type: "tool_use",
      id: this.#ids.take(event.id, event.index),
      name: clientToolOf(this.#context.request, event.name).name,
      input: {},
    });
    const out = this.#push("tool", start);
    this.#tools.set(event.index, this.#blocks.at(-1)!);
    return out;
  }

  #toolDelta(index: number, json: string): string {
    const block = this.#tools.get(index);
    return block === undefined || block.ended || json === "" ? "" : this.#add(block, json, "");
  }

  #toolEnd(index: number): string {
    const block = this.#tools.get(index);
    if (block === undefined || block.ended) return "";
    block.ended = true;
    return this.#advance();
  }

  /** A new block: text and thinking before it are complete, a tool call may still grow. */
  #push(kind: Kind, start: string): string {
    const out = this.#endLast();
    const block: Block = { kind, start, waiting: [], signature: "", ended: false };
    this.#blocks.push(block);
    return this.#blocks.length === 1 ? out + this.#open(block) : out;
  }

  #add(block: Block, text: string, signature: string): string {
    if (block === this.#blocks[0]) return this.#deltas(block.kind, text, signature);
    if (signature === "") block.waiting.push(text);
    else block.signature = signature;
    this.#waiting += text.length + signature.length + PIECE_COST;
    return "";
  }

  #endLast(): string {
    const last = this.#blocks.at(-1);
    if (last === undefined || last.kind === "tool") return "";
    last.ended = true;
    return this.#advance();
  }

  #endAll(): string {
    for (const block of this.#blocks) block.ended = true;
    return this.#advance();
  }

  /** Stops the open block where it is complete, and opens those that wait behind it. */
  #advance(): string {
    let out = "";
    while (this.#blocks[0]?.ended === true) {
      out += formatEvent("content_block_stop", `{"type":"content_block_stop","index":${this.#index}}`);
      this.#index += 1;
      this.#blocks.shift();
      const next = this.#blocks[0];
      if (next !== undefined) out += this.#open(next);
    }
    return out;
  }

  #open(block: Block): string {
    const text = block.waiting.join("");
    this.#waiting -= text.length + block.waiting.length * PIECE_COST;
    block.waiting = [];
    const start = `{"type":"content_block_start","index":${this.#index},"content_block":${block.start}}`;
    return formatEvent("content_block_start", start) + this.#deltas(block.kind, text, block.signature);
  }

  #deltas(kind: Kind, text: string, signature: string): string {
    const out = text === "" ? "" : this.#delta(`${deltaStart[kind]}${JSON.stringify(text)}}`);
    if (signature === "") return out;
    return out + this.#delta(`{"type":"signature_delta","signature":${JSON.stringify(signature)}}`);
  }

  #delta(json: string): string {
    const data = `{"type":"content_block_delta","index":${this.#index},"delta":${json}}`;
    return formatEvent("content_block_delta", data);
  }

  #end(): string {
    const out = this.#endAll();
    this.#finished = true;
    const delta = {
      stop_reason: toMessagesStop(this.#stop ?? "end", this.#tools.size > 0),
      stop_sequence: this.#stopSequence ?? null,
      stop_details: null,
      container: null,
    };
    const usage = toMessagesDeltaUsage(this.#usage);
    return (
      out +
      formatEvent("message_delta", JSON.stringify({ type: "message_delta", delta, usage })) +
      formatEvent("message_stop", '{"type":"message_stop"}')
    );
  }
}

const emptyThinking = '{"type":"thinking","thinking":"","signature":""}';

const deltaStart: Readonly<Record<Kind, string>> = {
  text: '{"type":"text_delta","text":',
  thinking: '{"type":"thinking_delta","thinking":',
  redacted_thinking: "",
  tool: '{"type":"input_json_delta","partial_json":',
};

const tooMuch: UpstreamFault = {
  status: 502,
  code: undefined,
  message: "The upstream's answer can't be put in order.",
};
