// For the tests of this folder: a context, and what is inside SSE text.

import type { AnswerContext, JsonObject, NeutralEvent, SseEvent } from "../neutral.ts";
import { toNeutral } from "./request-to-neutral.ts";
import { createWriter } from "./stream-writer.ts";

/** A context for an answer to this request body. */
export function contextFor(body: JsonObject = {}): AnswerContext {
  const request = toNeutral({ model: "asked-model", input: "hi", ...body });
  return { model: "asked-model", id: "01ABC", createdAt: 1_790_000_000, includeUsage: true, request };
}

/** SSE text → events, by the simplest reading: blocks end at a blank line. */
export function eventsOf(sse: string): SseEvent[] {
  return sse
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const lines = block.split("\n");
      const event = lines.find((line) => line.startsWith("event: "))?.slice("event: ".length);
      const data = lines.find((line) => line.startsWith("data: "))?.slice("data: ".length) ?? "";
      return { event, data, raw: `${block}\n\n` };
    });
}

export function dataOf(sse: string): JsonObject[] {
  return eventsOf(sse).map((event) => JSON.parse(event.data) as JsonObject);
}

/** One event with its `event:` line, as OpenAI sends it. */
export function sseEvent(data: JsonObject): SseEvent {
  const text = JSON.stringify(data);
  const event = typeof data["type"] === "string" ? data["type"] : undefined;
  return { event, data: text, raw: `event: ${event}\ndata: ${text}\n\n` };
}

/** Everything a writer says to these events. */
export function written(events: readonly NeutralEvent[], context = contextFor()): string {
  const writer = createWriter(context);
  return events.map((event) => writer.write(event)).join("");
}

export const start: NeutralEvent = { type: "start", id: "up_1", model: "up-model" };
export const stopEnd: NeutralEvent = { type: "stop", reason: "end", stopSequence: undefined };
export const stopCalls: NeutralEvent = { type: "stop", reason: "tool_calls", stopSequence: undefined };
export const stopLength: NeutralEvent = { type: "stop", reason: "length", stopSequence: undefined };
export const end: NeutralEvent = { type: "end" };

/** The events of one call whose arguments come in two pieces. */
export function callEvents(index: number, id: string, name: string, json: string): NeutralEvent[] {
  const cut = Math.floor(json.length / 2);
  return [
    { type: "tool_start", index, id, name, form: "function" },
    { type: "tool_delta", index, json: json.slice(0, cut) },
    { type: "tool_delta", index, json: json.slice(cut) },
    { type: "tool_end", index },
  ];
}

/** Tools as Codex 0.169 offers them. */
export const codexTools: JsonObject[] = [
  {
    type: "function",
    name: "exec_command",
    description: "Runs a command.",
    strict: false,
    parameters: { type: "object", properties: { cmd: { type: "string" } }, required: ["cmd"] },
  },
  {
    type: "custom",
    name: "apply_patch",
    description: "Edits files.",
    format: { type: "grammar", syntax: "lark", definition: 'start: "*** Begin Patch"' },
  },
  {
    type: "namespace",
    name: "multi_agent_v1",
    description: "Agents.",
    tools: [
      { type: "function", name: "spawn_agent", description: "Starts one.", strict: false, parameters: {} },
      { type: "function", name: "close_agent", description: "Ends one.", strict: false, parameters: {} },
    ],
  },
  { type: "tool_search", execution: "client", description: "Finds tools.", parameters: {} },
  { type: "web_search", external_web_access: true },
];
