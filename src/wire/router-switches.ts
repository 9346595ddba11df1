// What OpenRouter takes beside the vendors' own fields, in every dialect that it speaks: another model's price, or goods
// that are billed beside the tokens (docs "Model fallbacks", "Provider routing", "Web search", "Presets"). The gateway
// itself chooses who answers, and a hold must cover the worst case: so these are refused, with the field's name.

import { invalidField, isAbsent, isObject } from "./messages/request-fields.ts";
import type { Json, JsonObject } from "./neutral.ts";

interface RouterSwitch {
  readonly field: string;
  readonly isHarmless: (value: Json) => boolean;
  readonly why: string;
}

const never = (): boolean => false;
const isEmpty = (value: Json): boolean => Array.isArray(value) && value.length === 0;
const ANOTHER_MODEL = "the gateway itself chooses what answers when a model fails";

const switches: readonly RouterSwitch[] = [
  { field: "models", isHarmless: isEmpty, why: ANOTHER_MODEL },
  { field: "route", isHarmless: never, why: ANOTHER_MODEL },
  { field: "preset", isHarmless: never, why: "a preset hides the model and its prompt" },
  { field: "plugins", isHarmless: isEmpty, why: "plugins are billed beside the tokens" },
  { field: "web_search_options", isHarmless: never, why: "searches are billed beside the tokens, without a limit" },
  { field: "provider", isHarmless: keepsCheapest, why: "this choice of providers can raise the price" },
];

/** Members of `provider` that name a dearer one. */
function keepsCheapest(value: Json): boolean {
  if (!isObject(value)) return false;
  if (!isAbsent(value["sort"]) && value["sort"] !== "price") return false;
  return isAbsent(value["order"]) && isAbsent(value["only"]) && isAbsent(value["quantizations"]);
}

/** Throws REQUEST_INVALID where the body or the model's name asks for any of it. */
export function refuseRouterSwitches(body: JsonObject, model: string): void {
  for (const { field, isHarmless, why } of switches) {
    const value = body[field];
    if (!isAbsent(value) && !isHarmless(value)) throw invalidField(field, `${why}; leave it out`);
  }
  // Variants may be combined: `:online:floor`.
  if (/:online(?![a-z0-9])/i.test(model)) throw invalidField("model", "the suffix :online buys searches; leave it out");
  if (/@preset\//i.test(model)) throw invalidField("model", "a preset hides the model and its prompt; leave it out");
}
