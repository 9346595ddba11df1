// Carries out one step of the script on one connection.

import type { Dialect } from "../../src/wire/neutral.ts";
import { chatErrorEvent, renderChat } from "./chat-wire.ts";
import { headText, type Connection } from "./connection.ts";
import { textOf } from "./json-access.ts";
import { messagesErrorEvent, renderMessages } from "./messages-wire.ts";
import type { RecordedRequest } from "./provider.ts";
import { playRaw, untilClosed } from "./raw-acts.ts";
import { renderResponses, responsesErrorEvent } from "./responses-wire.ts";
import { stringifyWithCounts, type Cut, type Rendered, type Step } from "./script.ts";

type Ended = "answered" | "cut";

/** `cut`: the script ended the connection, not the client. Returns also when the client went away in the middle. */
export async function play(
  step: Step,
  request: RecordedRequest,
  dialect: Dialect,
  connection: Connection,
): Promise<Ended> {
  if (step.raw !== undefined) return playRaw(step.raw, connection);
  if (step.stall === "before_headers") return silence(connection);
  if (step.refuse !== undefined) {
    const { status, headers, body } = step.refuse;
    const text = body === undefined ? "" : typeof body === "string" ? body : stringifyWithCounts(body);
    return sendBody(step, connection, status, text, headers ?? {});
  }
  const rendered = render(step, request, dialect);
  const streamed = request.json()["stream"] === true && step.jsonForStream !== true;
  if (!streamed) return sendBody(step, connection, 200, rendered.json, step.headers ?? {});
  return sendStream(step, connection, dialect, rendered.events);
}

function render(step: Step, request: RecordedRequest, dialect: Dialect): Rendered {
  const raw = step.rawBody;
  if (raw !== undefined)
    return typeof raw === "string" ? { json: raw, events: [raw] } : { json: raw.join(""), events: raw };
  const body = request.json();
  const answer = step.answer ?? {};
  const model = textOf(body["model"]);
  if (dialect === "messages") return renderMessages(answer, model, request.index);
  if (dialect === "responses") return renderResponses(answer, model, request.index);
  return renderChat(answer, model, request.index, asksForUsage(body["stream_options"]));
}

function asksForUsage(options: unknown): boolean {
  return (
    typeof options === "object" && options !== null && "include_usage" in options && options.include_usage === true
  );
}

async function sendBody(
  step: Step,
  connection: Connection,
  status: number,
  text: string,
  headers: Record<string, string>,
): Promise<Ended> {
  const body = Buffer.from(text, "utf8");
  const cut = step.cut !== undefined && "byte" in step.cut.at ? { at: step.cut.at.byte, how: step.cut.how } : undefined;
  const length = cut?.how === "end" ? Math.min(cut.at, body.length) : body.length;
  const contentType = step.contentType ?? "application/json";
  const head = headText(status, { "content-type": contentType, ...headers, "content-length": `${length}` });
  await connection.write(head, step.split);
  if (step.stall !== undefined) return silence(connection);
  if (step.gate !== undefined && !(await step.gate.pass(connection.closed))) return "answered";
  await connection.write(body.subarray(0, cut?.at ?? body.length), step.split);
  if (cut === undefined) return "answered";
  if (cut.how !== "end") hangUp(connection, cut.how);
  return "cut";
}

async function sendStream(
  step: Step,
  connection: Connection,
  dialect: Dialect,
  events: readonly string[],
): Promise<Ended> {
  const head = headText(200, {
    "content-type": step.contentType ?? "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    ...step.headers,
    "transfer-encoding": "chunked",
  });
  await connection.write(head, step.split);
  if (step.stall === "after_headers") return silence(connection);
  let room = step.cut !== undefined && "byte" in step.cut.at ? step.cut.at.byte : Infinity;
  for (let index = 0; index <= events.length; index++) {
    const gated = step.gate !== undefined && (index < events.length || happensAt(step, index));
    if (gated && !(await step.gate?.pass(connection.closed))) return "answered";
    if (step.cut !== undefined && "event" in step.cut.at && step.cut.at.event === index) {
      return cutOff(step.cut, connection);
    }
    if (typeof step.stall === "object" && step.stall.afterEvents === index) return silence(connection);
    if (step.errorEvent?.afterEvents === index) {
      await connection.write(chunk(errorEventText(step, dialect, index)), step.split);
      break;
    }
    if (index === events.length) break;
    const comment = step.comments === undefined ? "" : `: ${step.comments}\n\n`;
    const bytes = Buffer.from(comment + (events[index] ?? ""), "utf8").subarray(0, room);
    room -= bytes.length;
    if (bytes.length > 0) await connection.write(chunk(bytes), step.split);
    if (room <= 0 && step.cut !== undefined) return cutOff(step.cut, connection);
    if (connection.closed.aborted) return "answered";
  }
  await connection.write("0\r\n\r\n", step.split);
  return "answered";
}

/** A cut, a stall or an error in place of event `index`: it waits at the gate as the event would. */
function happensAt(step: Step, index: number): boolean {
  const cut = step.cut !== undefined && "event" in step.cut.at ? step.cut.at.event : undefined;
  const stall = typeof step.stall === "object" ? step.stall.afterEvents : undefined;
  return [cut, stall, step.errorEvent?.afterEvents].includes(index);
}

async function cutOff(cut: Cut, connection: Connection): Promise<"cut"> {
  if (cut.how === "end") await connection.write("0\r\n\r\n");
  else hangUp(connection, cut.how);
  return "cut";
}

function errorEventText(step: Step, dialect: Dialect, index: number): string {
  const type = step.errorEvent?.type ?? (dialect === "messages" ? "overloaded_error" : "server_error");
  const message = step.errorEvent?.message ?? "Overloaded";
  if (dialect === "messages") return messagesErrorEvent(type, message);
  if (dialect === "responses") return responsesErrorEvent(type, message, index);
  return chatErrorEvent(type, message);
}

/** Chunked framing, one chunk an event (RFC 9112, section 7.1). */
export function chunk(content: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(typeof content === "string" ? Buffer.from(content, "utf8") : content);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
}

function hangUp(connection: Connection, how: "destroy" | "close"): void {
  if (how === "destroy") connection.destroy();
  else connection.close();
}

async function silence(connection: Connection): Promise<Ended> {
  await untilClosed(connection);
  return "answered";
}
