// Input items → neutral messages. Items are flat; a turn of the assistant is folded from the reasoning, message and call
// items that follow each other, so that one turn stays one message.

import { GatewayError } from "../../errors.ts";
import type { Instruction, Json, JsonObject, NeutralMessage, NeutralPart } from "../neutral.ts";
import { offersTools } from "./hosted-tools.ts";
import { partsToNeutral } from "./input-parts.ts";
import { arrayAt, isObject, parseJson, stringAt } from "./json-fields.ts";
import { openThinking } from "./reasoning-envelope.ts";
import { argumentsObject, customInput, type ToolBook } from "./tools.ts";

/**
 * What becomes of the items that only this dialect has. `assistant` and `user`: shown to the model as text of that role.
 * `note`: replaced by a sentence, because its content can be read by its vendor only. `drop`: says nothing to a model, or
 * the message after it repeats it.
 */
const otherItems: Readonly<Record<string, "assistant" | "user" | "note" | "drop">> = {
  local_shell_call: "assistant",
  local_shell_call_output: "user",
  shell_call: "assistant",
  shell_call_output: "user",
  apply_patch_call: "assistant",
  apply_patch_call_output: "user",
  code_interpreter_call: "assistant",
  mcp_call: "assistant",
  program: "assistant",
  program_output: "user",
  compaction: "note",
  compaction_summary: "note",
  additional_tools: "drop",
  tool_search_output: "drop",
  tool_search_call: "drop",
  configuration_update: "drop",
  compaction_trigger: "drop",
  web_search_call: "drop",
  file_search_call: "drop",
  image_generation_call: "drop",
  computer_call: "drop",
  mcp_list_tools: "drop",
  mcp_approval_request: "drop",
  mcp_approval_response: "drop",
};

const COMPACTED = "[An earlier part of this conversation was compacted by another provider and cannot be read here.]";

/** Offers the tools that arrive inside the conversation. */
export function collectTools(input: Json | undefined, book: ToolBook): void {
  if (!Array.isArray(input)) return;
  for (const item of input) {
    if (isObject(item) && offersTools(item)) book.addAll(arrayAt(item, "tools"));
  }
}

/**
 * `input` → system texts and messages. Throws REQUEST_INVALID for items that stand for content that is kept elsewhere,
 * and for what is no item at all.
 */
export function inputToNeutral(input: Json | undefined, system: Instruction[], book: ToolBook): Folded {
  if (typeof input === "string") {
    return { messages: [{ role: "user", parts: [{ type: "text", text: input }] }], unknown: [] };
  }
  if (!Array.isArray(input)) return { messages: [], unknown: [] };
  const fold = new Fold(system, book);
  for (let i = 0; i < input.length; i++) {
    const item = input[i];
    if (!isObject(item)) throw invalid(`input[${i}] is not an object; send items as objects.`);
    fold.add(item, i);
  }
  return { messages: fold.messages, unknown: fold.unknown };
}

export interface Folded {
  readonly messages: NeutralMessage[];
  /** Places of items of a type that nobody here knows: they were left out. */
  readonly unknown: readonly string[];
}

/** As many places as a warning can name. */
const MAX_UNKNOWN = 8;

class Fold {
  readonly messages: NeutralMessage[] = [];
  readonly unknown: string[] = [];
  readonly #system: Instruction[];
  readonly #book: ToolBook;
  /** The open turn of the assistant. */
  #turn: NeutralPart[] | undefined;

  constructor(system: Instruction[], book: ToolBook) {
    this.#system = system;
    this.#book = book;
  }

  add(item: JsonObject, index: number): void {
    const type = stringAt(item, "type") ?? (item["role"] === undefined ? "item_reference" : "message");
    switch (type) {
      case "message":
        this.#message(item, index);
        return;
      case "function_call":
      case "custom_tool_call":
        this.#assistant([this.#call(item, type)]);
        return;
      case "function_call_output":
      case "custom_tool_call_output":
        this.#push({
          role: "tool",
          callId: stringAt(item, "call_id") ?? "",
          parts: partsToNeutral(item["output"]),
          isError: false,
        });
        return;
      case "reasoning":
        this.#reasoning(item);
        return;
      case "computer_call_output":
        this.#user(partsToNeutral(isObject(item["output"]) ? [item["output"]] : []));
        return;
      case "item_reference":
        throw invalid(`input[${index}] is an item_reference; nothing is stored here, so send the item itself.`);
      default:
        this.#other(item, type, index);
    }
  }

  #message(item: JsonObject, index: number): void {
    const parts = partsToNeutral(item["content"]);
    switch (stringAt(item, "role") ?? "") {
      case "user":
        this.#user(parts);
        return;
      case "assistant":
        this.#assistant(parts);
        return;
      case "system":
      case "developer":
        this.#instructions(parts);
        return;
      default:
        throw invalid(`input[${index}].role is not known; use user, assistant, developer or system.`);
    }
  }

  /** Leading instructions are the system prompt; later ones keep their place. */
  #instructions(parts: NeutralPart[]): void {
    if (parts.length === 0) return;
    if (this.messages.length > 0) {
      this.#push({ role: "system", parts });
      return;
    }
    for (const part of parts) {
      if (part.type === "text") this.#system.push({ text: part.text });
    }
  }

  #call(item: JsonObject, type: "function_call" | "custom_tool_call"): NeutralPart {
    const namespace = stringAt(item, "namespace");
    const text = stringAt(item, type === "function_call" ? "arguments" : "input") ?? "";
    const parsed = type === "function_call" ? parseJson(text) : undefined;
    const input = type === "function_call" ? argumentsObject(text, parsed) : customInput(text);
    return {
      type: "tool_call",
      id: callIdOf(item),
      name: this.#book.nameOf(namespace, stringAt(item, "name") ?? ""),
      input,
      // What is no object other servers refuse: they get it wrapped, as the model's own mistake.
      raw: isObject(parsed) ? text : JSON.stringify(input),
      form: type === "function_call" ? "function" : "custom",
      namespace,
    };
  }

  #reasoning(item: JsonObject): void {
    const summary = textOf(item["summary"]) || textOf(item["content"]);
    const thinking = openThinking(stringAt(item, "encrypted_content"), summary);
    if (thinking !== undefined) this.#assistant([thinking]);
  }

  #other(item: JsonObject, type: string, index: number): void {
    const fate = Object.hasOwn(otherItems, type) ? otherItems[type] : undefined;
    if (fate === undefined && this.unknown.length < MAX_UNKNOWN) this.unknown.push(`input[${index}]`);
    if (fate === "note") this.#user([{ type: "text", text: COMPACTED }]);
    if (fate !== "assistant" && fate !== "user") return;
    const { id: _id, type: _type, status: _status, ...content } = item;
    const part: NeutralPart = { type: "text", text: `[${type}] ${JSON.stringify(content)}` };
    if (fate === "assistant") this.#assistant([part]);
    else this.#user([part]);
  }

  #assistant(parts: readonly NeutralPart[]): void {
    if (parts.length === 0) return;
    if (this.#turn === undefined) {
      const turn: NeutralPart[] = [];
      this.#push({ role: "assistant", parts: turn });
      this.#turn = turn;
    }
    for (const part of parts) this.#turn.push(part);
  }

  #user(parts: NeutralPart[]): void {
    if (parts.length > 0) this.#push({ role: "user", parts });
  }

  #push(message: NeutralMessage): void {
    this.#turn = undefined;
    this.messages.push(message);
  }
}

function textOf(content: Json | undefined): string {
  return partsToNeutral(content)
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("\n\n");
}

function invalid(publicMessage: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", { publicMessage });
}

/** Results are told apart by it, and no server takes a call without one. */
function callIdOf(item: JsonObject): string {
  const id = stringAt(item, "call_id") ?? "";
  if (id !== "") return id;
  throw new GatewayError("REQUEST_INVALID", {
    publicMessage: "input: a tool call has no call_id; give each one an id.",
  });
}
