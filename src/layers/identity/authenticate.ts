import { GatewayError } from "../../errors.ts";
import type { Agent } from "../../request.ts";
import { Secret } from "../../secret.ts";
import { TokenTable } from "./tokens.ts";

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
  readonly agents: ReadonlyMap<string, Omit<Agent, "auth"> & { readonly tokenHashes: readonly string[] }>;
}

const anonymousName = "default";
/** What people put where an SDK insists on a key. */
const anonymousLiteral = "anonymous";

/** Builds the check for one configuration. The check throws IDENTITY_* errors whose text is the same for every cause. */
export function createAuthenticator(config: IdentityConfig): (claim: Claim) => Caller {
  const tokens = new TokenTable(config.agents.values());
  const byToken = new Map<string, Agent>();
  for (const entry of config.agents.values()) byToken.set(entry.name, { ...entry, auth: "token" });
  const defaultEntry = config.agents.get(anonymousName);
  const anonymous: Agent | null =
    defaultEntry !== undefined && config.anonymous === "loopback" ? { ...defaultEntry, auth: "anonymous" } : null;

  return (claim) => {
    const own = credential(claim.headers.get("x-sanctum-token"));
    const bearer = bearerOf(credential(claim.headers.get("authorization")));
    const apiKey = credential(claim.headers.get("x-api-key"));

    // x-sanctum-token wins; the vendor headers are then the client's own business with the vendor.
    const agent =
      own !== null
        ? agentFor([own], tokens, byToken, anonymous, claim.fromLoopback)
        : agentFor([bearer, apiKey], tokens, byToken, anonymous, claim.fromLoopback);

    for (const name of [claim.claimedAgent, claim.headers.get("x-sanctum-agent") ?? undefined]) {
      if (name !== undefined && name !== agent.name) throw new GatewayError("IDENTITY_MISMATCH");
    }
    const vendor = own !== null ? (bearer ?? apiKey) : null;
    return { agent, passthrough: vendor === null ? null : Secret.fromString(vendor) };
  };
}

function agentFor(
  presented: readonly (string | null)[],
  tokens: TokenTable,
  byToken: ReadonlyMap<string, Agent>,
  anonymous: Agent | null,
  fromLoopback: boolean,
): Agent {
  let owner: string | null = null;
  let unknown = false;
  for (const token of presented) {
    if (token === null || token === anonymousLiteral) continue;
    const found = tokens.ownerOf(token);
    if (found === null) unknown = true;
    else if (owner !== null && owner !== found) throw new GatewayError("IDENTITY_MISMATCH");
    else owner = found;
  }
  // Claude Code sends both headers when both of its variables are set: one of them being ours is enough, and the other
  // one is dropped like every client credential.
  if (owner !== null) return byToken.get(owner)!;
  if (unknown) throw new GatewayError("IDENTITY_TOKEN_UNKNOWN");
  if (anonymous === null || !fromLoopback) throw new GatewayError("IDENTITY_REQUIRED");
  return anonymous;
}

/** Fetch joins repeated headers by a comma, which no token contains: two credentials in one header are refused. */
function credential(value: string | null): string | null {
  if (value === null || value === "") return null;
  if (value.includes(",")) throw new GatewayError("IDENTITY_AMBIGUOUS");
  return value.trim();
}

/** RFC 6750 section 2.1; another scheme is a credential that no table knows. */
function bearerOf(header: string | null): string | null {
  if (header === null) return null;
  return /^bearer +/i.test(header) ? header.replace(/^bearer +/i, "") || null : header;
}
