// What of an upstream's failure a client may read. Vendors' own words go on as they are, since clients match on them; a
// server at home tells of addresses, paths and models that are nobody's business.

import type { Keyed } from "../request.ts";
import type { JsonObject, SseEvent, UpstreamFault } from "../wire/neutral.ts";
import { isPublic, withoutAccount } from "../wire/public-text.ts";

/** The fault with the name that the client asked for in place of the upstream's own. */
export function toldFault({ request, candidate }: Keyed, fault: UpstreamFault): UpstreamFault {
  const { model } = request.facts;
  if (candidate.model === model || !fault.message.includes(candidate.model)) return fault;
  return { ...fault, message: fault.message.replaceAll(candidate.model, () => model) };
}

/** An error body in the client's dialect as it may go on; null: it must be written anew. */
export function toldBody(keyed: Keyed, text: string): string | null {
  const body = objectIn(text);
  if (body === null || (keyed.candidate.local && !isTellable(keyed, text))) return null;
  const shorter = withoutAccount(body);
  return shorter === undefined ? text : JSON.stringify(shorter);
}

/** Whether an error event in the client's dialect may go on as it is. */
export function mayPass(keyed: Keyed, { data }: SseEvent): boolean {
  return keyed.candidate.local ? isTellable(keyed, data) : !data.includes('"provider_name"');
}

function isTellable({ request, candidate }: Keyed, text: string): boolean {
  return isPublic(text) && (candidate.model === request.facts.model || !text.includes(candidate.model));
}

function objectIn(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
  } catch {
    return null;
  }
}
