import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { GatewayError } from "../../errors.ts";
import { createAuthenticator, type Claim } from "./authenticate.ts";
import { RunTokens } from "./run-tokens.ts";
import { digestOf } from "./tokens.ts";

const tokenOf = { windu: `sk-sanctum-windu-${"a".repeat(43)}`, mothma: `sk-sanctum-mothma-${"b".repeat(43)}` };

function entry(name: string, tokens: string[]) {
  const caps = { daily: 1, hourly: undefined, monthly: undefined };
  const rest = {
    requestsPerMinute: undefined,
    maxConcurrent: undefined,
    models: undefined,
    overBudget: "local" as const,
  };
  return {
    name,
    caps,
    ...rest,
    tokens: tokens.map((t) => ({ hash: createHash("sha256").update(t).digest("hex"), untilMs: undefined })),
  };
}

const agents = new Map([
  ["windu", entry("windu", [tokenOf.windu])],
  ["mothma", entry("mothma", [tokenOf.mothma])],
  ["default", entry("default", [])],
]);
const parts = { runTokens: new RunTokens(), now: () => 0 };
const authenticate = createAuthenticator({ anonymous: "loopback", passthrough: true, agents }, parts);

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
    const closed = createAuthenticator({ anonymous: "never", passthrough: true, agents }, parts);
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

  test("a claimed name that is given twice is refused as such, also where it is the token's own", () => {
    const headers = new Headers({ "x-api-key": tokenOf.windu });
    headers.append("x-sanctum-agent", "windu");
    headers.append("x-sanctum-agent", "windu");
    expect(codeOf(() => authenticate({ headers, claimedAgent: undefined, fromLoopback: true }))).toBe(
      "IDENTITY_AMBIGUOUS",
    );
  });
});

describe("a token with an end", () => {
  test("is the agent's until then, and unknown from that moment on", () => {
    let now = 0;
    const hash = digestOf(tokenOf.windu).toString("hex");
    const ending = new Map([["windu", { ...entry("windu", []), tokens: [{ hash, untilMs: 1_000 }] }]]);
    const check = createAuthenticator(
      { anonymous: "never", passthrough: true, agents: ending },
      { ...parts, now: () => now },
    );
    const headers = { "x-api-key": tokenOf.windu };
    now = 999;
    expect(check(claim(headers)).agent.name).toBe("windu");
    now = 1_000;
    expect(codeOf(() => check(claim(headers)))).toBe("IDENTITY_TOKEN_UNKNOWN");
  });
});

describe("a token that is lent to a command", () => {
  const lent = `sk-sanctum-windu-${"r".repeat(43)}`;
  const headers = { authorization: `Bearer ${lent}` };

  test("is the agent's, in every configuration, until it is given back", () => {
    const runTokens = new RunTokens();
    const first = createAuthenticator({ anonymous: "never", passthrough: true, agents }, { ...parts, runTokens });
    const giveBack = runTokens.lend("windu", digestOf(lent), () => undefined);
    const second = createAuthenticator({ anonymous: "never", passthrough: true, agents }, { ...parts, runTokens });
    for (const check of [first, second]) {
      expect(check(claim(headers)).agent).toMatchObject({ name: "windu", auth: "token" });
      expect(codeOf(() => check(claim(headers, { claimedAgent: "mothma" })))).toBe("IDENTITY_MISMATCH");
    }
    giveBack();
    giveBack();
    for (const check of [first, second]) expect(codeOf(() => check(claim(headers)))).toBe("IDENTITY_TOKEN_UNKNOWN");
  });

  test("ends with its agent, for good, and is told so once", () => {
    const runTokens = new RunTokens();
    const check = createAuthenticator({ anonymous: "never", passthrough: true, agents }, { ...parts, runTokens });
    let told = 0;
    runTokens.lend("windu", digestOf(lent), () => told++);
    runTokens.retain(agents);
    expect(check(claim(headers)).agent.name).toBe("windu");
    for (const known of [new Set(["mothma"]), agents]) runTokens.retain(known);
    expect(codeOf(() => check(claim(headers)))).toBe("IDENTITY_TOKEN_UNKNOWN");
    expect(told).toBe(1);
  });

  test("of an agent that this configuration does not know is unknown to it", () => {
    const runTokens = new RunTokens();
    const check = createAuthenticator({ anonymous: "never", passthrough: true, agents }, { ...parts, runTokens });
    runTokens.lend("yoda", digestOf(lent), () => undefined);
    expect(codeOf(() => check(claim(headers)))).toBe("IDENTITY_TOKEN_UNKNOWN");
  });
});
