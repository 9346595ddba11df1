// Counting a prompt's tokens where that is free: asked of the one who would answer it, in the form that it would get, with
// little patience. Whatever fails ends in an estimate, so nothing here is tried twice.

import type { Clock } from "../clock.ts";
import { AttemptError } from "../errors.ts";
import type { GatewayResponse, Handler, Keyed, Provider } from "../request.ts";
import type { Codec, Dialect, Json, JsonObject } from "../wire/neutral.ts";
import { serverProfiles, type ServerProfile } from "../wire/profiles/server-profiles.ts";
import { readCount } from "../wire/usage.ts";
import { wellFormedJson } from "../wire/well-formed.ts";
import { Deadline } from "./deadline.ts";
import { isOwn } from "../own-credential.ts";
import { failureOf, type Dispatcher } from "./dispatch.ts";
import { countEndpointOf } from "./endpoint.ts";
import { jsonHeaders, upstreamHeaders } from "./headers.ts";
import { profileOf } from "./profile.ts";
import { refusalOf, type ToldWaits } from "./refusal.ts";
import type { TokenRatios } from "./token-ratios.ts";

export interface CountParts {
  readonly codecs: Readonly<Record<Dialect, Codec>>;
  readonly dispatcher: Pick<Dispatcher, "send">;
  readonly clock: Clock;
  readonly ratios: TokenRatios;
  /** Takes keys out of an upstream's error text before it goes to the client. */
  readonly redact: (text: string) => string;
}

type Counting = NonNullable<ServerProfile["counting"]>;

/** An estimate now is worth more than a count later: `/context` waits for 25 of them. */
const patienceMs = 3_000;
/** vLLM lists the tokens beside their number. */
const maxAnswerChars = 16 * 1024 * 1024;
/** So long a server is left alone that failed to count, or that has no such route. */
const failedForMs = 10_000;
const missingForMs = 600_000;
/** Faults of the request itself; its client learns them in the vendor's words. */
const clientFaults = new Set([400, 413, 422]);

/** Throws an AttemptError on every failure; answers 200 `{ "input_tokens": … }`, or what is wrong with the request. */
export function countUpstream(parts: CountParts): Handler<Keyed> {
  const pausedUntil = new Map<string, number>();
  return async (keyed) => {
    const { candidate, attempt } = keyed;
    const counting = countingOf(keyed);
    if (counting === null) throw new AttemptError("skipped_policy", { note: "counted here" });
    const { name } = candidate.provider;
    if (parts.clock.monotonic() < (pausedUntil.get(name) ?? -Infinity)) {
      throw new AttemptError("skipped_limit", { note: "it could not count a moment ago" });
    }
    try {
      const response = await ask(parts, keyed, counting);
      attempt.ms = parts.clock.monotonic() - attempt.startedAt;
      return response;
    } catch (error) {
      const waitMs = pauseAfter(error, keyed);
      if (waitMs > 0 && !keyed.signal.aborted) pausedUntil.set(name, parts.clock.monotonic() + waitMs);
      throw error;
    }
  };
}

/** A server that is asked in this dialect counts in it, where any does. */
function countingOf({ candidate }: Keyed): Counting | null {
  return candidate.dialect === "messages" ? "messages" : serverProfiles[profileOf(candidate.provider)].counting;
}

function pauseAfter(error: unknown, keyed: Keyed): number {
  if (!(error instanceof AttemptError) || error.outcome.startsWith("skipped_")) return 0;
  // What is wrong with one client's credential says nothing about the others'.
  if (isOwn(keyed) && (error.status === 401 || error.status === 403 || error.status === 429)) return 0;
  if (error.status === 404 || error.status === 405 || error.status === 501) return missingForMs;
  return failedForMs;
}

async function ask(parts: CountParts, keyed: Keyed, counting: Counting): Promise<GatewayResponse> {
  const { request, candidate, attempt, key, signal } = keyed;
  const same = counting === "messages";
  const body = same ? ownBody(keyed, parts.codecs.messages) : bodyFor(parts.codecs, keyed, counting);
  const deadline = new Deadline(signal);
  const startedAt = parts.clock.monotonic();
  let response: Response | undefined;
  try {
    const url = countEndpointOf(candidate.provider, counting);
    response = await parts.dispatcher.send({
      url,
      headers: upstreamHeaders({
        provider: candidate.provider,
        url,
        dialect: same ? "messages" : "chat",
        stream: false,
        key,
        own: isOwn(keyed) ? request.headers : null,
        client: same ? request.headers : null,
      }),
      body,
      provider: impatient(candidate.provider),
      deadline,
    });
    attempt.status = response.status;
    if (response.status !== 200) return await refused(parts, keyed, response, same);
    deadline.arm("timeout_first_content", Math.max(1, patienceMs - (parts.clock.monotonic() - startedAt)));
    const text = await readAnswer(response, deadline);
    const tokens = tokensIn(text);
    parts.ratios.learnCount(keyed, tokens);
    attempt.outcome = "ok";
    const answer = same ? text : JSON.stringify({ input_tokens: tokens });
    const finished = Promise.resolve({ outcome: "ok" as const, bytesOut: Buffer.byteLength(answer) });
    return { status: 200, headers: { ...jsonHeaders }, body: answer, finished };
  } finally {
    deadline.close();
    deadline.abort();
  }
}

/** The client's own bytes but for the model's name. */
function ownBody({ request, candidate }: Keyed, codec: Codec): string {
  const { model } = candidate;
  return codec.patchRequest(request.text, request.body, model === request.facts.model ? {} : { model });
}

/** What OpenAI's counting takes of a request (reference "Get input token counts"). */
const responsesFields = ["model", "input", "instructions", "tools", "tool_choice", "text", "reasoning"];
/** What vLLM's `/tokenize` takes of a Chat request. */
const tokenizeFields = ["model", "messages", "tools", "add_generation_prompt", "continue_final_message"];

/** As the real request would be translated. Throws an AttemptError `skipped_policy` where the target can't take it. */
function bodyFor(codecs: CountParts["codecs"], { request, candidate }: Keyed, counting: Counting): string {
  const codec = codecs[counting === "responses" ? "responses" : "chat"];
  const neutral = { ...codecs[request.dialect].toNeutral(request.body), stream: false };
  const translated = codec.fromNeutral(neutral, {
    profile: profileOf(candidate.provider),
    model: candidate.model,
    maxOutputTokens: undefined,
    ...(candidate.images === undefined ? {} : { images: candidate.images }),
    ...(candidate.tools === undefined ? {} : { tools: candidate.tools }),
  });
  if (counting === "responses") return wellFormedJson(JSON.stringify(picked(translated, responsesFields)));
  if (counting === "vllm") return wellFormedJson(JSON.stringify(picked(translated, tokenizeFields)));
  return wellFormedJson(JSON.stringify(translated));
}

function picked(body: JsonObject, names: readonly string[]): JsonObject {
  const kept: JsonObject = {};
  for (const name of names) if (body[name] !== undefined) kept[name] = body[name];
  return kept;
}

function impatient(provider: Provider): Provider {
  const { timeouts } = provider;
  const firstByteMs = Math.min(timeouts.firstByteMs, patienceMs);
  return { ...provider, timeouts: { ...timeouts, firstByteMs, connectMs: Math.min(timeouts.connectMs, patienceMs) } };
}

async function refused(parts: CountParts, keyed: Keyed, response: Response, same: boolean): Promise<GatewayResponse> {
  const { status } = response;
  if (same && clientFaults.has(status)) {
    const { clock, redact } = parts;
    return refusalOf({ response, codec: parts.codecs.messages, keyed, redact, told: saysNothing, clock });
  }
  throw new AttemptError(`upstream_${status}`, { status });
}

const saysNothing = (): ToldWaits => ({ retryAfterMs: undefined, regainMs: undefined });

async function readAnswer(response: Response, deadline: Deadline): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > maxAnswerChars) throw new AttemptError("cut_stream", { note: "the answer is too large" });
    }
  } catch (error) {
    throw error instanceof AttemptError ? error : failureOf(error, deadline);
  }
  return text + decoder.decode();
}

/** Throws where no count is told: an estimate is better than a lie. */
function tokensIn(text: string): number {
  let answer: Json = null;
  try {
    answer = JSON.parse(text) as Json;
  } catch (cause) {
    throw new AttemptError("error_event", { status: 200, note: "the count is not JSON", cause });
  }
  const told = typeof answer === "object" && answer !== null && !Array.isArray(answer) ? answer : {};
  const tokens = readCount(told["input_tokens"]) ?? readCount(told["count"]);
  if (tokens === undefined) throw new AttemptError("error_event", { status: 200, note: "the answer is no count" });
  return tokens;
}

/** Counts are asked for on their own way; answers go through `next`, and teach how many tokens a byte of prompt is. */
export function withCounting(parts: CountParts, next: Handler<Keyed>): Handler<Keyed> {
  const count = countUpstream(parts);
  return async (keyed) => {
    if (keyed.request.operation === "count_tokens") return count(keyed);
    const response = await next(keyed);
    void response.finished.then(() => parts.ratios.learnUsage(keyed));
    return response;
  };
}
