// The rules of the wire, numbered. `npm test -- wire` prints one line for each, `npm run generate` makes
// docs/reference/wire.md of them (it reads the calls of `rule` as text: number and sentence must be literals).

import { test } from "bun:test";

/** Sections by letter, each with its last rule. */
export const sections = [
  { letter: "A", last: 42, title: "Requests: Messages to Chat" },
  { letter: "B", last: 69, title: "Requests: Chat to Messages" },
  { letter: "C", last: 88, title: "Requests: Responses to Chat" },
  { letter: "D", last: 96, title: "Requests: Responses to Messages" },
  { letter: "E", last: 110, title: "Answers in one piece" },
  { letter: "F", last: 135, title: "Streams to Messages clients" },
  { letter: "G", last: 146, title: "Streams to Chat clients" },
  { letter: "H", last: 158, title: "Streams to Responses clients" },
  { letter: "I", last: 169, title: "Reading server-sent events" },
  { letter: "J", last: 186, title: "Errors" },
  { letter: "K", last: 205, title: "Headers" },
  { letter: "L", last: 233, title: "Usage and cost" },
  { letter: "M", last: 239, title: "Counting tokens" },
  { letter: "N", last: 246, title: "Lists of models and small endpoints" },
  { letter: "O", last: 256, title: "Disconnects, deadlines, keep-alives" },
  { letter: "P", last: 264, title: "Length of the context" },
  { letter: "Q", last: 273, title: "Thinking" },
  { letter: "R", last: 285, title: "Server tools, betas and the rest" },
  { letter: "S", last: 293, title: "Fallback before the first byte" },
  { letter: "T", last: 307, title: "Takeover of a stream that has begun" },
] as const;

export function sectionOf(number: number): (typeof sections)[number] {
  const section = sections.find(({ last }) => number <= last);
  if (section === undefined) throw new Error(`there is no rule ${number}`);
  return section;
}

/** One rule, shown once in the whole gateway. The sentence says what is promised, without the number. */
export function rule(number: number, sentence: string, run: () => void | Promise<void>): void {
  test(`${sectionOf(number).letter}${number} ${sentence}`, run);
}
