// What the pipeline must know of a Messages request before anything is translated.

import { surveyMedia, inputBoundWith } from "../media-ceilings.ts";
import type { Json, JsonObject, WireFacts } from "../neutral.ts";
import { refuseRouterSwitches } from "../router-switches.ts";
import { readAlternates, readToolCosts, refusePricedSwitches } from "./priced-switches.ts";
import {
  invalidField,
  isAbsent,
  isObject,
  readMessages,
  readModel,
  readObject,
  readOptionalBoolean,
  readTokenLimit,
} from "./request-fields.ts";

/** Throws REQUEST_INVALID that names the field. Looks only at what money, routing and limits hang on. */
export function messagesFacts(body: JsonObject, bodyBytes: number): WireFacts {
  const model = readModel(body["model"]);
  const stream = readOptionalBoolean(body["stream"], "stream") ?? false;
  // 0 is legal: it warms the prompt cache without an answer (Anthropic docs "Prompt caching").
  const maxOutputTokens = readTokenLimit(body["max_tokens"], "max_tokens", 0);
  const messages = readMessages(body["messages"]);
  refuseUnknownRoles(messages);
  refusePricedSwitches(body);
  refuseRouterSwitches(body, model);
  const alternates = readAlternates(body, maxOutputTokens);
  const tools = readToolCosts(body);
  const media = surveyMedia(body);
  return {
    model,
    stream,
    maxOutputTokens,
    choices: 1,
    hasTools: !isAbsent(body["tools"]) && (body["tools"] as Json[]).length > 0,
    hasImages: media.images > 0,
    ...(media.documents > 0 ? { documents: media.documents } : undefined),
    hasThinking: asksForThinking(body["thinking"]),
    hasJsonFormat: asksForJson(body),
    wantsUsageEvent: false,
    inputTokenBound: promptBound(inputBoundWith(media, bodyBytes), tools),
    ...(alternates === undefined ? undefined : { alternates }),
    ...(tools.serverTools === undefined ? undefined : { serverTools: tools.serverTools }),
  };
}

/** A server tool runs the prompt again after each of its calls, so the text counts once more per call. */
function promptBound(bound: number, tools: ReturnType<typeof readToolCosts>): number {
  let rounds = 1;
  if (tools.serverTools !== undefined) {
    for (const uses of Object.values(tools.serverTools)) rounds += uses;
  }
  return bound * rounds + tools.hiddenTokens;
}

/** Roles are few: a typing error is best told before a provider is asked. */
function refuseUnknownRoles(messages: readonly JsonObject[]): void {
  for (let i = 0; i < messages.length; i++) {
    const role = messages[i]!["role"];
    if (role !== "user" && role !== "assistant" && role !== "system") {
      throw invalidField(`messages.${i}.role`, "expected user, assistant or system");
    }
  }
}

function asksForThinking(thinking: Json | undefined): boolean {
  if (isAbsent(thinking)) return false;
  return readObject(thinking, "thinking")["type"] !== "disabled";
}

function asksForJson(body: JsonObject): boolean {
  const config = body["output_config"];
  return (isObject(config) && !isAbsent(config["format"])) || !isAbsent(body["output_format"]);
}
