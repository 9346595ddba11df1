// Tokens of agents. The gateway keeps the hash alone: 32 random bytes can't be guessed, so that a plain SHA-256 needs no salt.

import { createHash } from "node:crypto";

import { Secret } from "../secret.ts";

export interface AgentToken {
  /** `sk-sanctum-<agent>-<43 characters base64url>`: shown once, stored nowhere. */
  readonly token: Secret;
  /** `sha256:<64 hex>`, as `config.yaml` holds it. */
  readonly hash: string;
}

/** `randomBytes` gives that many bytes from a cryptographic source. */
export function createToken(agent: string, randomBytes: (size: number) => Uint8Array): AgentToken {
  const bytes = randomBytes(32);
  if (bytes.length !== 32) throw new Error("a token needs 32 random bytes");
  const text = `sk-sanctum-${agent}-${Buffer.from(bytes).toString("base64url")}`;
  return { token: Secret.fromString(text), hash: `sha256:${hashToken(text)}` };
}

/** Lower-case hex of the SHA-256 of a token. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
