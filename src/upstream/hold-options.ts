import type { Keyed } from "../request.ts";
import type { NeutralRequest } from "../wire/neutral.ts";
import { serverProfiles } from "../wire/profiles/server-profiles.ts";
import type { HoldOptions } from "../wire/tool-hold.ts";
import { profileOf } from "./profile.ts";

/** What must wait, or be left out, of the answer of this candidate to this client. */
export function holdOptions({ request, candidate }: Keyed, neutral: NeutralRequest): HoldOptions {
  return {
    request: neutral,
    singleCall: neutral.parallelTools === false && !serverProfiles[profileOf(candidate.provider)].singleCalls,
    // Agents of this dialect ask again, at full price, for an answer that is thoughts alone; chat windows show them live.
    holdsThinking: candidate.local && request.dialect === "messages",
  };
}
