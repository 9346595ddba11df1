// A credential that the client brought for its vendor (`key: passthrough`): for whom it is, and what it costs.

import { formOf, vendorAt } from "./key-forms.ts";
import type { Candidate, Keyed, Planned, Provider } from "./request.ts";
import type { Secret } from "./secret.ts";
import { serverKindOf } from "./wire/profiles/server-kind.ts";

/** Header values without anything that could break one; as long as `checkKey` allows. */
const usable = /^[\x21-\x7e]{8,4096}$/;
/** Anthropic's logins, by which Claude Code asks for a subscription's models. */
const subscription = "sk-ant-oat";

/** Whether this can be a vendor's credential: what opens the gateway, or stands for nobody, never is one. */
export function canBeVendors(credential: string): boolean {
  return usable.test(credential) && formOf(credential)?.kind !== "gateway" && !/^sk-sanctum-/i.test(credential);
}

/** Whether it is of a form that one known vendor gives out. */
export function isKnownVendors(credential: string): boolean {
  return canBeVendors(credential) && vendorOf(credential) !== null;
}

/**
 * Whether the client's own credential is for this provider: for one provider of the plan alone, the first that takes it,
 * and never for a vendor that did not give it out.
 */
export function takesOwn(
  provider: Provider,
  { passthrough, candidates }: Pick<Planned, "passthrough" | "candidates">,
): boolean {
  if (passthrough === null || provider.key.from !== "passthrough") return false;
  const vendor = vendorOf(passthrough.reveal());
  return candidates.find((candidate) => isMeantFor(vendor, candidate))?.provider.name === provider.name;
}

/** Whether this attempt goes out under the client's own credential. */
export function isOwn({ key, request }: Pick<Keyed, "key" | "request">): boolean {
  return key !== null && request.passthrough !== null && key.isOf(request.passthrough);
}

/** A subscription is paid by the month: its tokens cost nothing more, and not the house. */
export function isSubscription(credential: Secret): boolean {
  return credential.reveal().startsWith(subscription);
}

function vendorOf(credential: string): string | null {
  return formOf(credential)?.vendor ?? null;
}

const vendorKinds: ReadonlySet<string> = new Set(["anthropic", "openai", "openrouter"]);

function isMeantFor(vendor: string | null, { provider, reason }: Candidate): boolean {
  if (provider.key.from !== "passthrough") return false;
  // Whose it is nobody can tell: then it is for the one that was asked for, and for nobody who only stands in.
  if (vendor === null) return reason !== "fallback";
  if (provider.local) return false;
  const kind = serverKindOf(provider);
  const known = vendorKinds.has(kind) ? kind : vendorAt(provider.url)?.name;
  return known === undefined || known === vendor;
}
