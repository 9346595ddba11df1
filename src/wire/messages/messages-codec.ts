// The Anthropic Messages dialect: all that is special about it, in one object.

import { replaceAt, setTopLevel } from "../json-edit.ts";
import type { Codec, SseEvent } from "../neutral.ts";
import { formatEvent } from "../sse.ts";
import { messagesAnswerFromNeutral, messagesAnswerToNeutral, messagesUsageOf } from "./answer.ts";
import { messagesFacts } from "./facts.ts";
import { messagesFromNeutral } from "./from-neutral.ts";
import { MessagesFollower } from "./stream-follower.ts";
import { MessagesReader } from "./stream-reader.ts";
import { MessagesWriter } from "./stream-writer.ts";
import { messagesToNeutral } from "./to-neutral.ts";
import { withoutUnsignedThinking } from "./unsigned-thinking.ts";
import { parseUpstreamError } from "./upstream-error.ts";

export const messagesCodec: Codec = {
  dialect: "messages",
  facts: messagesFacts,
  toNeutral: messagesToNeutral,
  fromNeutral: messagesFromNeutral,
  answerToNeutral: messagesAnswerToNeutral,
  answerFromNeutral: messagesAnswerFromNeutral,
  usageOf: messagesUsageOf,
  createReader: () => new MessagesReader(),
  createWriter: (context) => new MessagesWriter(context),
  createFollower: () => new MessagesFollower(),
  patchRequest(text, body, patch) {
    return setTopLevel(withoutUnsignedThinking(text, body), {
      model: patch.model === undefined ? undefined : JSON.stringify(patch.model),
      max_tokens: patch.maxOutputTokens === undefined ? undefined : String(patch.maxOutputTokens),
    });
  },
  patchEvent: (event, context) => patchModel(event, context.model),
  patchAnswer: (text, model) => replaceAt(text, ["model"], JSON.stringify(model)),
  parseError: parseUpstreamError,
};

/** The model is named in `message_start` alone; all other events go on byte for byte. */
function patchModel(event: SseEvent, model: string): string {
  const name = event.event ?? "message_start";
  if (name !== "message_start" || !event.data.includes('"message_start"')) return event.raw;
  const data = replaceAt(event.data, ["message", "model"], JSON.stringify(model));
  return data === event.data ? event.raw : formatEvent(event.event, data);
}
