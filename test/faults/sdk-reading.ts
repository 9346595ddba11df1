// What the vendors' own clients make of what a client of the gateway got.

import Anthropic, { AnthropicError } from "@anthropic-ai/sdk";
import OpenAI, { OpenAIError } from "openai";
import type { TestDialect } from "../fakes/house.ts";
import type { Outcome, Seen } from "./run.ts";

/** The text of what it takes for a whole answer, or the error that it throws. */
export type SdkReading = { readonly text: string } | { readonly error: Error };

/** One of each kind: the same events in the same order, however often one is repeated, or the same kind of body. */
export function distinctShapes(outcomes: readonly Outcome[]): Outcome[] {
  const shapes = new Map<string, Outcome>();
  for (const outcome of outcomes) {
    const { client, wire, expected, fault } = outcome.cell;
    // What passes in the vendor's own dialect is as the provider wrote it, news (wire rule 133) and omissions alike:
    // OpenAI's helper throws at events that it does not know, Anthropic's at a message without usage.
    if (client === wire.dialect && ["an unknown event", "usage absent"].includes(fault.row)) continue;
    const shape = [client, wire.stream, expected.result, outcome.seen.status, shapeOf(outcome.seen.body)].join();
    if (!shapes.has(shape)) shapes.set(shape, outcome);
  }
  return [...shapes.values()];
}

/** Which fields hold text that says of what kind an event is. */
const telling = "type|object|finish_reason|stop_reason|code|status|role";
const otherText = new RegExp(`"(?!(?:${telling})")(\\w+)":\\s*"(?:[^"\\\\]|\\\\.)*"`, "g");

function shapeOf(body: string): string {
  const kinds = body.split("\n\n").map((event) =>
    event
      .replaceAll(otherText, '"$1":""')
      .replaceAll(/\d+/g, "0")
      .replace(/("response":).*/, "$1"),
  );
  return kinds.filter((kind, index) => kind !== kinds[index - 1]).join("\n");
}

type Way = (seen: Seen) => Promise<string>;

/** The ways of the SDKs to get at an answer, by the dialect that they speak. */
const ways: Readonly<Record<TestDialect, { readonly stream: readonly Way[]; readonly whole: readonly Way[] }>> = {
  messages: {
    stream: [
      async (seen) => textOfMessage(await anthropic(seen).messages.stream(messagesRequest).finalMessage()),
      async (seen) => {
        let text = "";
        let ended = false;
        for await (const event of await anthropic(seen).messages.create({ ...messagesRequest, stream: true })) {
          if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
          ended ||= event.type === "message_stop";
        }
        return ended ? text : `${text}[ended silently]`;
      },
    ],
    whole: [async (seen) => textOfMessage(await anthropic(seen).messages.create(messagesRequest))],
  },
  chat: {
    stream: [
      async (seen) => {
        const done = await openai(seen).chat.completions.stream(chatRequest).finalChatCompletion();
        return done.choices[0]?.message.content ?? "";
      },
      async (seen) => {
        let text = "";
        let ended = false;
        for await (const chunk of await openai(seen).chat.completions.create({ ...chatRequest, stream: true })) {
          text += chunk.choices[0]?.delta.content ?? "";
          ended ||= (chunk.choices[0]?.finish_reason ?? null) !== null;
        }
        return ended ? text : `${text}[ended silently]`;
      },
    ],
    whole: [
      async (seen) => (await openai(seen).chat.completions.create(chatRequest)).choices[0]?.message.content ?? "",
    ],
  },
  responses: {
    stream: [
      async (seen) => {
        const { status, error, output_text } = await openai(seen).responses.stream(responsesRequest).finalResponse();
        // A failed response is one, too: its status says so.
        if (status !== "completed") throw new OpenAIError(error?.message ?? `it is ${status}`);
        return output_text;
      },
      async (seen) => {
        let text = "";
        let failure: string | null = "it ended silently";
        for await (const event of await openai(seen).responses.create({ ...responsesRequest, stream: true })) {
          if (event.type === "response.output_text.delta") text += event.delta;
          if (event.type === "response.completed") failure = null;
          // The raw stream leaves it to the program to see that the answer failed.
          if (event.type === "response.failed") failure = event.response.error?.message ?? "it failed";
        }
        if (failure !== null) throw new OpenAIError(failure);
        return text;
      },
    ],
    whole: [async (seen) => (await openai(seen).responses.create(responsesRequest)).output_text],
  },
};

/** One reading a way. */
export async function sdkReadings({ cell, seen }: Outcome): Promise<SdkReading[]> {
  const read = async (way: Way): Promise<SdkReading> => {
    try {
      return { text: await way(seen) };
    } catch (error) {
      return { error: error instanceof Error ? error : new Error(String(error)) };
    }
  };
  return Promise.all(ways[cell.client][cell.wire.stream ? "stream" : "whole"].map(read));
}

export function isOwnError(dialect: TestDialect, error: Error): boolean {
  return dialect === "messages" ? error instanceof AnthropicError : error instanceof OpenAIError;
}

const messagesRequest = { model: "m", max_tokens: 200, messages: [{ role: "user" as const, content: "Hi" }] };
const chatRequest = { model: "m", messages: [{ role: "user" as const, content: "Hi" }] };
const responsesRequest = { model: "m", input: "Hi" };

function textOfMessage({ content }: Anthropic.Message): string {
  return content.map((block) => (block.type === "text" ? block.text : "")).join("");
}

/** The SDK's requests are answered by what was seen. */
function answering({ status, headers, body }: Seen): () => Promise<Response> {
  const type = headers.get("content-type") ?? "";
  return () => Promise.resolve(new Response(body, { status, headers: { "content-type": type } }));
}

function anthropic(seen: Seen): Anthropic {
  return new Anthropic({ apiKey: "anonymous", maxRetries: 0, fetch: answering(seen) });
}

function openai(seen: Seen): OpenAI {
  return new OpenAI({ apiKey: "anonymous", maxRetries: 0, fetch: answering(seen) });
}
