// The Chat Completions dialect.

export { chatCodec } from "./chat-codec.ts";
