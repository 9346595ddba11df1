// A local model that goes on with an answer as servers at home do: behind a last message of the assistant, or because a turn
// of the user asks it to.

import { objectsOf, textOf } from "./json-access.ts";
import type { RecordedRequest } from "./provider.ts";
import type { Step } from "./script.ts";

/** How many words the model repeats when it is asked in words. */
const repeated = 3;

/** What has been said by the time of the request; null: nothing, it is an ordinary request. */
export function begunText(request: RecordedRequest): string | null {
  const messages = objectsOf(request.json()["messages"]);
  const last = messages.at(-1);
  if (last?.["role"] === "assistant") return textOf(last["content"]);
  const asked = last?.["role"] === "user" && textOf(last["content"]).includes("broke off");
  return asked ? textOf(messages.at(-2)?.["content"]) : null;
}

/** Writes `whole`, or what is missing of it. */
export function continuing(whole: string, answer: Omit<NonNullable<Step["answer"]>, "text"> = {}) {
  return (request: RecordedRequest): Step => {
    const begun = begunText(request);
    if (begun === null) return { answer: { ...answer, text: whole } };
    if (!whole.startsWith(begun))
      return { refuse: { status: 400, body: { error: { message: `not mine: ${begun}` } } } };
    const prefilled = objectsOf(request.json()["messages"]).at(-1)?.["role"] === "assistant";
    if (prefilled) return { answer: { ...answer, text: whole.slice(begun.length) } };
    const tail = begun
      .split(/(?<=\s)/)
      .slice(-repeated)
      .join("");
    return { answer: { ...answer, text: tail + whole.slice(begun.length) } };
  };
}

/** Answers what is asked from the start and goes on with nothing: a stream that breaks off stays broken. */
export function neverContinuing(text?: string) {
  return (request: RecordedRequest): Step => {
    if (begunText(request) !== null) return { refuse: { status: 404, body: { error: { message: "not mine" } } } };
    return text === undefined ? {} : { answer: { text } };
  };
}
