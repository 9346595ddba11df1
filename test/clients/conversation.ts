// What a model's server is told about the talk so far, read alike from all three dialects. The scripted models decide by
// it, so that an answer depends on what reached them and on nothing else.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";

export interface ToolResult {
  readonly id: string;
  readonly text: string;
}

export interface Conversation {
  /** In the order of the request. */
  readonly results: readonly ToolResult[];
  /** All that the user said, and what clients and the gateway put beside it. */
  readonly said: string;
  /** Names of the tools on offer, without namespaces. */
  readonly offered: readonly string[];
}

/** Throws where the body is no JSON object. */
export function readConversation(request: RecordedRequest): Conversation {
  const body = request.json();
  const turns = objectsOf(body["messages"] ?? body["input"]);
  return {
    results: turns.flatMap(resultsOf),
    said: turns
      .filter((turn) => turn["role"] === "user")
      .map(saidIn)
      .join("\n"),
    offered: objectsOf(body["tools"]).map(nameOf),
  };
}

function resultsOf(turn: JsonObject): ToolResult[] {
  if (turn["role"] === "tool") return [{ id: textOf(turn["tool_call_id"]), text: plain(turn["content"]) }];
  if (turn["type"] === "function_call_output" || turn["type"] === "custom_tool_call_output") {
    return [{ id: textOf(turn["call_id"]), text: plain(turn["output"]) }];
  }
  return objectsOf(turn["content"])
    .filter((block) => block["type"] === "tool_result")
    .map((block) => ({ id: textOf(block["tool_use_id"]), text: plain(block["content"]) }));
}

function saidIn(turn: JsonObject): string {
  const content = turn["content"];
  if (typeof content === "string") return content;
  return objectsOf(content)
    .map((part) => textOf(part["text"]))
    .join("\n");
}

/** Text, or the texts of parts. */
function plain(content: Json | undefined): string {
  if (typeof content === "string") return content;
  return objectsOf(content)
    .map((part) => textOf(part["text"]))
    .join("");
}

function nameOf(tool: JsonObject): string {
  const declared = objectsOf([tool["function"] ?? tool])[0];
  return textOf(declared?.["name"]);
}
