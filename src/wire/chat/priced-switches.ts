// What a Chat request can switch on that costs more than its tokens, or another model's price. A hold must cover the
// worst case, so what cannot be bounded is refused, with the field's name. Sources: OpenAI docs "Pricing", "Predicted
// outputs", "Web search"; OpenRouter docs "Model routing", "Provider routing", "Web search", "Presets".

import type { Json, JsonObject } from "../neutral.ts";
import { invalidField, isAbsent, isObject, readOptionalArray } from "../messages/request-fields.ts";
import { refuseRouterSwitches } from "../router-switches.ts";

interface PricedSwitch {
  readonly field: string;
  readonly isHarmless: (value: Json) => boolean;
  readonly why: string;
}

const never = (): boolean => false;
const isEmpty = (value: Json): boolean => Array.isArray(value) && value.length === 0;
const tiers: readonly Json[] = ["auto", "default", "flex", "standard"];

const switches: readonly PricedSwitch[] = [
  { field: "fallbacks", isHarmless: isEmpty, why: "the gateway itself chooses what answers when a model fails" },
  {
    field: "service_tier",
    isHarmless: (value) => tiers.includes(value),
    why: "expected auto, default, flex or standard",
  },
  { field: "prediction", isHarmless: never, why: "rejected predictions are billed beyond the token limit" },
  { field: "best_of", isHarmless: (value) => value === 1, why: "answers that are not shown are billed" },
  { field: "audio", isHarmless: never, why: "audio has a price of its own" },
  {
    field: "modalities",
    isHarmless: (value) => Array.isArray(value) && value.every((modality) => modality === "text"),
    why: "only text output can be paid for here",
  },
];

/** The prompt that tools bring with them; OpenAI publishes no figure, Anthropic's is at most 804 (docs "Tool use"). */
export const TOOL_PROMPT_TOKENS = 1_000;

/** Throws REQUEST_INVALID where the request switches on what cannot be bounded. */
export function refusePricedSwitches(body: JsonObject, model: string): void {
  for (const entry of switches) {
    const value = body[entry.field];
    if (!isAbsent(value) && !entry.isHarmless(value)) throw invalidField(entry.field, `${entry.why}; leave it out`);
  }
  refuseRouterSwitches(body, model);
  refusePricedTools(body["tools"]);
  refusePricedParts(body["messages"]);
}

/** A tool without a type is taken for a function: some clients send them bare. */
function refusePricedTools(value: Json | undefined): void {
  const tools = readOptionalArray(value, "tools");
  for (let i = 0; i < tools.length; i++) {
    const tool = tools[i];
    if (!isObject(tool)) throw invalidField(`tools.${i}`, "expected an object");
    const type = tool["type"];
    if (!isAbsent(type) && type !== "function" && type !== "custom") {
      throw invalidField(`tools.${i}.type`, "expected function or custom; tools that the vendor runs have fees");
    }
  }
}

/** Sound and film are billed by prices of their own. */
function refusePricedParts(messages: Json | undefined): void {
  if (!Array.isArray(messages)) return;
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i];
    const content = isObject(message) ? message["content"] : undefined;
    if (!Array.isArray(content)) continue;
    for (let j = 0; j < content.length; j++) {
      const part = content[j];
      const type = isObject(part) ? part["type"] : undefined;
      if (type === "input_audio" || type === "video_url" || type === "input_video") {
        throw invalidField(`messages.${i}.content.${j}.type`, "audio and video are not served here");
      }
    }
  }
}
