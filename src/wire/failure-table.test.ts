import { describe, expect, test } from "bun:test";
import { classifyFailure, failureOf, failureTable, type FailureFacts } from "./failure-table.ts";

const refused = (status: number, message = "no", code?: string): FailureFacts => ({
  outcome: `upstream_${status}`,
  status,
  fault: { status, code, message },
});
const inside = (status: number, message = "no", code?: string): FailureFacts => ({
  outcome: "error_event",
  status,
  fault: { status, code, message },
});
const plain = (outcome: string): FailureFacts => ({ outcome, status: 0 });

/** What vendors say, and the row that it falls into. */
const cases: readonly (readonly [row: string, said: FailureFacts])[] = [
  ...["skipped_budget", "skipped_limit", "skipped_breaker", "skipped_key", "skipped_context", "skipped_policy"].map(
    (outcome) => ["it was not asked", plain(outcome)] as const,
  ),
  ["the client left", plain("client_gone")],
  ["our own deadline", plain("timeout_deadline")],
  ["no connection", plain("connect_failed")],
  ["no connection in time", plain("timeout_connect")],
  ["endless", plain("timeout_total")],
  ["silence", plain("timeout_first_byte")],
  ["silence", plain("timeout_first_content")],
  ["silence", plain("timeout_idle")],
  ["broken off", plain("cut_stream")],
  ["broken off", plain("taken_over")],
  [
    "the prompt is too long",
    refused(400, "prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
  ],
  ["the prompt is too long", refused(400, "x", "context_length_exceeded")],
  ["the prompt is too long", inside(400, "This model's maximum context length is 8192 tokens.")],
  ["out of credit", refused(402, "Insufficient credits. Add more using https://openrouter.ai/credits")],
  ["out of credit, by its code", refused(429, "You exceeded your current quota", "insufficient_quota")],
  ["out of credit, by its code", refused(400, "x", "billing_hard_limit_reached")],
  ["out of credit, by its code", inside(429, "x", "usage_limit_reached")],
  ["out of credit, in words", refused(400, "Your credit balance is too low to access the Anthropic API.")],
  [
    "out of credit, in words",
    refused(
      400,
      "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ),
  ],
  ["out of credit, in words", refused(403, "Insufficient balance")],
  ["no such model, by its code", refused(404, "The model `gpt-9` does not exist", "model_not_found")],
  ["no such model, by its code", refused(403, "Project x does not have access to model", "model_not_found")],
  ["no such model, by its code", refused(400, "x", "model_decommissioned")],
  ["no such model", refused(400, "The model `mixtral-8x7b` has been decommissioned and is no longer supported.")],
  ["no such model", refused(404, 'model "qwen2.5-coder:14b" not found, try pulling it first')],
  ["no such model", refused(404, "models/gemini-9 is not found for API version v1beta", "NOT_FOUND")],
  ["no such model", refused(400, "openai/gpt-9 is not a valid model ID")],
  ["no such model", refused(404, "No endpoints found for x/y.")],
  ["no such model", refused(400, "Model Not Exist")],
  ["no such model", refused(422, "Invalid model: mistral-9")],
  ["no such model at Anthropic", refused(404, "model: claude-9", "not_found_error")],
  ["flagged", refused(403, "Your chosen model requires moderation and your input was flagged")],
  ["not from here", refused(403, "Country not supported", "unsupported_country_region_territory")],
  ["the key", refused(401, "invalid x-api-key", "authentication_error")],
  ["the key", refused(403, "Your API key does not have permission", "permission_error")],
  ["the key", inside(401)],
  ["the key, by its code", refused(400, "x", "invalid_api_key")],
  ["the key, in words", refused(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT")],
  ["the key, in words", refused(400, "This organization has been disabled.")],
  [
    "larger than the limit",
    refused(429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 60000."),
  ],
  [
    "too many at a time",
    { ...refused(429, "Number of concurrent connections has exceeded your rate limit"), kind: "anthropic" },
  ],
  [
    "the limit of a model",
    { ...refused(429, "This request would exceed your organization's rate limit"), kind: "anthropic" },
  ],
  ["the limit of a model", { ...refused(429), kind: "openai" }],
  [
    "the limit of a model, in words",
    { ...refused(429, "x/y is temporarily rate-limited upstream."), kind: "openrouter" },
  ],
  [
    "the limit of a named model",
    { ...refused(429, "Rate limit reached for model `llama-3.1-8b` in organization"), model: "llama-3.1-8b" },
  ],
  ["the limit", refused(429, "Rate limit exceeded: free-models-per-day")],
  ["the limit", { ...refused(429, "slow down"), model: "" }],
  ["the limit", inside(429, "slow down", "rate_limit_exceeded")],
  // Google says this of a limit a minute.
  ["the limit", refused(429, "You exceeded your current quota", "RESOURCE_EXHAUSTED")],
  ["the model is being loaded", refused(503, "Loading model", "unavailable_error")],
  [
    "nobody serves the model",
    { ...refused(503, "No available model provider meets your routing requirements"), kind: "openrouter" },
  ],
  ["overloaded", refused(503)],
  ["overloaded", refused(529, "Overloaded", "overloaded_error")],
  ["overloaded", inside(529, "Overloaded", "overloaded_error")],
  ["a moment too early", refused(408)],
  ["a moment too early", refused(409)],
  ["a moment too early", refused(425)],
  ["a failure", refused(500)],
  ["a failure", refused(502, "maximum effort")],
  ["a failure", refused(504)],
  ["a failure", refused(522)],
  ["another failure", refused(501)],
  ["another failure", refused(599)],
  ["another failure", refused(700)],
  ["a redirect", { outcome: "upstream_307", status: 307 }],
  ["a refusal", refused(400, "tools.0.name: bad")],
  ["a refusal", refused(400, "This model does not support assistant message prefill.")],
  ["a refusal", refused(400, "Unsupported value: 'temperature' does not support 0.2 with this model.")],
  ["a refusal", refused(404)],
  ["a refusal", refused(413)],
  ["a refusal", refused(422)],
  ["a refusal", refused(451)],
  ["a refusal", inside(400, "bad tool")],
  ["nonsense", plain("error_event")],
  ["nonsense", { outcome: "error_event", status: 200 }],
  ["nonsense", inside(502, "The upstream sent rubbish.")],
  ["nonsense", inside(500)],
];

describe("a failure is read as", () => {
  for (const [row, said] of cases) {
    const words = said.fault === undefined ? "" : `: ${said.fault.code ?? ""} ${said.fault.message}`;
    test(`"${row}": ${said.kind ?? ""} ${said.outcome}${words}`, () => {
      expect(classifyFailure(said).name).toBe(row);
    });
  }

  test("each row of the table by something", () => {
    const seen = new Set(cases.map(([row]) => row));
    expect(failureTable.map(({ name }) => name).filter((name) => !seen.has(name))).toEqual([]);
    expect(new Set(failureTable.map(({ name }) => name)).size).toBe(failureTable.length);
  });

  test("who threw it says, where it had the words", () => {
    const failure = classifyFailure(refused(402));
    expect(failureOf({ outcome: "upstream_400", status: 400, failure })).toBe(failure);
    expect(failureOf({ outcome: "upstream_400", status: 400 }).name).toBe("a refusal");
  });
});

describe("what follows from it", () => {
  const all = cases.map(([, said]) => [said, classifyFailure(said)] as const);

  test("nothing that may have been billed is asked again at the same candidate, but what the upstream itself called a limit or an overload", () => {
    for (const [{ outcome }, { again, name }] of all) {
      if (again) expect([name, /^(?:connect_failed|upstream_|error_event$)/.test(outcome)]).toEqual([name, true]);
    }
    const insideAgain = all.filter(([{ outcome }, { again }]) => outcome === "error_event" && again);
    expect(insideAgain.map(([, { name }]) => name)).toEqual(["the limit", "overloaded"]);
  });

  test("no fault of the request, of a key, of credit or of a limit counts against a provider's health", () => {
    for (const [, { scope, breaker, rest, name }] of all) {
      if (["request", "key"].includes(scope) || rest === "exhausted" || name.includes("limit")) {
        expect([name, breaker]).toEqual([name, "answered"]);
      }
      if (scope === "nobody") expect([name, breaker, rest]).toEqual([name, "neutral", "none"]);
    }
  });

  test("only a provider that can't be reached is down for all of its models at once", () => {
    const down = new Set(all.filter(([, { breaker }]) => breaker === "down").map(([{ outcome }]) => outcome));
    expect([...down].sort()).toEqual(["connect_failed", "timeout_connect"]);
  });

  test("a request's own fault lets nobody rest", () => {
    for (const [, { scope, rest, again }] of all)
      if (scope === "request") expect([rest, again]).toEqual(["none", false]);
  });
});

test("long hostile words are read in linear time", () => {
  for (const unit of ["model ", "models/", "model `x", "rate limit ", "exceeded your current ", "has been "]) {
    classifyFailure(refused(400, unit.repeat(200_000)));
    classifyFailure({ ...refused(429, unit.repeat(200_000)), model: "m" });
  }
});
