// What a client makes of what it got, and whether that, the trail and the money are what is expected.

import type { JsonObject } from "../../src/wire/neutral.ts";
import type { TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { attemptsOf, type AuditLine } from "../harness.ts";
import { viewOf } from "../wire/stream-text.ts";
import type { Cell } from "./cells.ts";
import { vendorBody } from "./kinds/statuses.ts";
import { UPSTREAM_WORDS } from "./words.ts";
import type { Result } from "./oracle.ts";
import { billed, LOCAL_ENDING, LOCAL_TEXT, type Outcome, type Seen } from "./run.ts";
import { CLOUD_TEXT } from "./wire.ts";

/** The texts that a client may get for an answer that somebody carried on or nobody had to. */
export function wholeTexts({ fault: { fate, text = CLOUD_TEXT } }: Pick<Cell, "fault">): string[] {
  return fate.shown === "all" ? [text, text + LOCAL_ENDING] : [text];
}

/** What is wrong with a cell; empty: nothing. */
export function complaintsAbout(outcome: Outcome): string[] {
  const { cell, seen, line } = outcome;
  const result = resultOf(cell, seen);
  const { expected } = cell;
  if (result !== expected.result) return [`${result}, not ${expected.result}; ${seen.status} ${seen.body.slice(-600)}`];
  if (line === undefined) return ["no line in the trail"];
  const attempts = attemptsOf(line).map((attempt) => attempt.replace(/^[^:]*:/, ""));
  const complaints: string[] = [];
  if (expected.attempts !== null && attempts.join() !== expected.attempts.join()) {
    complaints.push(`attempts ${attempts.join()}, not ${expected.attempts.join()}`);
  }
  if (line.status !== seen.status) complaints.push(`the line has status ${line.status}, the client ${seen.status}`);
  if (line.outcome !== outcomeOf(cell)) complaints.push(`the line says ${line.outcome}, not ${outcomeOf(cell)}`);
  return [...complaints, ...complaintsAboutMoney(cell, line)];
}

function outcomeOf({ expected: { result }, fault, setting }: Cell): string {
  if (result === "its own refusal") return "client_error";
  if (fault.endless === true && result === "an error event") return "refused_budget";
  if (
    result === "an error" ||
    (result === "an error event" && fault.fate.shown === "nothing" && setting.line === "open")
  ) {
    return fault.fate.alone === "limit" ? "refused_limit" : "upstream_error";
  }
  return result === "an error event" ? "upstream_error" : "ok";
}

/** Everything else is a fault of ours and says in what. */
type Found = Result | `neither: ${string}`;

export function resultOf(cell: Cell, seen: Seen): Found {
  if (seen.broken !== null) return `neither: the connection broke: ${seen.broken}`;
  try {
    if (seen.status >= 400) return errorIn(cell, seen);
    const isStream = (seen.headers.get("content-type") ?? "").startsWith("text/event-stream");
    if (isStream !== cell.wire.stream) return `neither: ${seen.headers.get("content-type")}`;
    return isStream ? streamIn(cell, seen) : wholeIn(cell, seen);
  } catch (error) {
    return `neither: unreadable: ${String(error)}`;
  }
}

function textMeans({ fault, expected }: Cell, text: string): Found {
  const whole = fault.text ?? CLOUD_TEXT;
  if (expected.result === "carried on" && wholeTexts({ fault }).includes(text)) return "carried on";
  if (text === whole) return "the answer";
  return text === LOCAL_TEXT ? "the local answer" : `neither: the text ${JSON.stringify(text)}`;
}

function streamIn(cell: Cell, { body }: Seen): Found {
  const { text, errors, complete, data } = viewOf(cell.client, body);
  const begun = data.filter(({ type }) => type === "message_start" || type === "response.created").length;
  if (begun > 1) return `neither: it begins ${begun} times`;
  const ends = body.match(/^data: (?:\[DONE\]|\{"type":"(?:message_stop|response\.completed)")/gm)?.length ?? 0;
  if (ends > 1) return `neither: it ends ${ends} times`;
  if (errors.length === 0) return complete ? textMeans(cell, text) : "neither: it ends without an end";
  if (errors.length > 1 || complete || ends > 0) return `neither: errors ${JSON.stringify(errors)} beside its end`;
  if (!isError(cell.client, data.at(-1)!)) return "neither: something behind the error";
  const whole = cell.fault.text ?? CLOUD_TEXT;
  const isPart = cell.fault.endless === true ? text.startsWith(whole.slice(0, 5)) : whole.startsWith(text);
  return isPart ? "an error event" : `neither: an error behind ${JSON.stringify(text)}`;
}

function isError(dialect: TestDialect, data: JsonObject): boolean {
  if (dialect === "chat") return data["error"] !== undefined;
  return data["type"] === (dialect === "messages" ? "error" : "response.failed");
}

function wholeIn(cell: Cell, { body }: Seen): Found {
  return textMeans(cell, answerIn(cell.client, JSON.parse(body) as JsonObject));
}

function answerIn(dialect: TestDialect, json: JsonObject): string {
  if (dialect === "messages") return textsOf(objectsOf(json["content"]));
  if (dialect === "chat") return textOf(objectOf(objectsOf(json["choices"])[0]?.["message"])?.["content"]);
  return textsOf(objectsOf(json["output"]).flatMap((item) => objectsOf(item["content"])));
}

function textsOf(parts: readonly JsonObject[]): string {
  return parts.map((part) => textOf(part["text"])).join("");
}

function errorIn(cell: Cell, { status, headers, body }: Seen): Found {
  const { fault, client, wire } = cell;
  const { alone, shown } = fault.fate;
  if (shown === "refusal" && client === wire.dialect && fault.body === "vendor") {
    return status === fault.fate.status && body === vendorBody(wire) ? "its own refusal" : "neither: not its own words";
  }
  const envelope = envelopeFault(client, body);
  if (envelope !== null) return `neither: ${envelope}`;
  if (!headers.get("content-type")?.startsWith("application/json")) return "neither: an error that is no JSON";
  if (headers.get("x-sanctum-error") === null) return "neither: an error without x-sanctum-error";
  if (shown === "refusal") return status === refusalStatus(cell) ? "its own refusal" : `neither: status ${status}`;
  if (/127\.0\.0\.1|fault-model/.test(body) || body.includes(UPSTREAM_WORDS)) return "neither: it tells of the house";
  const wait = Number(headers.get("retry-after"));
  const final = headers.get("x-should-retry") === "false";
  if (alone === "limit") return status === 429 && wait >= 1 && wait <= 30 ? "an error" : `neither: status ${status}`;
  const due = alone === "credit" ? (client === "messages" ? 402 : 429) : 503;
  return status === due && final ? "an error" : `neither: status ${status}, ${final ? "final" : "not final"}`;
}

/** Anthropic has no 422, and Claude Code sends one again for minutes. */
function refusalStatus({ fault, client }: Cell): number | undefined {
  return fault.fate.status === 422 && client === "messages" ? 400 : fault.fate.status;
}

function envelopeFault(dialect: TestDialect, body: string): string | null {
  const json = objectOf(JSON.parse(body) as JsonObject);
  const error = objectOf(json?.["error"]);
  if (error === null) return "no error object";
  if (textOf(error["message"]) === "" || textOf(error["type"]) === "") return "an error without type or message";
  if (dialect === "messages") return json?.["type"] === "error" ? null : "no `type: error`";
  return "code" in error && "param" in error ? null : "no code, no param";
}

/** A millionth is the smallest amount that the trail tells. */
const millionth = 1e-6;

function complaintsAboutMoney({ fault: { fate, sent = 0 }, expected, setting }: Cell, line: AuditLine): string[] {
  const attempts = objectsOf(line["attempts"]);
  const sum = attempts.reduce((usd, attempt) => usd + Number(attempt["usd"]), 0);
  const complaints: string[] = [];
  if (Math.abs(sum - line.usd) > attempts.length * millionth)
    complaints.push(`${line.usd} USD, ${sum} by its attempts`);
  const failed = attempts.filter((_, index) => index === 0 || (index === 1 && expected.attempts?.[1] === fate.outcome));
  const held = Number(line["held_usd"]);
  for (const attempt of failed) {
    const usd = Number(attempt["usd"]);
    if (fate.bill === "nothing" && usd !== 0) complaints.push(`${usd} USD for what was not billed`);
    if (fate.bill === "generated" && usd < billed(sent) - millionth)
      complaints.push(`${usd} USD of ${billed(sent)} billed`);
    if (fate.bill === "told" && Math.abs(usd - billed(1)) > millionth) complaints.push(`${usd} USD, not ${billed(1)}`);
    if (usd > held + millionth) complaints.push(`${usd} USD, more than the ${held} that were held`);
  }
  const last = attempts.at(-1);
  const other = Number(last?.["usd"]);
  if (attempts.length > 1 && setting.behind === "local" && other !== 0)
    complaints.push(`${other} USD for a local answer`);
  return complaints;
}
