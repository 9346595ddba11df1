// The tool types of the Responses dialect (OpenAI reference, "Create a model response", `tools`), and what each costs
// beside the tokens of the body. A hold must cover the worst case, so a request with a type that is not here, or that has
// no bound, is served by free models only: those are not told of such tools.

import { GatewayError } from "../../errors.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { arrayAt, isObject, objectAt, stringAt } from "./json-fields.ts";

interface Offer {
  any: boolean;
  readonly paid: Set<PaidTool>;
  unbounded: string | undefined;
}

interface PaidTool {
  /** The name in `serverTools`. */
  readonly counter: string;
  /** Prompt tokens that the result of one call adds at most. */
  readonly resultTokens: number;
}

/** OpenAI docs "Pricing": 8,000 tokens of search content a call where it is fixed; twice that is assumed elsewhere. */
const webSearch: PaidTool = { counter: "web_search", resultTokens: 16_000 };

/** `client`: the client runs it, so its result comes in the next request. Else it is paid by the call. */
const toolTypes: ReadonlyMap<string, "client" | PaidTool> = new Map<string, "client" | PaidTool>([
  ["function", "client"],
  ["custom", "client"],
  ["namespace", "client"],
  ["tool_search", "client"],
  ["local_shell", "client"],
  ["apply_patch", "client"],
  ["computer", "client"],
  ["computer_use_preview", "client"],
  ["web_search", webSearch],
  ["web_search_2025_08_26", webSearch],
  ["web_search_preview", webSearch],
  ["web_search_preview_2025_03_11", webSearch],
  // 50 results of 800 tokens.
  ["file_search", { counter: "file_search", resultTokens: 40_000 }],
  ["code_interpreter", { counter: "code_interpreter", resultTokens: 25_000 }],
]);

/** Tools that are known but have no bound, and why. */
const unbounded: ReadonlyMap<string, string> = new Map([
  ["mcp", "what a remote tool server adds to the prompt has no bound"],
  ["image_generation", "pictures are paid by size and quality"],
  ["programmatic_tool_calling", "the calls that a program makes have no bound"],
  ["shell", "container time is billed outside the usage"],
]);

/** The output item that stands for one call → its counter. */
const counters: ReadonlyMap<string, string> = new Map([
  ["web_search_call", "web_search"],
  ["file_search_call", "file_search"],
  ["code_interpreter_call", "code_interpreter"],
  ["image_generation_call", "image_generation"],
  ["mcp_call", "mcp"],
]);

/**
 * Calls of paid tools in one answer where the request sets no `max_tool_calls`; it is then written into the request.
 * Codex offers `web_search` in every request and cannot set a limit, so this is in every one of its holds: each call more
 * would hold its whole prompt once more, and soon leave no room in a small daily cap.
 */
export const DEFAULT_TOOL_CALLS = 1;
const MAX_TOOL_CALLS = 50;

export interface ToolCosts {
  readonly any: boolean;
  /** Prompt tokens that are not in the body. */
  readonly hiddenTokens: number;
  /** How often the prompt may be read: a paid tool runs it again after each of its calls. */
  readonly rounds: number;
  /** Most calls by name; undefined where no tool is paid by the call. */
  readonly serverTools: { readonly [tool: string]: number } | undefined;
  /** The first tool whose cost is unknown or has no bound, in words for the client. */
  readonly unbounded: string | undefined;
}

/** Checks every tool that the request offers, also inside `input`. Throws REQUEST_INVALID for what is no list of tools. */
export function readToolCosts(body: JsonObject): ToolCosts {
  const offer: Offer = { any: false, paid: new Set(), unbounded: undefined };
  checkTools(body["tools"], "tools", offer);
  const input = body["input"];
  if (Array.isArray(input)) {
    for (let i = 0; i < input.length; i++) {
      const item = input[i];
      if (isObject(item) && offersTools(item)) checkTools(item["tools"], `input[${i}].tools`, offer);
    }
  }
  const { any, paid, unbounded } = offer;
  if (paid.size === 0) return { any, hiddenTokens: 0, rounds: 1, serverTools: undefined, unbounded };
  const calls = readMaxToolCalls(body["max_tool_calls"]);
  const serverTools = Object.fromEntries([...paid].map((tool) => [tool.counter, calls]));
  const resultTokens = Math.max(...[...paid].map((tool) => tool.resultTokens));
  return { any, hiddenTokens: calls * resultTokens, rounds: 1 + calls, serverTools, unbounded };
}

/** True where the request offers a paid tool and says nothing about the number of calls. */
export function lacksCallLimit(body: JsonObject): boolean {
  const limit = body["max_tool_calls"];
  if (limit !== undefined && limit !== null) return false;
  if (offersPaid(arrayAt(body, "tools"))) return true;
  return arrayAt(body, "input").some(
    (item) => isObject(item) && offersTools(item) && offersPaid(arrayAt(item, "tools")),
  );
}

/** True where the request offers a tool that no other vendor has: what runs at the vendor, and what it alone knows how to call. */
export function offersHosted(body: JsonObject): boolean {
  return arrayAt(body, "tools").some((tool) => isObject(tool) && !carried.has(tool["type"] ?? null));
}

/** Tool types that every dialect can be told of. `tool_search` only finds tools, which are offered all at once elsewhere. */
const carried: ReadonlySet<Json> = new Set<Json>(["function", "custom", "namespace", "tool_search"]);

/** The name under which an output item counts in `Usage.serverTools`; undefined where it is no paid call. */
export function serverToolOf(itemType: string): string | undefined {
  return counters.get(itemType);
}

/** Items that bring tools into the middle of a conversation. */
export function offersTools(item: JsonObject): boolean {
  return item["type"] === "additional_tools" || item["type"] === "tool_search_output";
}

function offersPaid(tools: readonly Json[]): boolean {
  return tools.some((tool) => isObject(tool) && typeof toolTypes.get(stringAt(tool, "type") ?? "") === "object");
}

function checkTools(tools: Json | undefined, path: string, offer: Offer): void {
  if (tools === undefined || tools === null) return;
  if (!Array.isArray(tools)) throw invalid(`${path}: expected a list.`);
  for (let i = 0; i < tools.length; i++) {
    const tool = tools[i];
    if (!isObject(tool)) throw invalid(`${path}[${i}]: expected an object.`);
    checkTool(tool, `${path}[${i}]`, offer);
  }
  if (tools.length > 0) offer.any = true;
}

function checkTool(tool: JsonObject, path: string, offer: Offer): void {
  const type = stringAt(tool, "type");
  if (type === undefined) throw invalid(`${path}.type: expected the tool's type.`);
  const known = toolTypes.get(type);
  if (known === undefined) {
    if (type === "shell" && objectAt(tool, "environment")?.["type"] === "local") return;
    const why = unbounded.get(type) ?? "this gateway cannot put a price on this tool";
    offer.unbounded ??= `${path}.type: ${why}; leave it out, or ask a local model.`;
    return;
  }
  if (known !== "client") offer.paid.add(known);
  if (type === "namespace") checkTools(tool["tools"], `${path}.tools`, offer);
}

function readMaxToolCalls(value: Json | undefined): number {
  if (value === undefined || value === null) return DEFAULT_TOOL_CALLS;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_TOOL_CALLS) return value;
  throw invalid(`max_tool_calls: each call is paid for, so expected an integer from 1 to ${MAX_TOOL_CALLS}.`);
}

function invalid(publicMessage: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", { publicMessage });
}
