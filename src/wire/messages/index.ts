// The Messages dialect, and what the dialects beside it share with it.

export { messagesCodec } from "./messages-codec.ts";
