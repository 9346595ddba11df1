// Whose failure a failed attempt is, and what follows from it: one table, read from the top, the first row that fits.
// Routing (try again or move on), limits (who is left alone, what breakers count) and the vault (which key is at fault)
// all read the same row.

import { isContextOverflow } from "./context-overflow.ts";
import type { ServerKind, UpstreamFault } from "./neutral.ts";

/** What would fail again in the same way: this request, this key, this model there, the account, the whole provider. */
export type Scope = "request" | "key" | "model" | "account" | "provider" | "nobody";

export interface Failure {
  /** The row, for notes and tests. */
  readonly name: string;
  readonly scope: Scope;
  /** The same candidate may well answer a moment later, and nothing was billed for the failure. */
  readonly again: boolean;
  /**
   * How `scope` is left alone: `asked`: as long as it says, else backing off; `gone`: until somebody may have repaired it;
   * `exhausted`: until the stated time, with a look now and then.
   */
  readonly rest: "none" | "asked" | "gone" | "exhausted";
  /**
   * For breakers. `down`: the provider can't be reached, whatever model is asked for; `failed`: the model failed, and the
   * provider too as soon as another of its models does; `answered`: it works, it only says no; `neutral`: it says nothing.
   */
  readonly breaker: "down" | "failed" | "answered" | "neutral";
}

/** What is known of it. */
export interface FailureFacts {
  /** As in the audit line: `upstream_429`, `cut_stream`. */
  readonly outcome: string;
  /** Of the answer, or of the failure inside a 200; 0: there was none. */
  readonly status: number;
  readonly fault?: UpstreamFault | undefined;
  /** Of the provider. */
  readonly kind?: ServerKind | undefined;
  /** As the upstream was asked for it. */
  readonly model?: string | undefined;
}

interface Row extends Failure {
  /** All that are there must fit. */
  readonly when: {
    readonly outcome?: RegExp;
    readonly status?: RegExp;
    /** The dialect's own type or code. */
    readonly code?: RegExp;
    /** Its words. */
    readonly says?: RegExp;
    readonly kind?: readonly ServerKind[];
    readonly overflow?: true;
    /** Its words name the model that was asked for. */
    readonly namesModel?: true;
  };
}

const refusal = /^(?:upstream_\d+|error_event)$/;

/** OpenAI, Anthropic, OpenRouter; ChatGPT's plans. */
const creditCodes =
  /^(?:insufficient_quota|insufficient_credits|billing_error|billing_hard_limit_reached|billing_not_active|usage_limit_reached)$/;
/** Anthropic (credit, usage limit), OpenAI (quota, billing limit), and what resembles them. */
const creditWords =
  /credit balance is too low|insufficient (?:credits?|balance|quota|funds)|exceeded your current quota|(?:specified|workspace) api usage limits|billing hard limit/i;

const keyCodes = /^(?:invalid_api_key|authentication_error|permission_error|account_deactivated)$/;
/** Anthropic (account), Google (key). */
const keyWords = /organization has been disabled|api key not valid|api key expired/i;

/** OpenAI and what copies it; Groq; Mistral; Together. */
const modelCodes =
  /^(?:model_not_found|model_decommissioned|model_deprecated|invalid_model|model_not_available|unknown_model)$/;
/**
 * OpenAI, vLLM, xAI (`The model X does not exist`), Groq (decommissioned), Ollama and Google (`model X not found`), OpenRouter
 * (two), DeepSeek, Mistral. What a model does not support is told in other words: between `model` and the verdict stands
 * nothing but its name.
 */
const modelWords =
  /\bmodels?[:/ ]{0,2}["'`]?[\w.:@/-]{0,120}["'`]? (?:does not exist|(?:is |was )?not found|has been (?:decommissioned|deprecated|retired|removed)|is (?:no longer|not) (?:available|supported))|is not a valid model|no endpoints found for|model not exist|invalid model\b|no such model/i;

// prettier-ignore
export const failureTable: readonly Row[] = [
  // --- nothing was asked, or nobody waits any more
  row("it was not asked",            { outcome: /^skipped_/ },                                  "nobody",   "never", "none",      "neutral"),
  row("the client left",             { outcome: /^client_gone$/ },                              "nobody",   "never", "none",      "neutral"),
  row("our own deadline",            { outcome: /^timeout_deadline$/ },                         "nobody",   "never", "none",      "neutral"),

  // --- no connection: nobody can have been billed
  row("no connection",               { outcome: /^connect_failed$/ },                           "provider", "again", "none",      "down"),
  row("no connection in time",       { outcome: /^timeout_connect$/ },                          "provider", "never", "none",      "down"),

  // --- it was sent, and may have been billed
  // A client that reads slowly gets there too.
  row("endless",                     { outcome: /^timeout_total$/ },                            "model",    "never", "none",      "answered"),
  row("silence",                     { outcome: /^timeout_/ },                                  "model",    "never", "none",      "failed"),
  row("broken off",                  { outcome: /^(?:cut_stream|taken_over)$/ },                "model",    "never", "none",      "failed"),

  // --- the request
  row("the prompt is too long",      { outcome: refusal, overflow: true },                      "request",  "never", "none",      "answered"),

  // --- the account
  row("out of credit",               { outcome: refusal, status: /^402$/ },                     "account",  "never", "exhausted", "answered"),
  row("out of credit, by its code",  { outcome: refusal, code: creditCodes },                   "account",  "never", "exhausted", "answered"),
  // Google says "exceeded your current quota" of a limit per minute too, with 429.
  row("out of credit, in words",     { outcome: refusal, status: /^4(?!29)\d\d$/, says: creditWords }, "account", "never", "exhausted", "answered"),

  // --- the model: before the key, since OpenAI tells of it by 403, too
  row("no such model, by its code",  { outcome: refusal, status: /^4(?:0[0134]|10|22)$/, code: modelCodes }, "model", "never", "gone", "answered"),
  row("no such model",               { outcome: refusal, status: /^4(?:0[034]|10|22)$/, says: modelWords },  "model", "never", "gone", "answered"),
  // Anthropic: `{"type":"not_found_error","message":"model: claude-x"}`.
  row("no such model at Anthropic",  { outcome: refusal, status: /^404$/, code: /^not_found_error$/, says: /^model\b/ }, "model", "never", "gone", "answered"),

  // --- the key
  // OpenRouter: 403 for what its moderation flags.
  row("flagged",                     { outcome: refusal, status: /^403$/, says: /moderation|flagged/i }, "request", "never", "none", "answered"),
  row("not from here",               { outcome: refusal, status: /^403$/, code: /^unsupported_country/ }, "account", "never", "gone", "answered"),
  row("the key",                     { outcome: refusal, status: /^40[13]$/ },                  "key",      "never", "none",      "answered"),
  row("the key, by its code",        { outcome: refusal, status: /^4(?!29)\d\d$/, code: keyCodes }, "key",  "never", "none",      "answered"),
  row("the key, in words",           { outcome: refusal, status: /^4(?!29)\d\d$/, says: keyWords }, "key",  "never", "none",      "answered"),

  // --- limits
  // More than the limit of a whole minute: that never fits, and others do.
  row("larger than the limit",       { outcome: refusal, status: /^429$/, says: /request too large for/i }, "request", "never", "none", "answered"),
  row("too many at a time",          { outcome: refusal, status: /^429$/, says: /concurren/i }, "account",  "again", "asked",     "answered"),
  // Both count by model (Anthropic "Rate limits"; OpenAI "Rate limits").
  row("the limit of a model",        { outcome: refusal, status: /^429$/, kind: ["anthropic", "openai"] }, "model", "again", "asked", "answered"),
  row("the limit of a model, in words", { outcome: refusal, status: /^429$/, says: /rate-limited upstream|provider returned error/i }, "model", "again", "asked", "answered"),
  row("the limit of a named model",  { outcome: refusal, status: /^429$/, namesModel: true },   "model",    "again", "asked",     "answered"),
  row("the limit",                   { outcome: refusal, status: /^429$/ },                     "account",  "again", "asked",     "answered"),

  // --- the provider
  row("the model is being loaded",   { outcome: refusal, status: /^503$/, says: /loading (?:the )?model|model is (?:still )?loading/i }, "model", "again", "asked", "answered"),
  row("nobody serves the model",     { outcome: refusal, status: /^50[23]$/, kind: ["openrouter"] }, "model", "again", "asked",  "failed"),
  row("overloaded",                  { outcome: refusal, status: /^(?:503|529)$/ },             "provider", "again", "asked",     "failed"),
  row("a moment too early",          { outcome: /^upstream_/, status: /^4(?:08|09|25)$/ },      "provider", "again", "none",      "answered"),
  row("a failure",                   { outcome: /^upstream_/, status: /^5(?:0[024]|2\d)$/ },    "provider", "again", "none",      "failed"),
  row("another failure",             { outcome: /^upstream_/, status: /^[5-9]\d\d$/ },          "provider", "never", "none",      "failed"),
  row("a redirect",                  { outcome: /^upstream_/, status: /^[1-3]\d\d$/ },          "provider", "never", "none",      "answered"),
  row("a refusal",                   { outcome: refusal, status: /^4\d\d$/ },                   "request",  "never", "none",      "answered"),
  row("nonsense",                    {},                                                        "model",    "never", "none",      "failed"),
];

function row(
  name: string,
  when: Row["when"],
  scope: Scope,
  again: "again" | "never",
  rest: Failure["rest"],
  breaker: Failure["breaker"],
): Row {
  return { name, when, scope, again: again === "again", rest, breaker };
}

/** A message says what it is about in its beginning. */
const wordingCharacters = 2_000;

/** The row that fits. */
export function classifyFailure(facts: FailureFacts): Failure {
  // The last row fits everything.
  return failureTable.find(({ when }) => fits(when, facts))!;
}

/** As the one who threw it classified it, who had its words; else by what is left of it. */
export function failureOf(failed: FailureFacts & { readonly failure?: Failure | undefined }): Failure {
  return failed.failure ?? classifyFailure(failed);
}

function fits(when: Row["when"], { outcome, status, fault, kind, model }: FailureFacts): boolean {
  if (when.outcome !== undefined && !when.outcome.test(outcome)) return false;
  const told = statusOf(outcome, status, fault);
  if (when.status !== undefined && !when.status.test(String(told))) return false;
  if (when.kind !== undefined && (kind === undefined || !when.kind.includes(kind))) return false;
  const { code, says, namesModel } = when;
  if (code !== undefined && (fault?.code === undefined || !code.test(fault.code))) return false;
  const words = fault?.message.slice(0, wordingCharacters) ?? "";
  if (says !== undefined && !says.test(words)) return false;
  if (namesModel === true && (model === undefined || model === "" || !words.includes(model))) return false;
  return when.overflow !== true || (fault !== undefined && isContextOverflow({ ...fault, status: told }));
}

function statusOf(outcome: string, status: number, fault: UpstreamFault | undefined): number {
  if (outcome.startsWith("upstream_")) return Number(outcome.slice("upstream_".length));
  return fault === undefined || status >= 400 ? status : fault.status;
}
