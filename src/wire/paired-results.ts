// Tool calls and their results, as OpenAI's dialects want them: each call is answered, right behind the turn that made it.

import type { NeutralMessage, NeutralPart } from "./neutral.ts";

const NO_RESULT = "No result of this call was recorded.";

type ToolMessage = Extract<NeutralMessage, { role: "tool" }>;
type ToolCall = Extract<NeutralPart, { type: "tool_call" }>;

/**
 * The same conversation with every result behind its call, whatever was said between them; a call that nobody answered
 * gets a failure as its result, a result without a call becomes text of the user. The given list where nothing is to do.
 */
export function pairedResults(messages: readonly NeutralMessage[]): readonly NeutralMessage[] {
  return isPaired(messages) ? messages : paired(messages);
}

function isPaired(messages: readonly NeutralMessage[]): boolean {
  const open = new Set<string>();
  for (const message of messages) {
    if (message.role === "tool") {
      if (!open.delete(message.callId)) return false;
      continue;
    }
    if (open.size > 0) return false;
    if (message.role !== "assistant") continue;
    for (const part of message.parts) {
      if (part.type !== "tool_call") continue;
      if (open.has(part.id)) return false;
      open.add(part.id);
    }
  }
  return open.size === 0;
}

function paired(messages: readonly NeutralMessage[]): NeutralMessage[] {
  const { results, taken } = matched(messages);
  const out: NeutralMessage[] = [];
  for (const message of messages) {
    if (message.role === "tool") {
      if (!taken.has(message)) out.push(orphan(message));
      continue;
    }
    out.push(message);
    if (message.role !== "assistant") continue;
    for (const part of message.parts) {
      if (part.type === "tool_call") out.push(results.get(part) ?? unanswered(part.id));
    }
  }
  return out;
}

/** A result belongs to the last open call of its id before it: local servers use the same ids in every turn. */
function matched(messages: readonly NeutralMessage[]): {
  results: ReadonlyMap<ToolCall, ToolMessage>;
  taken: ReadonlySet<NeutralMessage>;
} {
  const results = new Map<ToolCall, ToolMessage>();
  const taken = new Set<NeutralMessage>();
  const open = new Map<string, ToolCall[]>();
  for (const message of messages) {
    if (message.role === "tool") {
      const call = open.get(message.callId)?.pop();
      if (call === undefined) continue;
      results.set(call, message);
      taken.add(message);
    } else if (message.role === "assistant") {
      for (const part of message.parts) {
        if (part.type !== "tool_call") continue;
        const calls = open.get(part.id);
        if (calls === undefined) open.set(part.id, [part]);
        else calls.push(part);
      }
    }
  }
  return { results, taken };
}

function unanswered(callId: string): ToolMessage {
  return { role: "tool", callId, parts: [{ type: "text", text: NO_RESULT }], isError: true };
}

function orphan({ callId, parts }: ToolMessage): NeutralMessage {
  return { role: "user", parts: [{ type: "text", text: `[result of an earlier tool call ${callId}]` }, ...parts] };
}
