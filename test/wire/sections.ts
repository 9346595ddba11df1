// The rules of the wire are numbered through all sections; each section ends with its `last` rule.

export interface Section {
  readonly letter: string;
  readonly last: number;
  readonly title: string;
}

export const sections: readonly Section[] = [
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
];

/** Throws where there is no such rule. */
export function sectionOf(number: number): Section {
  const section = sections.find(({ last }) => number <= last);
  if (section === undefined) throw new Error(`there is no rule ${number}`);
  return section;
}
