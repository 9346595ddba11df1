import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { GatewayError } from "../../errors.ts";
import { createAuthenticator, type Claim } from "./authenticate.ts";

const tokenOf = { windu: `sk-sanctum-windu-${"a".repeat(43)}`, mothma: `sk-sanctum-mothma-${"b".repeat(43)}` };

function entry(name: string, tokens: string[]) {
  const caps = { daily: 1, hourly: undefined, monthly: undefined };
  const rest = {
    requestsPerMinute: undefined,
    maxConcurrent: undefined,
    models: undefined,
    overBudget: "local" as const,
  };
  return { name, caps, ...rest, tokenHashes: tokens.map((t) => createHash("sha256").update(t).digest("hex")) };
}

const agents = new Map([
  ["windu", entry("windu", [tokenOf.windu])],
  ["mothma", entry("mothma", [tokenOf.mothma])],
  ["default", entry("default", [])],
]);
const authenticate = createAuthenticator({ anonymous: "loopback", agents });

function claim(headers: Record<string, string>, more: Partial<Claim> = {}): Claim {
  return { headers: new Headers(headers), claimedAgent: undefined, fromLoopback: true, ...more };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

describe("identity", () => {
  test("a token is accepted in each of the three headers", () => {
    expect(authenticate(claim({ authorization: `Bearer ${tokenOf.windu}` })).agent.name).toBe("windu");
    expect(authenticate(claim({ "x-api-key": tokenOf.windu })).agent.name).toBe("windu");
    expect(authenticate(claim({ "x-sanctum-token": tokenOf.windu })).agent.name).toBe("windu");
  });

  test("no credential, or the word anonymous, is the agent default on loopback only", () => {
    expect(authenticate(claim({})).agent).toMatchObject({ name: "default", auth: "anonymous" });
    expect(authenticate(claim({ authorization: "Bearer anonymous" })).agent.name).toBe("default");
    expect(codeOf(() => authenticate(claim({}, { fromLoopback: false })))).toBe("IDENTITY_REQUIRED");
    const closed = createAuthenticator({ anonymous: "never", agents });
    expect(codeOf(() => closed(claim({})))).toBe("IDENTITY_REQUIRED");
  });

  test("an unknown token is refused, whatever it looks like", () => {
    for (const token of ["sk-sanctum-windu-x", "sk-ant-api03-abc", tokenOf.windu.slice(0, -1), `${tokenOf.windu}a`]) {
      expect(codeOf(() => authenticate(claim({ "x-api-key": token })))).toBe("IDENTITY_TOKEN_UNKNOWN");
    }
    expect(codeOf(() => authenticate(claim({ authorization: "Basic d2luZHU6eA==" })))).toBe("IDENTITY_TOKEN_UNKNOWN");
  });

  test("a name claimed by path or header must be the token's own", () => {
    const headers = { "x-api-key": tokenOf.windu };
    expect(authenticate(claim(headers, { claimedAgent: "windu" })).agent.name).toBe("windu");
    expect(codeOf(() => authenticate(claim(headers, { claimedAgent: "mothma" })))).toBe("IDENTITY_MISMATCH");
    expect(codeOf(() => authenticate(claim({ ...headers, "x-sanctum-agent": "mothma" })))).toBe("IDENTITY_MISMATCH");
    expect(codeOf(() => authenticate(claim({}, { claimedAgent: "windu" })))).toBe("IDENTITY_MISMATCH");
    expect(authenticate(claim({}, { claimedAgent: "default" })).agent.name).toBe("default");
  });

  test("two tokens of two agents are refused, two headers with the same token are fine", () => {
    const both = { authorization: `Bearer ${tokenOf.windu}`, "x-api-key": tokenOf.windu };
    expect(authenticate(claim(both)).agent.name).toBe("windu");
    const mixed = { authorization: `Bearer ${tokenOf.windu}`, "x-api-key": tokenOf.mothma };
    expect(codeOf(() => authenticate(claim(mixed)))).toBe("IDENTITY_MISMATCH");
  });

  test("a repeated credential header is refused", () => {
    const headers = new Headers();
    headers.append("x-api-key", tokenOf.windu);
    headers.append("x-api-key", tokenOf.mothma);
    expect(codeOf(() => authenticate({ headers, claimedAgent: undefined, fromLoopback: true }))).toBe(
      "IDENTITY_AMBIGUOUS",
    );
  });

  test("the vendor's own credential is kept for passthrough only beside x-sanctum-token", () => {
    const with3 = authenticate(claim({ "x-sanctum-token": tokenOf.windu, authorization: "Bearer sk-ant-oat-1" }));
    expect(with3.agent.name).toBe("windu");
    expect(with3.passthrough?.reveal()).toBe("sk-ant-oat-1");
    expect(authenticate(claim({ authorization: `Bearer ${tokenOf.windu}` })).passthrough).toBeNull();
  });
});
