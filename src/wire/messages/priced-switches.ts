// What a Messages request can switch on that costs more than its tokens, or tokens that no bound covers. A hold must
// cover the worst case, so what cannot be bounded is refused, with the field's name. What measured clients send (Claude
// Code: `context_management`, `safeguards`, `diagnostics`, betas, `web_search_*` with `max_uses`) passes.

import type { Json, JsonObject } from "../neutral.ts";
import { invalidField, isAbsent, isObject, readOptionalArray } from "./request-fields.ts";

interface PricedSwitch {
  readonly field: string;
  readonly isHarmless: (value: Json) => boolean;
  readonly why: string;
}

const isEmpty = (value: Json): boolean => Array.isArray(value) && value.length === 0;

/** Anthropic docs: "Pricing", "Fast mode", "Data residency", "Code execution", "MCP connector", "Server-side fallback". */
const switches: readonly PricedSwitch[] = [
  { field: "container", isHarmless: () => false, why: "container time is billed outside the usage" },
  { field: "mcp_servers", isHarmless: isEmpty, why: "what a remote tool server adds to the prompt has no bound" },
  { field: "speed", isHarmless: (value) => value === "standard" || value === "fast", why: "expected standard or fast" },
  {
    field: "inference_geo",
    isHarmless: (value) => value === "global" || value === "us",
    why: "only the prices of global and us are known here",
  },
  {
    field: "service_tier",
    isHarmless: (value) => value === "auto" || value === "standard_only",
    why: "expected auto or standard_only",
  },
];

/** Tools that the client runs itself, known to the vendor by a dated type. Their definition is a hidden prompt. */
const clientTools = /^(?:bash|text_editor|memory|computer|computer_toolset|browser_toolset)_\d{8}$/;
/** Server tools without a fee. */
const freeServerTools = /^tool_search_tool_(?:bm25|regex)(?:_\d{8})?$/;
/** Server tools that are paid by the call and whose results are input: bounded by `max_uses`. */
const countedServerTools = /^(web_search|web_fetch)_\d{8}$/;

/** A vendor-defined client tool brings at most so many tokens (docs "Tool use": computer use 735, text editor 700). */
const CLIENT_TOOL_TOKENS = 2_000;
/** The prompt that tools bring with them (docs "Tool use", 313 to 804 tokens). */
const TOOL_PROMPT_TOKENS = 1_000;
/** What one search or fetch adds to the prompt at most; an assumption above what the vendor documents as typical. */
export const SERVER_TOOL_RESULT_TOKENS = 25_000;
const MAX_SERVER_TOOL_USES = 50;

/** What the tools of a request add to its worst case. */
export interface ToolCosts {
  /** Prompt tokens that are not in the body. */
  readonly hiddenTokens: number;
  /** Most calls of fee-bearing server tools by name; undefined where there are none. */
  readonly serverTools: { readonly [tool: string]: number } | undefined;
}

const noTools: ToolCosts = { hiddenTokens: 0, serverTools: undefined };

/** Throws REQUEST_INVALID where the request switches on what cannot be bounded. */
export function refusePricedSwitches(body: JsonObject): void {
  for (const entry of switches) {
    const value = body[entry.field];
    if (!isAbsent(value) && !entry.isHarmless(value)) throw invalidField(entry.field, `${entry.why}; leave it out`);
  }
  refuseCompaction(body["context_management"]);
}

/** More would tie up more money than any of them is worth. */
const MAX_ALTERNATES = 3;

/**
 * The models that the vendor may ask instead when the first one declines (docs "Server-side fallback"); each may run the
 * whole prompt again. Empty names: the vendor's own choice. Throws REQUEST_INVALID where their cost has no bound.
 */
export function readAlternates(body: JsonObject, maxOutputTokens: number | undefined): readonly string[] | undefined {
  const fallbacks = body["fallbacks"];
  if (isAbsent(fallbacks) || isEmpty(fallbacks)) return undefined;
  if (fallbacks === "default") return Array.from({ length: MAX_ALTERNATES }, () => "");
  if (!Array.isArray(fallbacks) || fallbacks.length > MAX_ALTERNATES) {
    throw invalidField("fallbacks", `expected "default" or at most ${MAX_ALTERNATES} models`);
  }
  return fallbacks.map((entry, i) => {
    const model = isObject(entry) ? entry["model"] : undefined;
    if (!isObject(entry) || typeof model !== "string") throw invalidField(`fallbacks.${i}.model`, "expected a model");
    const limit = entry["max_tokens"];
    if (typeof limit === "number" && limit > (maxOutputTokens ?? Infinity)) {
      throw invalidField(`fallbacks.${i}.max_tokens`, "expected at most the max_tokens of the request");
    }
    return model;
  });
}

/** A compaction writes a summary whose output no `max_tokens` covers (docs "Compaction"); clearing edits are free. */
function refuseCompaction(management: Json | undefined): void {
  const edits = isObject(management) ? management["edits"] : undefined;
  if (!Array.isArray(edits)) return;
  for (let i = 0; i < edits.length; i++) {
    const edit = edits[i];
    const type = isObject(edit) ? edit["type"] : undefined;
    if (typeof type === "string" && type.startsWith("compact")) {
      throw invalidField(`context_management.edits.${i}.type`, "compaction is billed beyond max_tokens; leave it out");
    }
  }
}

/** Throws REQUEST_INVALID for tools whose cost is unknown or has no limit. */
export function readToolCosts(body: JsonObject): ToolCosts {
  const tools = readOptionalArray(body["tools"], "tools");
  if (tools.length === 0) return noTools;
  let hiddenTokens = TOOL_PROMPT_TOKENS;
  let uses: { [tool: string]: number } | undefined;
  for (let i = 0; i < tools.length; i++) {
    const tool = tools[i];
    if (!isObject(tool)) throw invalidField(`tools.${i}`, "expected an object");
    const type = tool["type"];
    if (isAbsent(type) || type === "custom") continue;
    if (typeof type !== "string") throw invalidField(`tools.${i}.type`, "expected a string");
    const counted = countedServerTools.exec(type)?.[1];
    if (counted !== undefined) {
      const most = readMaxUses(tool["max_uses"], `tools.${i}.max_uses`);
      uses ??= {};
      uses[counted] = (uses[counted] ?? 0) + most;
      hiddenTokens += most * resultTokens(tool["max_content_tokens"]);
    } else if (clientTools.test(type) || freeServerTools.test(type)) {
      hiddenTokens += CLIENT_TOOL_TOKENS;
    } else {
      throw invalidField(`tools.${i}.type`, "this gateway cannot put a price on this server tool; leave it out");
    }
  }
  return { hiddenTokens, serverTools: uses };
}

function readMaxUses(value: Json | undefined, path: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > MAX_SERVER_TOOL_USES) {
    throw invalidField(path, `each use is paid for, so expected an integer from 1 to ${MAX_SERVER_TOOL_USES}`);
  }
  return value;
}

/** `web_fetch` takes a limit of its own, which may be larger than our assumption. */
function resultTokens(limit: Json | undefined): number {
  return typeof limit === "number" && limit > SERVER_TOOL_RESULT_TOKENS ? limit : SERVER_TOOL_RESULT_TOKENS;
}
