import type { Keyed } from "../request.ts";
import type { JsonObject, NeutralFormat, NeutralRequest } from "../wire/neutral.ts";
import { serverProfiles } from "../wire/profiles/server-profiles.ts";
import { profileOf } from "./profile.ts";

/**
 * Whether a translated request is asked for as a stream. Of a local server always, so that its silence and the client's
 * leaving are noticed while it works; but not where its streams lose tool calls.
 */
export function asksForStream({ request, candidate }: Keyed, neutral: NeutralRequest): boolean {
  if (neutral.tools.length > 0 && !serverProfiles[profileOf(candidate.provider)].toolStreams) return false;
  return request.facts.stream || candidate.local;
}

/** The schema that the answer is checked against here; null where the server obeys it, or none is asked for. */
export function schemaToCheck({ candidate }: Keyed, { format }: NeutralRequest): JsonObject | null {
  if (!candidate.local || !isSchema(format)) return null;
  return serverProfiles[profileOf(candidate.provider)].schemaBinds ? null : format.schema;
}

function isSchema(format: NeutralFormat | undefined): format is Extract<NeutralFormat, { type: "json_schema" }> {
  return format?.type === "json_schema";
}
