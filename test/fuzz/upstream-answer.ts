// Answers in one piece, and error bodies, from upstreams that are broken or hostile.

import { codecs } from "../../src/wire/codecs.ts";
import { classifyUpstream, faultAnswer } from "../../src/wire/errors.ts";
import type { AnswerContext, Dialect, Json, JsonObject, NeutralAnswer } from "../../src/wire/neutral.ts";
import { holdAnswer } from "../../src/wire/tool-hold.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { dialects } from "../fakes/house.ts";
import { objectOf } from "../fakes/json-access.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import { fakeAnswers } from "./golden-streams.ts";
import { faultOfAnswer } from "./legal-answers.ts";
import { faultOfFault, faultOfText } from "./legal-events.ts";
import { faultOfUsage } from "./legal-usage.ts";
import { mutateJson } from "./mutate-json.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

interface AnswerCase extends JsonObject {
  upstream: Dialect;
  client: Dialect;
  body: Json;
  singleCall: boolean;
}

export const upstreamAnswers: FuzzTarget = { name: "upstream-answer", rounds: 6_000, make, judge };

const odd: Readonly<Record<Dialect, readonly Json[]>> = {
  messages: [{ content: [{ type: "server_tool_use" }, { type: "text", text: "x", citations: [] }], usage: {} }],
  chat: [
    {
      choices: [{ message: { content: [{ type: "text", text: "a" }], function_call: { name: "f", arguments: "{" } } }],
    },
    { choices: [{ message: { tool_calls: [{ function: { name: "f", arguments: '"{}"' } }] }, stop_reason: "x" }] },
    { object: "error", message: "Sad" },
  ],
  responses: [
    { status: "incomplete", incomplete_details: { reason: "content_filter" }, output: [{ type: "web_search_call" }] },
    { status: "failed", error: { code: "rate_limit_exceeded", message: "Sad" }, output: [] },
  ],
};

const golden: Readonly<Record<Dialect, readonly Json[]>> = {
  messages: [...fakeAnswers.map((answer) => parsed(renderMessages(answer, "m", 0).json)), ...odd.messages],
  chat: [...fakeAnswers.map((answer) => parsed(renderChat(answer, "m", 0, true).json)), ...odd.chat],
  responses: [...fakeAnswers.map((answer) => parsed(renderResponses(answer, "m", 0).json)), ...odd.responses],
};

function parsed(text: string): Json {
  return JSON.parse(text) as Json;
}

function make(random: SeededRandom): Json {
  const upstream = random.pick(dialects);
  const from = random.integer(12) === 0 ? random.pick(dialects) : upstream;
  return {
    upstream,
    client: random.pick(dialects),
    body: mutateJson(random.pick(golden[from]), random, random.integer(6)),
    singleCall: random.integer(4) === 0,
  };
}

const request = codecs.responses.toNeutral({
  model: "asked",
  input: "hi",
  tools: [
    { type: "custom", name: "apply_patch" },
    { type: "namespace", name: "agents", tools: [{ type: "function", name: "spawn", parameters: {} }] },
  ],
});

function judge(input: Json): string | null {
  const { upstream, client, body, singleCall } = input as AnswerCase;
  const codec = codecs[upstream];
  const object = objectOf(body);
  if (object !== null) {
    const { usage, model } = codec.usageOf(object);
    if (model !== undefined && typeof model !== "string") return "a reported model that is no text";
    const fault = usage === undefined ? null : faultOfUsage(usage);
    if (fault !== null) return `${upstream}: ${fault}`;
  }
  const answer = codec.answerToNeutral(body ?? null);
  if ("fault" in answer) return faultOfFault(answer.fault);
  const fault = faultOfNeutral(answer);
  if (fault !== null) return `${upstream}: ${fault}`;
  const context: AnswerContext = {
    model: "asked",
    id: "01FUZZ",
    createdAt: 1_790_000_000,
    includeUsage: true,
    request,
  };
  const held = holdAnswer(answer, { request, singleCall, holdsThinking: false });
  const shown = codecs[client].answerFromNeutral(held, context);
  const illegal = faultOfAnswer(client, JSON.parse(JSON.stringify(shown)) as JsonObject);
  return illegal === null ? null : `${upstream} to ${client}: ${illegal}`;
}

function faultOfNeutral({ parts, usage, id, model }: NeutralAnswer): string | null {
  for (const part of parts) {
    if (part.type === "text" || part.type === "thinking" || part.type === "refusal") {
      const fault = faultOfText(part.text, part.type);
      if (fault !== null) return fault;
    } else if (part.type === "tool_call") {
      const fault =
        faultOfText(part.name, "tool name") ?? faultOfText(part.id, "tool id") ?? faultOfText(part.raw, "raw");
      if (fault !== null) return fault;
      if (objectOf(part.input) === null) return "tool input that is no object";
    }
  }
  if ([id, model].some((one) => one !== undefined && typeof one !== "string")) return "an id that is no text";
  return usage === undefined ? null : faultOfUsage(usage);
}

interface ErrorCase extends JsonObject {
  upstream: Dialect;
  client: Dialect;
  status: number;
  text: string;
}

export const upstreamErrors: FuzzTarget = { name: "upstream-error", rounds: 4_000, make: makeError, judge: judgeError };

const errors: readonly Json[] = [
  { type: "error", error: { type: "invalid_request_error", message: "prompt is too long: 200 tokens > 100 maximum" } },
  { error: { message: "Sad", type: "server_error", param: null, code: "context_length_exceeded" } },
  { error: { code: 400, message: "request (9 tokens) exceeds", type: "exceed_context_size_error", n_ctx: 8 } },
  { error: "text" },
  { object: "error", message: "This model's maximum context length is 8 tokens", code: 400 },
  { detail: [{ loc: ["body"], msg: "field required" }] },
  [{ error: { code: 429, message: "Quota" } }],
  { errors: [{ message: "Sad" }] },
];

function makeError(random: SeededRandom): Json {
  const body = JSON.stringify(mutateJson(random.pick(errors), random, random.integer(4)));
  const at = random.integer(body.length);
  const texts = [body, body.slice(0, at), `<html>${body}`, "", " ", "x".repeat(3_000), `[[[[[[[[${body}]]]]]]]]`];
  return {
    upstream: random.pick(dialects),
    client: random.pick(dialects),
    status: random.pick([400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529, 599]),
    text: random.integer(2) === 0 ? body : random.pick(texts),
  };
}

function judgeError(input: Json): string | null {
  const { upstream, client, status, text } = input as ErrorCase;
  const fault = codecs[upstream].parseError(status, text);
  const wrong = faultOfFault(fault) ?? faultOfText(fault.message, "the message");
  if (wrong !== null) return `${upstream}: ${wrong}`;
  if (fault.status !== status) return "a status that is not the answer's";
  classifyUpstream(status, fault);
  const shown = faultAnswer(client, fault, "req_1", { upstream: "m", asked: "asked" });
  if (shown.status < 400 || shown.status > 599) return "an error with the status of an answer";
  const error = objectOf(objectOf(JSON.parse(shown.body) as Json)?.["error"]);
  if (typeof error?.["message"] !== "string" || error["message"] === "") return "an envelope without a message";
  return shown.body.length > 10_000 ? "an envelope that is too large" : null;
}
