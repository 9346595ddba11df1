import { GatewayError } from "../../errors.ts";
import { canBeVendors, isKnownVendors } from "../../own-credential.ts";
import type { Agent } from "../../request.ts";
import { Secret } from "../../secret.ts";
import type { RunTokens } from "./run-tokens.ts";
import { TokenTable, digestOf, type TokenEntry } from "./tokens.ts";

/** What the door knows of a caller. */
export interface Claim {
  readonly headers: Headers;
  /** From `/agent/{name}`. */
  readonly claimedAgent: string | undefined;
  readonly fromLoopback: boolean;
}

export interface Caller {
  readonly agent: Agent;
  /** A vendor credential that the client sent beside its gateway token, for `key: passthrough`. */
  readonly passthrough: Secret | null;
}

export interface IdentityConfig {
  readonly anonymous: "loopback" | "never";
  /** Some provider has `key: passthrough`. */
  readonly passthrough: boolean;
  readonly agents: ReadonlyMap<string, Omit<Agent, "auth"> & { readonly tokens: readonly TokenEntry[] }>;
}

interface Parts {
  /** Shared by all configurations. */
  readonly runTokens: RunTokens;
  /** Wall clock, milliseconds: some tokens end at a moment. */
  readonly now: () => number;
}

/** The agent of a token, or null: it is unknown, or its time is over. */
type OwnerOf = (token: string) => Agent | null;

const anonymousName = "default";
/** What people put where an SDK insists on a key. */
const anonymousLiteral = "anonymous";

/** Builds the check for one configuration. The check throws IDENTITY_* errors whose text is the same for every cause. */
export function createAuthenticator(config: IdentityConfig, { runTokens, now }: Parts): (claim: Claim) => Caller {
  const table = new TokenTable(config.agents.values());
  const byName = new Map<string, Agent>();
  for (const entry of config.agents.values()) byName.set(entry.name, { ...entry, auth: "token" });
  const ownerOf: OwnerOf = (token) => {
    const digest = digestOf(token);
    const name = table.ownerOf(digest, now()) ?? runTokens.ownerOf(digest);
    // A token that was lent under a newer configuration may be of an agent that this one does not know.
    return name === null ? null : (byName.get(name) ?? null);
  };
  const defaultEntry = config.agents.get(anonymousName);
  const anonymous: Agent | null =
    defaultEntry !== undefined && config.anonymous === "loopback" ? { ...defaultEntry, auth: "anonymous" } : null;

  return (claim) => {
    const own = credential(claim.headers.get("x-sanctum-token"));
    const bearer = bearerOf(credential(claim.headers.get("authorization")));
    const apiKey = credential(claim.headers.get("x-api-key"));
    const claimedName = single(claim.headers.get("x-sanctum-agent")) ?? undefined;

    // Who asks for `default` by path may bring a vendor's credential without another header: no client sends one by mistake.
    const byPath = config.passthrough && own === null && claim.claimedAgent === anonymousName;
    const brought = [bearer, apiKey].find((one) => one !== null && isVendors(one, ownerOf)) ?? null;
    const login = byPath && brought !== null && isKnownVendors(brought) ? brought : null;
    // x-sanctum-token wins; the vendor headers are then the client's own business with the vendor.
    const presented = own !== null ? [own] : [bearer, apiKey].filter((one) => one !== login);
    const agent = agentFor(presented, ownerOf, anonymous, claim.fromLoopback);

    for (const name of [claim.claimedAgent, claimedName]) {
      if (name !== undefined && name !== agent.name) throw new GatewayError("IDENTITY_MISMATCH");
    }
    const vendor = own !== null ? brought : login;
    return { agent, passthrough: vendor === null ? null : Secret.fromString(vendor) };
  };
}

/** A gateway token in a vendor's header (Claude Code sends both where both are set) must not get to the vendor. */
function isVendors(credential: string, ownerOf: OwnerOf): boolean {
  return credential !== anonymousLiteral && canBeVendors(credential) && ownerOf(credential) === null;
}

function agentFor(
  presented: readonly (string | null)[],
  ownerOf: OwnerOf,
  anonymous: Agent | null,
  fromLoopback: boolean,
): Agent {
  let owner: Agent | null = null;
  let unknown = false;
  for (const token of presented) {
    if (token === null || token === anonymousLiteral) continue;
    const found = ownerOf(token);
    if (found === null) unknown = true;
    else if (owner !== null && owner !== found) throw new GatewayError("IDENTITY_MISMATCH");
    else owner = found;
  }
  // Claude Code sends both headers when both of its variables are set: one of them being ours is enough, and the other
  // one is dropped like every client credential.
  if (owner !== null) return owner;
  if (unknown) throw new GatewayError("IDENTITY_TOKEN_UNKNOWN");
  if (anonymous === null || !fromLoopback) throw new GatewayError("IDENTITY_REQUIRED");
  return anonymous;
}

/** Nothing is no credential. */
function credential(value: string | null): string | null {
  return value === "" ? null : (single(value)?.trim() ?? null);
}

/** Fetch joins repeated headers by a comma, which no token and no name contains: two of them are refused. */
function single(value: string | null): string | null {
  if (value?.includes(",") === true) throw new GatewayError("IDENTITY_AMBIGUOUS");
  return value;
}

/** RFC 6750 section 2.1; another scheme is a credential that no table knows. */
function bearerOf(header: string | null): string | null {
  if (header === null) return null;
  return /^bearer +/i.test(header) ? header.replace(/^bearer +/i, "") || null : header;
}
