// What an upstream is sent: the client's own bytes, or the neutral form in the upstream's dialect.

import type { Keyed } from "../request.ts";
import { outputLimitName } from "../wire/chat/output-limit.ts";
import { setTopLevel } from "../wire/json-edit.ts";
import type { Codec, JsonObject, NeutralRequest, RequestPatch, ServerKind, Target } from "../wire/neutral.ts";
import { serverProfiles } from "../wire/profiles/server-profiles.ts";
import { promptBound } from "../wire/prompt-bound.ts";
import { wellFormedJson } from "../wire/well-formed.ts";
import { embeddingsRequest } from "./embeddings.ts";
import { countTokens } from "./meter.ts";
import { originOf } from "./origin.ts";
import { profileOf } from "./profile.ts";

/** Output tokens that are asked for however full the window seems: our count is on the high side. */
const leastRoom = 256;

/** The same dialect on both sides: the client's bytes, changed only where they must be. */
export function patched(keyed: Keyed, codec: Codec): string {
  const { request, candidate, allowance } = keyed;
  if (request.operation === "embeddings") {
    const text = embeddingsRequest(request.text, keyed);
    return candidate.model === request.facts.model ? text : codec.patchAnswer(text, candidate.model);
  }
  const text = codec.patchRequest(request.text, request.body, {
    ...(candidate.model === request.facts.model ? {} : { model: candidate.model }),
    ...(allowance.clampTo === undefined ? {} : limitOf(candidate, allowance.clampTo)),
    ...(request.facts.stream && codec.dialect === "chat" ? { includeUsage: true } : {}),
  });
  return codec.dialect === "chat" ? pinned(text, request.body, profileOf(candidate.provider)) : text;
}

function limitOf({ provider, model }: Keyed["candidate"], maxOutputTokens: number): RequestPatch {
  return { maxOutputTokens, limitName: outputLimitName({ profile: profileOf(provider), model }) };
}

/** Some servers do harm by default: what keeps them from it goes along unless the client has its own say. */
function pinned(text: string, body: JsonObject, kind: ServerKind): string {
  const fields = Object.entries(serverProfiles[kind].pinned).filter(([name]) => body[name] === undefined);
  return fields.length === 0 ? text : setTopLevel(text, Object.fromEntries(fields));
}

export function translated(keyed: Keyed, codec: Codec, neutral: NeutralRequest, stream: boolean): string {
  const { candidate, allowance } = keyed;
  const target: Target = {
    profile: profileOf(candidate.provider),
    model: candidate.model,
    ...(candidate.images === undefined ? {} : { images: candidate.images }),
    ...(candidate.tools === undefined ? {} : { tools: candidate.tools }),
    maxOutputTokens: withinWindow(keyed, allowance.clampTo ?? neutral.maxOutputTokens ?? candidate.maxOutput),
    // Only clients of that dialect keep thinking with the name of its origin.
    ...(keyed.request.dialect === "responses" && candidate.dialect === "messages"
      ? { origin: originOf(candidate) }
      : {}),
  };
  const asked = neutral.stream === stream ? neutral : { ...neutral, stream };
  return wellFormedJson(JSON.stringify(codec.fromNeutral(asked, target)));
}

/** Claude Code asks for 128,000 tokens of whatever answers; some local servers refuse more than what their window leaves. */
function withinWindow({ request, candidate }: Keyed, limit: number | undefined): number | undefined {
  if (limit === undefined) return undefined;
  const { context = Infinity, maxOutput = Infinity } = candidate;
  const room = Math.max(leastRoom, context - countTokens(promptBound(request.facts, request.text.length)));
  return Math.min(limit, maxOutput, room);
}
