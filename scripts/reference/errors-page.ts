import { errorCodes, GatewayError, type ErrorCode } from "../../src/errors.ts";
import { errorAnswer } from "../../src/wire/errors.ts";
import type { Dialect } from "../../src/wire/neutral.ts";
import { code, fence, page, table } from "./page.ts";

/** What to do, for the person who reads the code in a client's message or in the audit trail. */
const remedies: Readonly<Record<ErrorCode, string>> = {
  DOOR_HOST: "Use an address of `listen`, or `localhost`; add the name to `host_names` if a proxy stands in front.",
  DOOR_ORIGIN: "The call came from a web page. Call from a program, or from the server side of the page.",
  DOOR_PATH: "See [the routes](routes.md). Nothing that is not listed there is forwarded.",
  DOOR_METHOD: "Use a method that the `allow` header of the answer names.",
  DOOR_UPGRADE: "Use HTTP with `stream: true`. Codex does so by itself after this answer.",
  DOOR_CONTENT_TYPE: "Send the header `content-type: application/json`.",
  DOOR_CONTENT_ENCODING: "Switch off the compression of requests in the client, or let it use one of those codings.",
  DOOR_BODY_TOO_LARGE: "Send less: shorten the conversation, or make its images smaller.",
  DOOR_HEADER: "Send each header once, in visible ASCII.",
  DOOR_BUSY: "64 readers of `/stats/stream` are the most. Close one, or read `/stats`.",
  DOOR_OVERLOADED:
    "Come back after `retry-after`. `/stats` (`overload`) says what is short; `overload.in_flight` is the limit of requests.",
  DOOR_STOPPING: "Try again when the gateway is back.",
  AUDIT_UNAVAILABLE: "Make room on the disk, or mend the file that `sanctum status` names. It goes on by itself then.",
  IDENTITY_TOKEN_UNKNOWN: "Check the token in the client; `sanctum agents rotate NAME` makes a new one.",
  IDENTITY_MISMATCH:
    "The name in the path or in `x-sanctum-agent` must be that of the token's agent. Leave it out, or correct it.",
  IDENTITY_REQUIRED:
    "Give the client a token. Off loopback, and with `identity.anonymous: never`, nobody calls without one.",
  IDENTITY_AMBIGUOUS: "The client sends the same credential header twice. Leave one.",
  LIMITS_AGENT_RATE: "Wait for `retry-after`, or raise `agents.NAME.requests_per_minute`.",
  LIMITS_AGENT_CONCURRENT: "Let requests end first, or raise `agents.NAME.max_concurrent`.",
  LIMITS_EXHAUSTED: "Wait for `retry-after`. A local model in `fallback` spares the wait.",
  LIMITS_LOCAL_BUSY:
    "Wait for `retry-after`. Where the server can do more at once than it is given, raise `providers.NAME.limits.concurrent`.",
  REQUEST_JSON:
    "The message says where. Doubled keys, broken UTF-8 and numbers that are too large to be numbers are refused too.",
  REQUEST_INVALID: "The message names the field. What cannot be priced is refused as well.",
  REQUEST_KEY_REUSED: "Give each request a key of its own; a repeat must be the same request to the byte.",
  REQUEST_TIMEOUT: "Send the body at once.",
  ROUTE_MODEL_UNKNOWN: "Ask for a name of `GET /v1/models`, or write `provider/model`.",
  ROUTE_MODEL_FORBIDDEN: "Ask for another model, or widen `agents.NAME.models`.",
  ROUTE_NO_CANDIDATE:
    "The message says what is missing: a key (store it), or a local model (`sanctum status` has the command that fetches it).",
  BUDGET_EXHAUSTED: "Wait for the next day (`day_ends_at` in `/stats`), raise the cap, or start a local model.",
  BUDGET_HELD:
    "Wait as `retry-after` says: holds are worst cases, and most of them come back within seconds. Fewer requests at one time help.",
  BUDGET_LEDGER: "Make room on the disk; see `sanctum status` and the log.",
  UPSTREAM_FAILED:
    "Look at the attempts in `sanctum audit tail --json`, and at the providers in `sanctum stats`. Where a model was really " +
    "asked, the gateway has tried again itself, and `x-should-retry: false` keeps clients from multiplying that.",
  UPSTREAM_CREDIT:
    "Top up the account at the provider, or start a local model. The attempts in the audit trail name it.",
  UPSTREAM_LOGIN:
    "Log in to the provider again in the client. The answer is that of the provider: the credential is the client's own (`key: passthrough`), so that no other model is asked.",
  UPSTREAM_CUT: "Ask again. The tokens that came are paid.",
  CLIENT_GONE: "Nothing: the client closed the connection. What was generated is paid.",
  INTERNAL: "A fault of the gateway. The log has the details under the request's id: please report it.",
};

/** In the table of codes, but no part raises them. The test of the reference holds this list against the source. */
export const neverRaised: readonly ErrorCode[] = ["DOOR_HEADER", "REQUEST_TIMEOUT", "UPSTREAM_CUT"];

const dialects: readonly Dialect[] = ["messages", "chat", "responses"];

export function errorsPage(): string {
  const codes = Object.keys(errorCodes) as ErrorCode[];
  return page(
    "Errors",
    introduction,
    fence("http", example()),
    afterExample,
    table(["Code", "Messages", "Chat and Responses", "Again?", "What it says", "What to do"], codes.map(row)),
    notRaised,
    neverRaised.map((name) => `- ${code(name)}`).join("\n"),
    upstreams,
  );
}

const introduction = `
A refusal comes in the envelope of the client's own dialect, with that dialect's status and type names. Three headers are
the gateway's: \`x-sanctum-error\` has the code of the table below, \`x-sanctum-request-id\` the id under which the request stands
in the audit trail and in the log, and \`x-should-retry: false\` says that the same request would fail again. A
\`retry-after\` is in whole seconds, 30 at most.`;

const afterExample = `
The first part of a code names the part of the gateway that raised it. \`Again?\`: whether the official SDKs try the same
request again by themselves.

A refusal at the door (\`DOOR_HOST\`, \`DOOR_ORIGIN\`, \`DOOR_PATH\`, \`DOOR_METHOD\`, \`DOOR_UPGRADE\`, \`DOOR_BUSY\`,
\`DOOR_STOPPING\`) leaves no line in the audit trail, and neither does \`AUDIT_UNAVAILABLE\`. Every other one does on the routes
that can reach a provider; the list of models and the operations pages leave no lines.`;

const notRaised = `
## In the table, but not answered

No part of this version answers with these codes. A stream that breaks off after its first content is told inside the
stream, by the dialect's error event, which has no header for a code.`;

const upstreams = `
## What a provider refuses

400, 404, 413 and 422 of the candidate that the client asked for come back to it: byte for byte where both speak the same
dialect, translated otherwise, without the house's keys and without the house's own model name. Everything else (401, 402,
403, 408, 425, 429, 5xx, and a 400 about credit or quota) is a failed attempt, and the next candidate answers. So an
upstream's 401 never reaches a client.`;

function example(): string {
  const id = "req_01KASC2T48TGVJR0Y4YQZ5N3M7";
  const { status, headers, body } = errorAnswer("messages", new GatewayError("BUDGET_EXHAUSTED"), id);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} Payment Required`, ...lines, "", body].join("\n");
}

function row(name: ErrorCode): string[] {
  const [messages, chat, responses] = dialects.map((dialect) => shapeOf(name, dialect)) as [Shape, Shape, Shape];
  if (chat.text !== responses.text) throw new Error(`${name} differs between Chat and Responses: give each a column`);
  return [code(name), messages.text, chat.text, messages.again ? "yes" : "no", errorCodes[name].text, remedies[name]];
}

interface Shape {
  readonly text: string;
  readonly again: boolean;
}

function shapeOf(name: ErrorCode, dialect: Dialect): Shape {
  const { status, headers, body } = errorAnswer(dialect, new GatewayError(name), "req_1");
  const { error } = JSON.parse(body) as { error: { type: string; code?: string | null } };
  const kind =
    error.code === undefined || error.code === null || error.code === error.type ? "" : `, ${code(error.code)}`;
  return { text: `${status} ${code(error.type)}${kind}`, again: headers["x-should-retry"] !== "false" };
}
