// A stream that is read to its end before the client gets any of it: so a local server's silence is noticed while it
// works, and an answer can be checked as a whole.

import type { NeutralAnswer, StreamReader } from "../wire/neutral.ts";
import { AnswerCollector } from "../wire/answer-collector.ts";
import { StreamRelay, type RelayParts } from "./relay.ts";

/** Throws AttemptError where the stream fails, however late: another candidate can still answer. */
export async function wholeAnswer(
  parts: Omit<RelayParts, "rendering" | "keepAliveMs">,
  reader: StreamReader,
): Promise<NeutralAnswer> {
  const collector = new AnswerCollector();
  const relay = new StreamRelay({
    ...parts,
    keepAliveMs: Infinity,
    rendering: {
      read: (event) => reader.read(event),
      render: (_, events) => {
        for (const event of events) collector.add(event);
        return "";
      },
      terminal: nothing,
      ping: nothing,
      fail: nothing,
    },
  });
  await relay.readToEnd();
  const answer = collector.answer();
  // Some servers stream no counts: the client still gets some.
  answer.usage ??= parts.keyed.attempt.usage ?? undefined;
  return answer;
}

function nothing(): string {
  return "";
}
