import { chatCodec } from "./chat/index.ts";
import { messagesCodec } from "./messages/index.ts";
import type { Codec, Dialect } from "./neutral.ts";
import { responsesCodec } from "./responses/index.ts";

/** All dialects, each with its two halves. */
export const codecs: Readonly<Record<Dialect, Codec>> = {
  messages: messagesCodec,
  chat: chatCodec,
  responses: responsesCodec,
};
