// Neutral messages to the turns of the Messages dialect, under Anthropic's rules: roles alternate, all results of a
// turn's tool calls come first in the next user turn, each call has one, and no text is empty (wire.md B43 to B52).

import type { JsonObject, NeutralMessage, NeutralPart } from "../neutral.ts";
import { cacheControl } from "./cache-marks.ts";
import { documentBlock, imageBlock } from "./sources-from-neutral.ts";
import { legalToolId } from "./tool-ids.ts";

const NO_RESULT = "No result of this call was recorded.";

type Role = "user" | "assistant" | "system";

interface Turn {
  role: Role;
  content: JsonObject[];
}

export interface TurnRules {
  /** The model takes `role: "system"` among the messages; to all others it is marked user text. */
  readonly midSystem: boolean;
  /** Whose signed thinking goes along; that of others is left out, since nobody else can check it. */
  readonly origin: string | undefined;
}

type ToolMessage = Extract<NeutralMessage, { role: "tool" }>;

/** Collects turns; merges neighbours of one role. Adds one by one: a spread call fails on hostile lengths. */
class Turns {
  readonly list: Turn[] = [];
  /** Calls of the last assistant turn that wait for their results: the client's id, and those of the calls under it. */
  readonly #open = new Map<string, string[]>();
  /** How often each id was given to a call: local servers use the same ones in every turn, which is a 400 here. */
  readonly #calls = new Map<string, number>();
  #results: JsonObject[] = [];
  /** What came between or after the results: it goes behind them. */
  #later: JsonObject[] = [];
  /** Instructions that came in this turn: as a system turn they are legal right behind it and nowhere else. */
  #instructions: string[] = [];
  readonly #midSystem: boolean;

  constructor(midSystem: boolean) {
    this.#midSystem = midSystem;
  }

  addSystem(text: string): void {
    if (isBlank(text)) return;
    if (this.#midSystem) this.#instructions.push(text);
    else this.#later.push(reminder(text));
  }

  addUser(blocks: JsonObject[]): void {
    for (const block of blocks) this.#later.push(block);
  }

  addResult({ callId, parts, isError, cacheControl: own }: ToolMessage): void {
    const content = userBlocks(parts);
    // What is inside a result can't be marked, only the result as a whole.
    let mark = cacheControl(own);
    for (const block of content) {
      if (block["cache_control"] === undefined) continue;
      mark = { cache_control: block["cache_control"] };
      delete block["cache_control"];
    }
    const id = this.#open.get(callId)?.shift();
    if (id === undefined) {
      // A result without its call is refused, but what it says may matter.
      this.addUser([{ type: "text", text: `[result of an earlier tool call ${legalToolId(callId)}]` }, ...content]);
      return;
    }
    const result: JsonObject = { type: "tool_result", tool_use_id: id, ...mark };
    if (content.length > 0) result["content"] = content;
    if (isError) result["is_error"] = true;
    this.#results.push(result);
  }

  addAssistant(blocks: JsonObject[]): void {
    if (blocks.length === 0) return;
    this.closeUser();
    for (const block of blocks) {
      if (block["type"] === "tool_use") block["id"] = this.#openCall(block["id"] as string);
    }
    this.#push("assistant", blocks);
  }

  /** The id that the call has in this request, always the same for the same history. */
  #openCall(callId: string): string {
    const legal = legalToolId(callId);
    const times = (this.#calls.get(legal) ?? 0) + 1;
    this.#calls.set(legal, times);
    const id = times === 1 ? legal : legalToolId(`${legal}:${times}`);
    const open = this.#open.get(callId);
    if (open === undefined) this.#open.set(callId, [id]);
    else open.push(id);
    return id;
  }

  /** Ends the user turn under way: calls that nobody answered get an error as their result. */
  closeUser(): void {
    for (const id of [...this.#open.values()].flat()) {
      this.#results.push({
        type: "tool_result",
        tool_use_id: id,
        is_error: true,
        content: [{ type: "text", text: NO_RESULT }],
      });
    }
    const content = [...this.#results, ...this.#later];
    const instructions = this.#instructions;
    this.#open.clear();
    this.#results = [];
    this.#later = [];
    this.#instructions = [];
    if (content.length > 0) {
      this.#push("user", content);
      this.#push(
        "system",
        instructions.map((text) => ({ type: "text", text })),
      );
    } else this.#push("user", instructions.map(reminder));
  }

  #push(role: Role, content: JsonObject[]): void {
    if (content.length === 0) return;
    const last = this.list.at(-1);
    if (last?.role !== role) this.list.push({ role, content });
    else for (const block of content) last.content.push(block);
  }
}

/** Throws AttemptError `skipped_policy` where a part can't be sent. */
export function turnsFromNeutral(messages: readonly NeutralMessage[], rules: TurnRules): Turn[] {
  const turns = new Turns(rules.midSystem);
  const thinking = thinkingKept(messages, rules.origin);
  for (const message of messages) {
    switch (message.role) {
      case "user":
        turns.addUser(userBlocks(message.parts));
        break;
      case "system":
        turns.addSystem(textOf(message.parts));
        break;
      case "assistant":
        turns.addAssistant(assistantBlocks(message.parts, thinking));
        break;
      case "tool":
        turns.addResult(message);
    }
  }
  turns.closeUser();
  return turns.list;
}

function isBlank(text: string): boolean {
  return text.trim() === "";
}

function textOf(parts: readonly NeutralPart[]): string {
  return parts.map((part) => (part.type === "text" ? part.text : "")).join("\n\n");
}

function reminder(text: string): JsonObject {
  return { type: "text", text: `<system-reminder>\n${text}\n</system-reminder>` };
}

function userBlocks(parts: readonly NeutralPart[]): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const part of parts) {
    if (part.type === "text" || part.type === "refusal") {
      if (isBlank(part.text)) continue;
      const mark = part.type === "text" ? cacheControl(part.cacheControl) : {};
      blocks.push({ type: "text", text: part.text, ...mark });
    } else if (part.type === "image") blocks.push({ ...imageBlock(part), ...cacheControl(part.cacheControl) });
    else if (part.type === "document") blocks.push({ ...documentBlock(part), ...cacheControl(part.cacheControl) });
  }
  return blocks;
}

type Thinking = Extract<NeutralPart, { type: "thinking" | "redacted_thinking" }>;

/**
 * Each thinking block is bound to all that came before it, blocks included. What one origin can't check was never sent to
 * it, so it may be left out each time; but where one of its own blocks is lost, all later ones would fail.
 */
function thinkingKept(messages: readonly NeutralMessage[], origin: string | undefined): (part: Thinking) => boolean {
  const lost = messages.some(({ parts }) => parts.some((part) => part.type === "thinking" && part.lost === true));
  return (part) => !lost && (part.origin === undefined || part.origin === origin);
}

/** Thinking goes along only with its signature; images and documents are illegal here. */
function assistantBlocks(parts: readonly NeutralPart[], keeps: (part: Thinking) => boolean): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const part of parts) {
    switch (part.type) {
      case "text":
      case "refusal":
        if (!isBlank(part.text)) {
          const mark = part.type === "text" ? cacheControl(part.cacheControl) : {};
          blocks.push({ type: "text", text: part.text, ...mark });
        }
        break;
      case "tool_call":
        blocks.push({ type: "tool_use", id: part.id, name: part.name, input: part.input });
        break;
      case "thinking":
        if (part.signature && keeps(part))
          blocks.push({ type: "thinking", thinking: part.text, signature: part.signature });
        break;
      case "redacted_thinking":
        if (keeps(part)) blocks.push({ type: "redacted_thinking", data: part.data });
        break;
      case "image":
      case "document":
    }
  }
  return blocks;
}

/** With a thinking budget, an assistant turn whose tools are being answered must begin with thinking (Anthropic 400). */
export function toolTurnLacksThinking(turns: readonly Turn[]): boolean {
  const assistant = turns.findLast((turn) => turn.role === "assistant");
  if (assistant === undefined || !assistant.content.some((block) => block["type"] === "tool_use")) return false;
  const first = assistant.content[0]?.["type"];
  return first !== "thinking" && first !== "redacted_thinking";
}
