import { describe, expect, test } from "bun:test";
import { AttemptError } from "../errors.ts";
import type { GatewayResponse } from "../request.ts";
import { codecs } from "../wire/codecs.ts";
import type { Dialect } from "../wire/neutral.ts";
import { refusalOf } from "./refusal.ts";
import { keyedOf, providerAt, StillClock, type Sample } from "./sample-keyed.ts";

interface Refused {
  readonly status: number;
  readonly body: string | ReadableStream<Uint8Array>;
  readonly upstream?: Dialect;
  readonly client?: Dialect;
  readonly candidate?: Sample["candidate"];
  readonly retryAfterMs?: number;
  readonly regainMs?: number;
}

async function refused({
  status,
  body,
  upstream = "chat",
  client = upstream,
  candidate,
  retryAfterMs,
  regainMs,
}: Refused): Promise<{
  answer: GatewayResponse | null;
  error: AttemptError | null;
}> {
  const provider = providerAt("https://api.example", { dialects: [upstream] });
  const keyed = keyedOf({ dialect: client, provider, ...(candidate === undefined ? {} : { candidate }) });
  const redact = (text: string): string => text.replaceAll("house-key", "[redacted]");
  const parts = {
    response: new Response(body, { status }),
    codec: codecs[upstream],
    keyed,
    redact,
    clock: new StillClock(),
  };
  try {
    return { answer: await refusalOf({ ...parts, told: () => ({ retryAfterMs, regainMs }) }), error: null };
  } catch (error) {
    if (error instanceof AttemptError) return { answer: null, error };
    throw error;
  }
}

const invalid = ` {"error": {"message":"tools.0: \\u0022x\\u0022 is not allowed", "type":"invalid_request_error"}}\n`;

describe("a refusal that is the client's own fault", () => {
  test("comes back byte for byte in the same dialect, as final and under our code", async () => {
    for (const status of [400, 404, 413, 422]) {
      const { answer } = await refused({ status, body: invalid });
      expect(answer).toMatchObject({ status, body: invalid });
      expect(answer?.headers).toEqual({
        "content-type": "application/json",
        "x-sanctum-error": status === 404 ? "ROUTE_MODEL_UNKNOWN" : "REQUEST_INVALID",
        "x-should-retry": "false",
      });
      expect(await answer?.finished).toEqual({ outcome: "client_error", bytesOut: invalid.length });
    }
  });

  test("is translated for another dialect, with the model that the client asked for", async () => {
    const body = JSON.stringify({
      error: { message: "upstream-model can't see images", type: "invalid_request_error" },
    });
    const { answer } = await refused({ status: 400, body, upstream: "chat", client: "messages" });
    expect(JSON.parse(answer!.body as string)).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error", message: "asked-model can't see images" },
    });
    expect(answer?.headers["x-sanctum-error"]).toBe("REQUEST_INVALID");
  });

  test("holds no key of the house, in either way", async () => {
    const body = JSON.stringify({ error: { message: "not with house-key", type: "invalid_request_error" } });
    for (const client of ["chat", "messages", "responses"] as const) {
      const { answer } = await refused({ status: 400, body, upstream: "chat", client });
      expect(answer?.body).not.toContain("house-key");
    }
  });

  test("is put into the dialect's envelope where the upstream wrote no JSON object", async () => {
    const bodies = ["<html>", "", '"text"', "[1]"];
    for (const body of bodies) {
      const { answer } = await refused({ status: 400, body });
      const parsed = JSON.parse(answer!.body as string) as { error: { message: string; type: string } };
      expect(parsed.error.type).toBe("invalid_request_error");
      expect(parsed.error.message.length).toBeLessThan(10_000);
    }
  });

  test("is read to a bound, however much comes", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled++;
        controller.enqueue(new Uint8Array(64 * 1024).fill(0x20));
      },
    });
    await refused({ status: 400, body });
    expect(pulled).toBeLessThan(12);
  });

  test("whose body breaks off is told by its status alone", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error("reset")),
    });
    expect((await refused({ status: 422, body })).answer?.status).toBe(422);
  });
});

describe("the next candidate is asked after", () => {
  test("every status that speaks of the house or of the provider", async () => {
    for (const status of [401, 402, 403, 408, 425, 429, 500, 502, 503, 529]) {
      const { error } = await refused({ status, body: invalid, retryAfterMs: 7 });
      expect(error).toMatchObject({ outcome: `upstream_${status}`, status, billed: "none", retryAfterMs: 7 });
      expect(error?.relay).toBeUndefined();
    }
  });

  test("a model that its provider does not have, where only the configuration names it", async () => {
    const missing = JSON.stringify({ error: { message: "The model `x` does not exist", code: "model_not_found" } });
    const retired = JSON.stringify({ error: { message: "gone", code: "model_decommissioned" } });
    const named = [{ reason: "route mine" }, { name: "asked-model" }, { reason: "fallback" }];
    for (const [status, body] of [
      [404, missing],
      [400, retired],
    ] as const) {
      for (const candidate of named) {
        const { error } = await refused({ status, body, candidate });
        expect(error).toMatchObject({ outcome: `upstream_${status}`, note: "the provider does not have this model" });
        expect(error?.failure).toMatchObject({ scope: "model", rest: "gone" });
      }
      expect((await refused({ status, body })).answer?.status).toBe(status);
    }
  });

  test("an empty account, with the day on which it is good again", async () => {
    const body = JSON.stringify({
      error: { message: "You will regain access on 2026-12-01", code: "insufficient_quota" },
    });
    const { error } = await refused({ status: 429, body, regainMs: 86_400_000 });
    expect(error).toMatchObject({ outOfCredit: true, regainMs: 86_400_000, note: "the account is out of credit" });
  });

  test("a redirect, whatever it says", async () => {
    for (const status of [301, 302, 307, 308]) {
      const { error } = await refused({ status, body: "" });
      expect(error).toMatchObject({ outcome: `upstream_${status}`, billed: "none" });
    }
  });

  test("a 400 about the house's credit", async () => {
    const body = JSON.stringify({
      type: "error",
      error: { type: "invalid_request_error", message: "Your credit balance is too low" },
    });
    expect((await refused({ status: 400, body, upstream: "messages" })).error?.outcome).toBe("upstream_400");
  });

  test("any refusal of a fallback: the client did not ask for that one", async () => {
    const candidate = { reason: "fallback" };
    expect((await refused({ status: 400, body: invalid, candidate })).error?.outcome).toBe("upstream_400");
    const overflow = JSON.stringify({ error: { message: "x", code: "context_length_exceeded" } });
    const { error } = await refused({ status: 400, body: overflow, candidate });
    expect(error?.relay).toBeUndefined();
  });

  test("a prompt that is too long, with the words for the client should nobody have a larger window", async () => {
    const body = JSON.stringify({
      error: { message: "This model's maximum context length is 8 tokens", code: "context_length_exceeded" },
    });
    const { error } = await refused({ status: 400, body });
    expect(error?.relay).toMatchObject({ status: 400, body });
  });
});

test("a code in another dialect is told, and no key in its place", async () => {
  for (const [code, told] of [
    ["content_policy_violation", "content_policy_violation"],
    ["house-key", null],
  ] as const) {
    const body = JSON.stringify({ error: { message: "No.", code } });
    const { answer } = await refused({ status: 400, body, client: "responses" });
    expect(JSON.parse(answer!.body as string)).toMatchObject({ error: { message: "No.", code: told } });
  }
});
