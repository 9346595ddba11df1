// What a model is asked that goes on with an answer which another one began (wire.md 4.3).

import type { NeutralMessage, NeutralRequest } from "./neutral.ts";

/** `prefill`: the model writes on behind the last message. `restart`: it is asked to, in a turn of the user. */
export type ContinuationForm = "prefill" | "restart";

/** Characters of the end that are quoted. */
const QUOTED = 120;
/** Output tokens that are worth asking for. */
const LEAST_OUTPUT = 16;
/** Characters a token: the client's limit counts what it has by now, and nobody knows better. */
const CHARS_PER_TOKEN = 4;

/**
 * The same conversation with its tools and instructions, and behind it what the client was shown. Nothing is put into the
 * instructions: models then follow those in place of the user's (litellm#18229).
 */
export function continuationRequest(request: NeutralRequest, shown: string, form: ContinuationForm): NeutralRequest {
  if (shown === "") return request;
  // Templates cut blanks at the end off or refuse them; `Joint` knows of it.
  const text = shown.trimEnd();
  const messages: NeutralMessage[] = [...request.messages];
  if (text !== "") messages.push({ role: "assistant", parts: [{ type: "text", text }] });
  if (form === "restart" && text !== "")
    messages.push({ role: "user", parts: [{ type: "text", text: pleaseGoOn(text) }] });
  const left =
    request.maxOutputTokens === undefined ? undefined : request.maxOutputTokens - shown.length / CHARS_PER_TOKEN;
  return {
    ...request,
    messages,
    maxOutputTokens: left === undefined ? undefined : Math.max(LEAST_OUTPUT, Math.floor(left)),
    // A thought would stand in the middle of the text.
    reasoning: { effort: "off", budgetTokens: undefined },
  };
}

function pleaseGoOn(text: string): string {
  const quoted = text.slice(-QUOTED).trimStart();
  return (
    `Your last message broke off. It ends with: ${JSON.stringify(quoted)}\n` +
    "Write the rest of it. Repeat its last few words first and go on from there; say nothing about the interruption."
  );
}
