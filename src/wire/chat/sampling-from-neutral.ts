import type { JsonObject, NeutralRequest, Target } from "../neutral.ts";
import { isReasoningModel } from "../profiles/openai-models.ts";
import { serverProfiles } from "../profiles/server-profiles.ts";

/** The settings of the Chat dialect alone that this server takes; OpenAI's reasoning models answer 400 to all of them. */
export function chatSamplingFor(
  { chatSampling }: NeutralRequest,
  { profile, model }: Pick<Target, "profile" | "model">,
): JsonObject {
  const taken: JsonObject = {};
  if (chatSampling === undefined || (profile === "openai" && isReasoningModel(model))) return taken;
  for (const name of serverProfiles[profile].sampling) {
    const value = chatSampling[name];
    if (value !== undefined) taken[name] = value;
  }
  return taken;
}
