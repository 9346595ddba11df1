// Neutral events → the Responses event stream. Strict on purpose: Codex acts only on `output_item.done`, the OpenAI SDK's
// helper refuses deltas without their `added`, the Vercel SDK refuses items without all their fields.

import type {
  AnswerContext,
  JsonObject,
  NeutralEvent,
  StopReason,
  StreamWriter,
  UpstreamFault,
  Usage,
} from "../neutral.ts";
import { formatEvent } from "../sse.ts";
import { clientCode, clientMessage } from "./faults.ts";
import { parseJson } from "./json-fields.ts";
import {
  callItem,
  ending,
  itemId,
  messageItem,
  reasoningItem,
  responseObject,
  summaryPart,
  textPart,
  uniqueCallId,
} from "./output-items.ts";
import { sealThinking } from "./reasoning-envelope.ts";
import { argumentsObject, type ClientCall, clientCall, customText } from "./tools.ts";
import { usageToWire } from "./usage.ts";

/** How far the one part of an item has got. */
export type PartStage = "none" | "open" | "told" | "done";

interface OpenMessage {
  readonly kind: "message";
  readonly id: string;
  readonly index: number;
  /** Everything between sequence number and text of a delta event: the same for the whole part. */
  readonly deltaFields: string;
  text: string;
  part: PartStage;
}

interface OpenReasoning {
  readonly kind: "reasoning";
  readonly id: string;
  readonly index: number;
  readonly deltaFields: string;
  text: string;
  signature: string | undefined;
  part: PartStage;
}

/** Where an answer stands that another upstream began. */
export interface ResumedResponse {
  /** As `response.created` told it; undefined: it did not. */
  readonly response: JsonObject | undefined;
  /** Of the next event. */
  readonly sequence: number;
  /** The finished items by their output index. */
  readonly output: readonly JsonObject[];
  readonly open:
    | {
        readonly kind: "message" | "reasoning";
        readonly id: string;
        readonly index: number;
        readonly text: string;
        readonly part: PartStage;
      }
    | undefined;
}

interface OpenCall {
  readonly id: string;
  readonly index: number;
  readonly call: ClientCall;
  readonly callId: string;
  json: string;
}

export function createWriter(context: AnswerContext, resumed?: ResumedResponse): StreamWriter {
  return new ResponsesWriter(context, resumed);
}

class ResponsesWriter implements StreamWriter {
  readonly #context: AnswerContext;
  #sequence = 0;
  #state: "new" | "started" | "ended" = "new";
  /** By output index; an item that is still open has no entry. */
  readonly #output: JsonObject[];
  #nextIndex = 0;
  #open: OpenMessage | OpenReasoning | undefined;
  readonly #calls = new Map<number, OpenCall>();
  readonly #callIds = new Set<string>();
  readonly #usage: Partial<Usage> = {};
  readonly #begun: JsonObject | undefined;
  #stop: StopReason | undefined;

  constructor(context: AnswerContext, resumed?: ResumedResponse) {
    this.#context = context;
    this.#begun = resumed?.response;
    this.#output = [...(resumed?.output ?? [])];
    if (resumed === undefined) return;
    this.#state = "started";
    this.#sequence = resumed.sequence;
    this.#nextIndex = resumed.output.length;
    const { open } = resumed;
    if (open === undefined) return;
    this.#nextIndex = Math.max(this.#nextIndex, open.index + 1);
    this.#open =
      open.kind === "message"
        ? { ...open, kind: "message", deltaFields: messageDeltaFields(open) }
        : { ...open, kind: "reasoning", deltaFields: reasoningDeltaFields(open), signature: undefined };
  }

  write(event: NeutralEvent): string {
    if (this.#state === "ended") return "";
    switch (event.type) {
      case "text":
      case "refusal": // A refusal part is invisible in Codex.
        return event.text === "" ? "" : this.#text(event.text);
      case "thinking":
        return event.text === "" ? "" : this.#thinking(event.text);
      case "thinking_signature":
        return event.signature === "" ? "" : this.#signature(event.signature);
      case "redacted_thinking":
        return this.#redacted(event.data);
      case "tool_start":
        return this.#callStart(event.index, event);
      case "tool_delta":
        return this.#callDelta(event.index, event.json);
      case "tool_end":
        return this.#callEnd(event.index);
      case "block_end":
        return this.#close();
      case "start":
        return this.#begin();
      case "usage":
        mergeUsage(this.#usage, event.usage);
        return "";
      case "stop":
        this.#stop = event.reason;
        return "";
      case "end":
        return this.#finish();
      case "error":
        return this.fail(event.fault);
      case "other":
        return "";
      default:
        return event satisfies never;
    }
  }

  /** Comments do not reset Codex's idle timer; any event does, and this one may be repeated. */
  ping(): string {
    if (this.#state === "ended") return "";
    return this.#begin() || this.#lifecycle("response.in_progress", "in_progress");
  }

  fail(fault: UpstreamFault): string {
    if (this.#state === "ended") return "";
    const head = this.#begin();
    this.#state = "ended";
    const response = this.#response({
      status: "failed",
      output: this.#allItems(),
      usage: usageToWire(this.#usage),
      error: { code: clientCode(fault), message: clientMessage(fault) },
    });
    return head + this.#event("response.failed", { response });
  }

  #begin(): string {
    if (this.#state !== "new") return "";
    this.#state = "started";
    return this.#lifecycle("response.created", "in_progress") + this.#lifecycle("response.in_progress", "in_progress");
  }

  #lifecycle(type: string, status: "in_progress"): string {
    return this.#event(type, { response: this.#response({ status, output: [], usage: null }) });
  }

  /** Who began the answer has told what else belongs to it. */
  #response(state: Parameters<typeof responseObject>[1]): JsonObject {
    const own = responseObject(this.#context, state);
    if (this.#begun === undefined) return own;
    const response: JsonObject = { ...own, ...this.#begun };
    for (const name of ["model", "status", "error", "incomplete_details", "output", "usage"])
      response[name] = own[name]!;
    return response;
  }

  #text(text: string): string {
    let head = "";
    let open = this.#open;
    if (open?.kind !== "message" || isOver(open)) {
      head = this.#begin() + this.#close();
      const index = this.#nextIndex++;
      const id = itemId("msg", this.#context, index);
      open = { kind: "message", id, index, deltaFields: messageDeltaFields({ id, index }), text: "", part: "none" };
      this.#open = open;
      head += this.#added(index, messageItem(id, "in_progress", []));
    }
    if (open.part === "none") {
      open.part = "open";
      head += this.#partEvent("response.content_part.added", open, { content_index: 0, part: textPart("") });
    }
    open.text += text;
    return head + this.#delta("response.output_text.delta", open.deltaFields, text);
  }

  #thinking(text: string): string {
    const open = this.#open;
    // What follows a signature is another block.
    const fresh = open?.kind !== "reasoning" || open.signature !== undefined || isOver(open);
    let out = fresh ? this.#openReasoning() : "";
    const reasoning = this.#open;
    if (reasoning?.kind !== "reasoning") return out;
    if (reasoning.part === "none") {
      reasoning.part = "open";
      const fields = { summary_index: 0, part: summaryPart("") };
      out += this.#partEvent("response.reasoning_summary_part.added", reasoning, fields);
    }
    reasoning.text += text;
    return out + this.#delta("response.reasoning_summary_text.delta", reasoning.deltaFields, text);
  }

  /** Signature-only blocks exist: they open an item without a summary. */
  #signature(signature: string): string {
    const out = this.#open?.kind === "reasoning" ? "" : this.#openReasoning();
    if (this.#open?.kind === "reasoning") this.#open.signature = (this.#open.signature ?? "") + signature;
    return out;
  }

  #openReasoning(): string {
    const head = this.#begin() + this.#close();
    const index = this.#nextIndex++;
    const id = itemId("rs", this.#context, index);
    const deltaFields = reasoningDeltaFields({ id, index });
    this.#open = { kind: "reasoning", id, index, deltaFields, text: "", signature: undefined, part: "none" };
    return head + this.#added(index, reasoningItem(id, "", null));
  }

  #redacted(data: string): string {
    const head = this.#begin() + this.#close();
    const index = this.#nextIndex++;
    const id = itemId("rs", this.#context, index);
    const item = reasoningItem(id, "", sealThinking({ type: "redacted_thinking", data }, this.#context.origin));
    return head + this.#added(index, reasoningItem(id, "", null)) + this.#done(index, item);
  }

  #callStart(key: number, start: { id: string; name: string; form: "function" | "custom" }): string {
    const head = this.#begin() + this.#close() + (this.#calls.has(key) ? this.#callEnd(key) : "");
    const call = clientCall(this.#context.request, start.name, start.form);
    const index = this.#nextIndex++;
    const id = itemId(call.form === "custom" ? "ctc" : "fc", this.#context, index);
    const callId = uniqueCallId(start.id, this.#callIds, this.#context, index);
    this.#calls.set(key, { id, index, call, callId, json: "" });
    return head + this.#added(index, callItem(id, "in_progress", call, callId, ""));
  }

  #callDelta(key: number, json: string): string {
    const open = this.#calls.get(key);
    if (open === undefined || json === "") return "";
    open.json += json;
    // The free text of a custom tool is inside the JSON: it goes out when it is whole.
    if (open.call.form === "custom") return "";
    const fields = `"item_id":${JSON.stringify(open.id)},"output_index":${open.index}`;
    return this.#delta("response.function_call_arguments.delta", fields, json);
  }

  /** Arguments that are no JSON wait for the end: where the answer was cut by its length, the call must not run. */
  #callEnd(key: number): string {
    const open = this.#calls.get(key);
    if (open === undefined) return "";
    const parsed = parseJson(open.json);
    if (parsed === undefined && open.json.trim() !== "") return "";
    this.#calls.delete(key);
    return this.#completeCall(open);
  }

  #completeCall(open: OpenCall): string {
    const { call, callId, id, index } = open;
    const parsed = parseJson(open.json);
    const place = { item_id: id, output_index: index };
    if (call.form === "custom") {
      const input = customText(open.json, parsed);
      const delta = this.#event("response.custom_tool_call_input.delta", { ...place, delta: input });
      const done = this.#event("response.custom_tool_call_input.done", { ...place, input });
      return delta + done + this.#done(index, callItem(id, "completed", call, callId, input));
    }
    const object = argumentsObject(open.json, parsed);
    const text = object === parsed ? open.json : JSON.stringify(object);
    const done = this.#event("response.function_call_arguments.done", { ...place, name: call.name, arguments: text });
    return done + this.#done(index, callItem(id, "completed", call, callId, text));
  }

  #close(status: "completed" | "incomplete" = "completed"): string {
    const open = this.#open;
    if (open === undefined) return "";
    this.#open = undefined;
    return open.kind === "message" ? this.#closeMessage(open, status) : this.#closeReasoning(open);
  }

  #closeMessage(open: OpenMessage, status: "completed" | "incomplete"): string {
    const part = textPart(open.text);
    let out = "";
    if (open.part === "open")
      out += this.#partEvent("response.output_text.done", open, { content_index: 0, text: open.text, logprobs: [] });
    if (open.part === "open" || open.part === "told")
      out += this.#partEvent("response.content_part.done", open, { content_index: 0, part });
    return out + this.#done(open.index, messageItem(open.id, status, open.part === "none" ? [] : [part]));
  }

  #closeReasoning(open: OpenReasoning): string {
    const { text } = open;
    let out = "";
    if (open.part === "open")
      out += this.#partEvent("response.reasoning_summary_text.done", open, { summary_index: 0, text });
    if (open.part === "open" || open.part === "told") {
      const fields = { summary_index: 0, part: summaryPart(text) };
      out += this.#partEvent("response.reasoning_summary_part.done", open, fields);
    }
    return out + this.#done(open.index, reasoningSnapshot(open, this.#context.origin));
  }

  #finish(): string {
    const { status, details } = ending(this.#stop);
    let out = this.#begin() + this.#close(status);
    for (const [key, open] of this.#calls) {
      if (this.#stop === "length" && parseJson(open.json) === undefined) continue;
      this.#calls.delete(key);
      out += this.#completeCall(open);
    }
    this.#state = "ended";
    const response = this.#response({
      status,
      output: this.#allItems(),
      usage: usageToWire(this.#usage),
      incompleteDetails: details,
    });
    return out + this.#event(`response.${status}`, { response });
  }

  /** Finished items and, as incomplete ones, what is still open. */
  #allItems(): JsonObject[] {
    const open = this.#open;
    if (open?.kind === "message") {
      this.#output[open.index] = messageItem(open.id, "incomplete", [textPart(open.text)]);
    } else if (open !== undefined) this.#output[open.index] = reasoningSnapshot(open, this.#context.origin);
    for (const { id, index, call, callId, json } of this.#calls.values()) {
      const text = call.form === "custom" ? "" : json;
      this.#output[index] = callItem(id, "incomplete", call, callId, text);
    }
    return this.#output;
  }

  #added(index: number, item: JsonObject): string {
    return this.#event("response.output_item.added", { output_index: index, item });
  }

  #done(index: number, item: JsonObject): string {
    this.#output[index] = item;
    return this.#event("response.output_item.done", { output_index: index, item });
  }

  #partEvent(type: string, open: OpenMessage | OpenReasoning, fields: JsonObject): string {
    return this.#event(type, { item_id: open.id, output_index: open.index, ...fields });
  }

  #event(type: string, fields: JsonObject): string {
    return formatEvent(type, JSON.stringify({ type, sequence_number: this.#sequence++, ...fields }));
  }

  /** The event that there are thousands of: only the text is serialised. */
  #delta(type: string, fields: string, delta: string): string {
    const data = `{"type":"${type}","sequence_number":${this.#sequence++},${fields},"delta":${JSON.stringify(delta)}}`;
    return formatEvent(type, data);
  }
}

/** Its text is closed: what follows is another item. */
function isOver({ part }: OpenMessage | OpenReasoning): boolean {
  return part === "told" || part === "done";
}

function messageDeltaFields({ id, index }: { id: string; index: number }): string {
  return `"item_id":${JSON.stringify(id)},"output_index":${index},"content_index":0,"logprobs":[]`;
}

function reasoningDeltaFields({ id, index }: { id: string; index: number }): string {
  return `"item_id":${JSON.stringify(id)},"output_index":${index},"summary_index":0`;
}

function reasoningSnapshot(open: OpenReasoning, origin: string | undefined): JsonObject {
  const { text, signature } = open;
  return reasoningItem(open.id, text, sealThinking({ type: "thinking", text, signature }, origin));
}

/** Later counts replace earlier ones; zeros never replace a count (some servers send them first or last). */
function mergeUsage(known: Partial<Usage>, fresh: Partial<Usage>): void {
  for (const key of ["input", "cacheRead", "cacheWrite5m", "cacheWrite1h", "output", "reasoning"] as const) {
    const count = fresh[key];
    if (count !== undefined && (count > 0 || known[key] === undefined)) known[key] = count;
  }
}
