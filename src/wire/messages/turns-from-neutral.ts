// Neutral messages to the turns of the Messages dialect, under Anthropic's rules: roles alternate, all results of a
// turn's tool calls come first in the next user turn, each call has one, and no text is empty (wire.md B43 to B52).

import type { JsonObject, NeutralMessage, NeutralPart } from "../neutral.ts";
import { documentBlock, imageBlock } from "./sources-from-neutral.ts";
import { legalToolId } from "./tool-ids.ts";

const NO_RESULT = "No result of this call was recorded.";

interface Turn {
  role: "user" | "assistant";
  content: JsonObject[];
}

/** Collects turns; merges neighbours of one role. Adds one by one: a spread call fails on hostile lengths. */
class Turns {
  readonly list: Turn[] = [];
  /** Calls of the last assistant turn that wait for their results. */
  readonly #open = new Set<string>();
  #results: JsonObject[] = [];
  /** What came between or after the results: it goes behind them. */
  #later: JsonObject[] = [];

  addUser(blocks: JsonObject[]): void {
    for (const block of blocks) this.#later.push(block);
  }

  addResult(callId: string, content: JsonObject[], isError: boolean): void {
    if (!this.#open.delete(callId)) {
      // A result without its call is refused, but what it says may matter.
      this.addUser([{ type: "text", text: `[result of an earlier tool call ${callId}]` }, ...content]);
      return;
    }
    const result: JsonObject = { type: "tool_result", tool_use_id: callId };
    if (content.length > 0) result["content"] = content;
    if (isError) result["is_error"] = true;
    this.#results.push(result);
  }

  addAssistant(blocks: JsonObject[]): void {
    this.closeUser();
    for (const block of blocks) {
      if (block["type"] === "tool_use") this.#open.add(block["id"] as string);
    }
    this.#push("assistant", blocks);
  }

  /** Ends the user turn under way: calls that nobody answered get an error as their result. */
  closeUser(): void {
    for (const id of this.#open) {
      this.#results.push({
        type: "tool_result",
        tool_use_id: id,
        is_error: true,
        content: [{ type: "text", text: NO_RESULT }],
      });
    }
    this.#push("user", [...this.#results, ...this.#later]);
    this.#open.clear();
    this.#results = [];
    this.#later = [];
  }

  #push(role: "user" | "assistant", content: JsonObject[]): void {
    if (content.length === 0) return;
    const last = this.list.at(-1);
    if (last?.role !== role) this.list.push({ role, content });
    else for (const block of content) last.content.push(block);
  }
}

/** Throws AttemptError `skipped_policy` where a part can't be sent. */
export function turnsFromNeutral(messages: readonly NeutralMessage[]): Turn[] {
  const turns = new Turns();
  for (const message of messages) {
    switch (message.role) {
      case "user":
        turns.addUser(userBlocks(message.parts));
        break;
      case "system":
        turns.addUser(systemBlocks(message.parts));
        break;
      case "assistant":
        turns.addAssistant(assistantBlocks(message.parts));
        break;
      case "tool":
        turns.addResult(legalToolId(message.callId), userBlocks(message.parts), message.isError);
    }
  }
  turns.closeUser();
  return turns.list;
}

function isBlank(text: string): boolean {
  return text.trim() === "";
}

/** Only a few models take instructions in the middle as such; as marked user text all do. */
function systemBlocks(parts: readonly NeutralPart[]): JsonObject[] {
  const text = parts.map((part) => (part.type === "text" ? part.text : "")).join("\n\n");
  return isBlank(text) ? [] : [{ type: "text", text: `<system-reminder>\n${text}\n</system-reminder>` }];
}

function userBlocks(parts: readonly NeutralPart[]): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const part of parts) {
    if (part.type === "text" || part.type === "refusal") {
      if (!isBlank(part.text)) blocks.push({ type: "text", text: part.text });
    } else if (part.type === "image") blocks.push(imageBlock(part));
    else if (part.type === "document") blocks.push(documentBlock(part));
  }
  return blocks;
}

/** Thinking goes along only with its signature; images and documents are illegal here. */
function assistantBlocks(parts: readonly NeutralPart[]): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const part of parts) {
    switch (part.type) {
      case "text":
      case "refusal":
        if (!isBlank(part.text)) blocks.push({ type: "text", text: part.text });
        break;
      case "tool_call":
        blocks.push({ type: "tool_use", id: legalToolId(part.id), name: part.name, input: part.input });
        break;
      case "thinking":
        if (part.signature) blocks.push({ type: "thinking", thinking: part.text, signature: part.signature });
        break;
      case "redacted_thinking":
        blocks.push({ type: "redacted_thinking", data: part.data });
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
