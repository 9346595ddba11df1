// The output limit of a Chat request, which has had three names.

import { invalidField, isAbsent, readTokenLimit } from "../messages/request-fields.ts";
import type { JsonObject, LimitName, Target } from "../neutral.ts";
import { isReasoningModel } from "../profiles/openai-models.ts";

const names = ["max_completion_tokens", "max_tokens", "max_output_tokens"] as const;

/**
 * What a server calls a limit that the client did not set. One that does not know the new name refuses it, or ignores it, so
 * that the answer costs more than was held for it.
 */
export function outputLimitName({ profile, model }: Pick<Target, "profile" | "model">): LimitName {
  return profile === "openai" || isReasoningModel(model) ? "max_completion_tokens" : "max_tokens";
}

/** Two different limits: one would be believed here and the other by the upstream (threat model B5). Throws REQUEST_INVALID. */
export function agreedOutputLimit(body: JsonObject): number | undefined {
  let agreed: number | undefined;
  for (const name of names) {
    const limit = readTokenLimit(body[name], name, 1);
    if (limit !== undefined && agreed !== undefined && limit !== agreed) {
      const present = names.filter((one) => !isAbsent(body[one])).toSorted((a, b) => a.length - b.length);
      throw invalidField(present.join(" and "), "they differ; send one of them");
    }
    agreed ??= limit;
  }
  return agreed;
}

/** For bodies in the dialect's own shape: `max_output_tokens` alone is unknown to Chat servers, so it would limit nothing. */
export function readOutputLimit(body: JsonObject): number | undefined {
  const limit = agreedOutputLimit(body);
  if (limit !== undefined && isAbsent(body["max_tokens"]) && isAbsent(body["max_completion_tokens"])) {
    throw invalidField("max_output_tokens", "this dialect calls it max_completion_tokens");
  }
  return limit;
}
