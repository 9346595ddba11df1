// Requests as agents send them: a system prompt, then turns of prose, code and tool output.

import type { Spoken } from "./answers.ts";

const system =
  "You are a careful engineer. Read before you write, say what you are unsure of, and keep the user's files as they are unless asked.";
const prose =
  "A budget is a promise about money; a gateway keeps it while the agents talk, at length, about other things. " +
  "Please look at the function below and tell me why the second call is slower than the first – I can’t see it.\n\n";
const code =
  'export function quote(text: string): string {\n\tconst escaped = text.replace(/\\\\/g, "\\\\\\\\").replace(/"/g, \'\\\\"\');\n\treturn `"${escaped}"`;\n}\n\n';
const output =
  "src/wire/quote.ts:12:9 - error TS2322: Type 'string | undefined' is not assignable to type 'string'.\n  12   const text = lines[at];\n            ~~~~\n";
const pieces = [prose, code, output];

/** The JSON text of a request of about `bytes` bytes in all, in the dialect in which it is sent. */
export function requestBody(spoken: Spoken, options: { model: string; bytes: number; stream: boolean }): string {
  const { model, bytes, stream } = options;
  const body = (messages: readonly Message[]): string =>
    JSON.stringify(
      spoken === "chat"
        ? { model, max_tokens: 1_024, stream, messages: [{ role: "system", content: system }, ...messages] }
        : { model, max_tokens: 1_024, stream, system, messages },
    );
  const messages: Message[] = [];
  let size = body(messages).length;
  while (size < bytes) {
    const message = turn(messages.length, bytes - size);
    messages.push(message);
    size += JSON.stringify(message).length + 1;
  }
  // The last word is the user's, as every API wants it.
  if (messages.length % 2 === 0) messages.push({ role: "user", content: "Go on." });
  return body(messages);
}

interface Message {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** Turns of 100 bytes to 6 KB, cut to what is left. */
function turn(at: number, room: number): Message {
  const text = pieces[at % pieces.length]!.repeat(1 + ((at * 7) % 23));
  return { role: at % 2 === 0 ? "user" : "assistant", content: text.slice(0, Math.max(20, room - 40)) };
}
