// What the scripted upstream says, in both dialects, as bytes that are ready to be written.

import { stampOf } from "./stamp.ts";

export type Spoken = "chat" | "messages";

/** The model as it names itself: dated, as vendors do, so that a gateway has to put the asked name back. */
const model = "bench-model-2026-11-01";
const created = 1_795_000_000;
const sentence = "The keys stay home, the spend stays under its cap, and every request leaves a line behind. ";

/** A whole answer with head, about 1.5 KB as a short chat answer is. */
export function jsonAnswer(spoken: Spoken): Buffer {
  const text = sentence.repeat(12);
  const body = JSON.stringify(
    spoken === "chat"
      ? {
          id: "chatcmpl-bench",
          object: "chat.completion",
          created,
          model,
          choices: [{ index: 0, message: { role: "assistant", content: text, refusal: null }, finish_reason: "stop" }],
          usage: { prompt_tokens: 250, completion_tokens: 230, total_tokens: 480 },
        }
      : {
          id: "msg_bench",
          type: "message",
          role: "assistant",
          model,
          content: [{ type: "text", text }],
          stop_reason: "end_turn",
          stop_sequence: null,
          usage: { input_tokens: 250, output_tokens: 230 },
        },
  );
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return Buffer.from(head + body);
}

/** The parts of a streamed answer: what comes at once, each paced event, what ends it. */
export interface StreamScript {
  readonly opening: string;
  readonly event: (stampedAt: number) => string;
  readonly closing: string;
}

export function streamScript(spoken: Spoken): StreamScript {
  const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
  const { first, before, after, last } = spoken === "chat" ? chatEvents() : messagesEvents();
  return {
    opening: head + chunk(first),
    event: (stampedAt) => chunk(before + stampOf(stampedAt) + after),
    closing: `${chunk(last)}0\r\n\r\n`,
  };
}

/** A whole streamed answer of so many events, each a chunk of its own. */
export function burst(spoken: Spoken, events: number): Buffer {
  const { opening, event, closing } = streamScript(spoken);
  return Buffer.from(opening + event(0).repeat(events) + closing, "latin1");
}

/** One chunk of the chunked coding; the text is ASCII. */
function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

interface Events {
  readonly first: string;
  readonly before: string;
  readonly after: string;
  readonly last: string;
}

function chatEvents(): Events {
  const part = (choices: unknown[], usage: unknown = null): string =>
    `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created, model, choices, usage })}\n\n`;
  const [before, after] = split(part([{ index: 0, delta: { content: "SPLIT a few words " }, finish_reason: null }]));
  return {
    first: part([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]),
    before,
    after,
    last:
      part([{ index: 0, delta: {}, finish_reason: "stop" }]) +
      part([], { prompt_tokens: 250, completion_tokens: 100, total_tokens: 350 }) +
      "data: [DONE]\n\n",
  };
}

function messagesEvents(): Events {
  const event = (data: { type: string; [key: string]: unknown }): string =>
    `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const text = { type: "text_delta", text: "SPLIT a few words " };
  const [before, after] = split(event({ type: "content_block_delta", index: 0, delta: text }));
  const message = {
    id: "msg_bench",
    type: "message",
    role: "assistant",
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 250, output_tokens: 1 },
  };
  return {
    first:
      event({ type: "message_start", message }) +
      event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }),
    before,
    after,
    last:
      event({ type: "content_block_stop", index: 0 }) +
      event({
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: { output_tokens: 100 },
      }) +
      event({ type: "message_stop" }),
  };
}

function split(text: string): readonly [string, string] {
  const [before, after] = text.split("SPLIT");
  return [before!, after!];
}
