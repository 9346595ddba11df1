import { describe, expect, test } from "bun:test";
import { type ErrorCode, GatewayError, errorCodes } from "../errors.ts";
import { classifyUpstream, errorAnswer, faultAnswer, sseErrorEvent } from "./errors.ts";
import type { Dialect, UpstreamFault } from "./neutral.ts";
import { publicText } from "./public-text.ts";

const dialects: readonly Dialect[] = ["messages", "chat", "responses"];

interface OpenaiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

const fault = (status: number, message: string, code?: string): UpstreamFault => ({ status, code, message });
const errorOf = (body: string): OpenaiError => (JSON.parse(body) as { error: OpenaiError }).error;

describe("our own failures", () => {
  test("wear the envelope of the Messages dialect", () => {
    const { status, body, headers } = errorAnswer("messages", new GatewayError("ROUTE_MODEL_UNKNOWN"), "req_1");
    expect(status).toBe(404);
    expect(JSON.parse(body)).toEqual({
      type: "error",
      error: { type: "not_found_error", message: errorCodes.ROUTE_MODEL_UNKNOWN.text },
      request_id: "req_1",
    });
    expect(headers).toEqual({
      "content-type": "application/json",
      "x-sanctum-error": "ROUTE_MODEL_UNKNOWN",
      "x-sanctum-request-id": "req_1",
      "request-id": "req_1",
      "x-should-retry": "false",
    });
  });

  test.each(["chat", "responses"] as const)("wear OpenAI's envelope in the %s dialect", (dialect) => {
    const { status, body, headers } = errorAnswer(dialect, new GatewayError("ROUTE_MODEL_UNKNOWN"), "req_1");
    expect(status).toBe(404);
    expect(JSON.parse(body)).toEqual({
      error: {
        message: errorCodes.ROUTE_MODEL_UNKNOWN.text,
        type: "invalid_request_error",
        param: null,
        code: "model_not_found",
      },
    });
    expect(headers).toMatchObject({ "x-request-id": "req_1", "x-sanctum-request-id": "req_1" });
    expect(headers).not.toHaveProperty("request-id");
  });

  test.each([
    ["IDENTITY_REQUIRED", 401, "authentication_error", 401, "invalid_request_error", "invalid_api_key"],
    ["BUDGET_EXHAUSTED", 402, "billing_error", 429, "insufficient_quota", "insufficient_quota"],
    ["ROUTE_MODEL_FORBIDDEN", 403, "permission_error", 403, "invalid_request_error", "model_not_found"],
    ["DOOR_PATH", 404, "not_found_error", 404, "invalid_request_error", "unknown_url"],
    ["DOOR_BODY_TOO_LARGE", 413, "request_too_large", 413, "invalid_request_error", "request_too_large"],
    ["REQUEST_JSON", 400, "invalid_request_error", 400, "invalid_request_error", null],
    ["REQUEST_TIMEOUT", 408, "timeout_error", 408, "server_error", "timeout"],
    ["LIMITS_EXHAUSTED", 429, "rate_limit_error", 429, "rate_limit_exceeded", "rate_limit_exceeded"],
    ["UPSTREAM_FAILED", 503, "overloaded_error", 503, "server_error", "server_error"],
    ["ROUTE_NO_CANDIDATE", 503, "overloaded_error", 503, "server_error", "server_error"],
    ["AUDIT_UNAVAILABLE", 503, "api_error", 503, "server_error", "server_error"],
    ["INTERNAL", 500, "api_error", 500, "server_error", "server_error"],
  ] as const)(
    "%s has the status and names of each dialect",
    (code, status, type, openaiStatus, openaiType, openaiCode) => {
      const messages = errorAnswer("messages", new GatewayError(code), "r");
      expect([messages.status, errorOf(messages.body).type]).toEqual([status, type]);
      const chat = errorAnswer("chat", new GatewayError(code), "r");
      const error = errorOf(chat.body);
      expect([chat.status, error.type, error.code]).toEqual([openaiStatus, openaiType, openaiCode]);
      expect(errorAnswer("responses", new GatewayError(code), "r").body).toBe(chat.body);
    },
  );

  test("every code has an answer in every dialect, with its code, text and ids", () => {
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      for (const dialect of dialects) {
        const { status, body, headers } = errorAnswer(dialect, new GatewayError(code), "req_x");
        expect(status).toBeWithin(400, 600);
        expect(errorOf(body).message).toBe(errorCodes[code].text);
        expect(errorOf(body).type).toBeString();
        expect(headers).toMatchObject({ "x-sanctum-error": code, "x-sanctum-request-id": "req_x" });
      }
    }
  });

  test("a used-up budget tells SDKs not to try again; a rate limit or an outage does not", () => {
    for (const dialect of dialects) {
      const retry = (code: ErrorCode): string | undefined =>
        errorAnswer(dialect, new GatewayError(code), "r").headers["x-should-retry"];
      expect(retry("BUDGET_EXHAUSTED")).toBe("false");
      expect(retry("IDENTITY_TOKEN_UNKNOWN")).toBe("false");
      expect(retry("LIMITS_EXHAUSTED")).toBeUndefined();
      expect(retry("UPSTREAM_FAILED")).toBeUndefined();
      expect(retry("DOOR_STOPPING")).toBeUndefined();
    }
  });

  test("retry-after is whole seconds from 1 to 30, and absent where none was given", () => {
    const after = (retryAfterSeconds: number): string | undefined =>
      errorAnswer("chat", new GatewayError("LIMITS_EXHAUSTED", { retryAfterSeconds }), "r").headers["retry-after"];
    expect([0, 0.2, 1.2, 29.5, 400, -5].map(after)).toEqual(["1", "1", "2", "30", "30", "1"]);
    expect(after(NaN)).toBeUndefined();
    expect(errorAnswer("chat", new GatewayError("LIMITS_EXHAUSTED"), "r").headers).not.toHaveProperty("retry-after");
  });

  test("carry the code that was given with them, and nothing of their cause", () => {
    const error = new GatewayError("REQUEST_INVALID", { dialectCode: "unsupported_value", cause: new Error("canary") });
    const { body } = errorAnswer("chat", error, "r");
    expect(errorOf(body).code).toBe("unsupported_value");
    expect(body).not.toContain("canary");
  });
});

describe("an upstream's refusal of the request, translated", () => {
  test("keeps its status and wording", () => {
    for (const dialect of dialects) {
      const { status, body, headers } = faultAnswer(dialect, fault(400, "tools: at most 128 are allowed"), "r");
      expect(status).toBe(400);
      expect(errorOf(body)).toMatchObject({ type: "invalid_request_error", message: "tools: at most 128 are allowed" });
      expect(headers["x-sanctum-error"]).toBe("REQUEST_INVALID");
    }
  });

  test("uses a status that the dialect has", () => {
    const statuses = (status: number): number[] => dialects.map((d) => faultAnswer(d, fault(status, "no"), "r").status);
    expect(statuses(413)).toEqual([413, 413, 413]);
    expect(statuses(422)).toEqual([400, 422, 422]);
    expect(statuses(404)).toEqual([404, 404, 404]);
    expect(errorOf(faultAnswer("messages", fault(413, "big"), "r").body).type).toBe("request_too_large");
  });

  test("does not name the upstream's model, not even in a 404", () => {
    const missing = faultAnswer("chat", fault(404, 'model "secret-model" not found, try pulling it first'), "r");
    expect(missing.body).not.toContain("secret-model");
    expect(errorOf(missing.body).code).toBe("model_not_found");
    const model = { upstream: "secret-model:7b", asked: "claude-$&" };
    const refused = faultAnswer("chat", fault(400, "secret-model:7b does not support tools"), "r", model);
    expect(errorOf(refused.body).message).toBe("claude-$& does not support tools");
  });

  test("never shows that the house's key, quota or server is at fault", () => {
    for (const dialect of dialects) {
      for (const status of [301, 401, 402, 403, 500, 502, 529]) {
        const { status: shown, body } = faultAnswer(dialect, fault(status, "canary: invalid x-api-key"), "r");
        expect(shown).toBe(503);
        expect(body).not.toContain("canary");
      }
      const limited = faultAnswer(dialect, fault(429, "canary: limit of org-1 reached", "insufficient_quota"), "r");
      expect(limited.status).toBe(429);
      expect(limited.body).not.toMatch(/canary|insufficient_quota/);
    }
  });

  test("keeps the code that OpenAI's clients tell refusals apart by, and no name of an error's type", () => {
    const codeOf = (dialect: Dialect, code: string): unknown =>
      errorOf(faultAnswer(dialect, fault(400, "no", code), "r").body).code;
    for (const dialect of ["chat", "responses"] as const) {
      for (const code of ["content_policy_violation", "invalid_function_parameters", "string_above_max_length"]) {
        expect(codeOf(dialect, code)).toBe(code);
      }
      for (const code of ["invalid_request_error", "BadRequestError", "400", "two words", "x".repeat(65)]) {
        expect(codeOf(dialect, code)).toBeNull();
      }
    }
    expect(codeOf("messages", "content_policy_violation")).toBeUndefined();
  });

  test("says something where the upstream said nothing", () => {
    expect(errorOf(faultAnswer("chat", fault(400, " \n"), "r").body).message).toMatch(/\w/);
  });
});

describe("what is the house's business is taken out of texts", () => {
  test.each([
    ["see https://user:pw@internal.lan:8443/v1/x?y=1 for it", "see (address) for it"],
    ["dial tcp 192.168.1.20:11434: refused", "dial tcp (address): refused"],
    ["connect to localhost:8080 or [::1]:8080 or gpu-box.lan:11434", "connect to (address) or (address) or (address)"],
    ["Incorrect API key provided: sk-proj-ab12****wxyz.", "Incorrect API key provided: (key)"],
    ["Authorization: Bearer abcdef123456", "Authorization: (key)"],
    ["org-A1b2C3d4E5f6 of ops@example.org", "(account) of (account)"],
    ["cannot open /home/me/models/x.gguf", "cannot open (path)"],
    ["key AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEf", "key (hidden)"],
    ["two\nlines\u0000here", "two lines here"],
  ])("%j", (input, expected) => {
    expect(publicText(input)).toBe(expected);
  });

  test("and ordinary wording is left as it is", () => {
    for (const text of [
      "messages.0.content.1: `tool_use` ids were found without `tool_result` blocks: toolu_01A09q90qw90lq917835lq9",
      "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens for user_location",
      "Invalid schema for function 'read_file': [] is not of type 'object' (line 1:20)",
    ]) {
      expect(publicText(text)).toBe(text);
    }
  });

  test("a hostile text of any length takes linear time", () => {
    for (const unit of ["a", "a.", "/", "1.", "a:", "@", "-", "sk-", "[:", " "]) {
      expect(publicText(unit.repeat(500_000)).length).toBeLessThanOrEqual(1_000);
    }
  });
});

const overflows: readonly (readonly [message: string, code?: string, status?: number])[] = [
  ["prompt is too long: 210000 tokens > 200000 maximum"],
  ["input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length"],
  ["This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."],
  [
    "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (8000 of text input, 1000 in the output).",
  ],
  ["x", "context_length_exceeded"],
  ["the request exceeds the available context size, try increasing it", "exceed_context_size_error", 500],
  ["request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"],
  ["The decoder prompt (length 9000) is longer than the maximum model length of 8192."],
  [
    "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
  ],
  ["The number of tokens to keep from the initial prompt is greater than the context length"],
  ["the input length exceeds the context length"],
  ["Your input exceeds the context window of this model."],
  ["The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."],
  ["This model's maximum prompt length is 131072 but the request contains 140000 tokens."],
  ["prompt too long", "model_max_prompt_tokens_exceeded", 413],
];

describe("a prompt that does not fit", () => {
  test.each(overflows.map(([message, code, status = 400]) => ({ message, code, status })))(
    "is recognised: %j",
    (given) => {
      const { message, code, status } = given;
      const found = fault(status, message, code);
      expect(classifyUpstream(status, found)).toBe("next_larger_context");
      const claude = faultAnswer("messages", found, "r");
      expect(claude.status).toBe(400);
      // What Claude Code looks for, whatever the upstream said.
      expect(errorOf(claude.body).message).toMatch(
        /prompt is too long|input length and `max_tokens` exceed context limit/,
      );
      for (const dialect of ["chat", "responses"] as const) {
        const { status: openaiStatus, body } = faultAnswer(dialect, found, "r");
        expect(openaiStatus).toBe(400);
        expect(errorOf(body).code).toBe("context_length_exceeded");
      }
    },
  );

  const claudeText = (message: string): string =>
    errorOf(faultAnswer("messages", fault(400, message), "r").body).message;

  test("is told with its figures where they are known", () => {
    expect(claudeText(overflows[2]![0])).toBe("prompt is too long: 9000 tokens > 8192 maximum");
    expect(claudeText(overflows[6]![0])).toBe("prompt is too long: 9000 tokens > 8192 maximum");
    expect(errorOf(faultAnswer("chat", fault(400, overflows[0]![0]), "r").body).message).toStartWith(
      "This model's maximum context length is 200000 tokens. However, your messages resulted in 210000 tokens.",
    );
  });

  test("is told as A + B > C only where less output would help", () => {
    expect(claudeText(overflows[1]![0])).toStartWith(
      "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000,",
    );
    expect(claudeText(overflows[3]![0])).toBe("prompt is too long: 9000 tokens > 8192 maximum");
    expect(claudeText("input length and `max_tokens` exceed context limit: 9 + 1 > 200000")).toBe(
      "prompt is too long: it exceeds the context window of the model",
    );
  });

  test("is not seen in a rate limit or in an outage that speaks of context", () => {
    expect(classifyUpstream(429, fault(429, "Request too large: context length exceeded"))).toBe("next");
    expect(classifyUpstream(503, fault(503, "maximum context length"))).toBe("next");
    expect(classifyUpstream(413, fault(413, "Request exceeds the maximum size of 32 MB", "request_too_large"))).toBe(
      "client",
    );
  });

  test("is looked for in linear time", () => {
    for (const unit of ["prompt ", "9 + ", "exceeds ", "context length is 9 tokens", "requested 9 tokens (9 ", " "]) {
      expect(classifyUpstream(400, fault(400, unit.repeat(200_000)))).toBeOneOf(["client", "next_larger_context"]);
    }
  });
});

describe("whose fault an upstream's refusal is", () => {
  test.each([301, 307, 401, 402, 403, 405, 408, 409, 425, 429, 500, 502, 503, 504, 520, 529])(
    "%d goes to the next candidate",
    (status) => {
      expect(classifyUpstream(status, fault(status, "no"))).toBe("next");
    },
  );

  test.each([400, 404, 413, 422])("%d is the client's", (status) => {
    expect(classifyUpstream(status, fault(status, "no"))).toBe("client");
  });

  test.each([
    ["Your credit balance is too low to access the Anthropic API.", undefined],
    ["You have reached your specified API usage limits.", undefined],
    ["This organization has been disabled.", undefined],
    ["API key not valid. Please pass a valid API key.", undefined],
    ["x", "billing_hard_limit_reached"],
    ["x", "insufficient_quota"],
  ])("a 400 about the house's account is not the client's: %s", (message, code) => {
    expect(classifyUpstream(400, fault(400, message, code))).toBe("next");
  });

  test("an error inside a 200 counts with its own status", () => {
    expect(classifyUpstream(200, fault(529, "Overloaded", "overloaded_error"))).toBe("next");
    expect(classifyUpstream(200, fault(400, "bad tool"))).toBe("client");
    expect(classifyUpstream(200, fault(400, "prompt is too long"))).toBe("next_larger_context");
  });
});

describe("a failure after the first byte", () => {
  const dataOf = (event: string): unknown => JSON.parse(/^data: (.*)$/m.exec(event)![1]!);

  test("is an error event for Messages", () => {
    const event = sseErrorEvent("messages", fault(502, "The answer broke off."));
    expect(event).toStartWith("event: error\ndata: ");
    expect(event).toEndWith("\n\n");
    expect(dataOf(event)).toEqual({ type: "error", error: { type: "api_error", message: "The answer broke off." } });
  });

  test("is a data line with an error for Chat, without an event name", () => {
    const event = sseErrorEvent("chat", fault(502, "The answer broke off."));
    expect(event).toStartWith("data: ");
    expect(dataOf(event)).toEqual({
      error: { message: "The answer broke off.", type: "server_error", param: null, code: "server_error" },
    });
  });

  test("is a response.failed for Responses, with the id, model and number given", () => {
    const at = { id: "resp_7", model: "gpt-x", createdAt: 5, sequence: 9 };
    const event = sseErrorEvent("responses", fault(429, "slow down"), at);
    expect(event).toStartWith("event: response.failed\n");
    expect(dataOf(event)).toMatchObject({
      type: "response.failed",
      sequence_number: 9,
      response: {
        id: "resp_7",
        object: "response",
        created_at: 5,
        model: "gpt-x",
        status: "failed",
        error: { code: "rate_limit_exceeded", message: "slow down" },
        output: [],
      },
    });
    expect(dataOf(sseErrorEvent("responses", fault(502, "x")))).toMatchObject({ type: "response.failed" });
    for (const [status, code, told] of [
      [402, "insufficient_quota", "insufficient_quota"],
      [429, "insufficient_quota", "insufficient_quota"],
      [400, "bio_policy", "bio_policy"],
      [504, undefined, "server_error"],
      [401, "invalid_api_key", "server_error"],
      [400, "context_length_exceeded", "context_length_exceeded"],
    ] as const) {
      const { response } = dataOf(sseErrorEvent("responses", fault(status, "x", code))) as { response: object };
      expect(response).toMatchObject({ error: { code: told } });
    }
  });

  test.each([
    [402, "billing_error", "insufficient_quota"],
    [429, "rate_limit_error", "rate_limit_exceeded"],
    [503, "overloaded_error", "server_error"],
    [529, "overloaded_error", "server_error"],
    [500, "api_error", "server_error"],
    [504, "timeout_error", "timeout"],
    [401, "api_error", "server_error"],
    [403, "api_error", "server_error"],
  ])("with status %d has each dialect's name", (status, type, code) => {
    expect(dataOf(sseErrorEvent("messages", fault(status, "x")))).toMatchObject({ error: { type } });
    expect(dataOf(sseErrorEvent("chat", fault(status, "x")))).toMatchObject({ error: { code } });
  });

  test("shows nothing of the house's key and addresses", () => {
    expect(sseErrorEvent("chat", fault(401, "canary sk-1"))).not.toContain("canary");
    expect(sseErrorEvent("chat", fault(500, "http://10.0.0.7:8000 died"))).not.toContain("10.0.0.7");
  });
});
