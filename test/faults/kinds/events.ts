// A stream that is well framed and wrong inside.

import { chatErrorEvent } from "../../fakes/chat-wire.ts";
import { chunk } from "../../fakes/play.ts";
import { messagesErrorEvent } from "../../fakes/messages-wire.ts";
import { responsesErrorEvent } from "../../fakes/responses-wire.ts";
import type { Fault } from "../fault.ts";
import { limited, overloaded, UPSTREAM_WORDS } from "../words.ts";
import { fateOf, phaseAfter, untouched, type Fate } from "../oracle.ts";
import {
  arrival,
  BAD_TEXT,
  bytesOf,
  CLOUD_TEXT,
  endOfChunks,
  shareOf,
  streamed,
  wireOf,
  withBadBytes,
  type Wire,
} from "../wire.ts";

export function events(wire: Wire): Fault[] {
  if (!wire.stream) return [];
  return [...told(wire), ...garbled(wire), ...harmless(wire), ...excessive(wire)];
}

const errorEvents: Readonly<Record<Wire["dialect"], (type: string) => string>> = {
  messages: (type) => messagesErrorEvent(type, UPSTREAM_WORDS),
  chat: (type) => chatErrorEvent(type, UPSTREAM_WORDS),
  responses: (type) => responsesErrorEvent(type, UPSTREAM_WORDS, 99),
};

/** The first `count` events, `more`, and the end. */
function inserted(wire: Wire, row: string, count: number, fate: Fate, more: string | Uint8Array, rest = 0): Fault {
  const after = Buffer.concat([Buffer.from(more), bytesOf(wire.events.slice(count, count + rest))]);
  return {
    row,
    fate,
    sent: shareOf(wire, count + rest),
    step: (reading) => ({
      // In one piece with what went before, nothing would have been shown.
      raw: streamed(
        bytesOf(wire.events, count),
        ...arrival(wire, count, reading),
        { write: chunk(after) },
        endOfChunks,
      ),
    }),
  };
}

function places(wire: Wire): readonly [string, number][] {
  return [
    ["at once", 0],
    ["behind the first event", 1],
    ["before the first content", wire.first],
    ["in mid-content", Math.floor((wire.first + wire.done) / 2)],
    ["before the reason to stop", wire.stop],
    ["before the terminal event", wire.last],
    ["behind the terminal event", wire.last + 1],
  ];
}

function told(wire: Wire): Fault[] {
  const types: readonly (readonly [string, Partial<Fate>])[] = [
    [overloaded[wire.dialect], {}],
    [limited[wire.dialect], { alone: "limit" }],
  ];
  return types.flatMap(([type, more]) =>
    places(wire).map(([where, count]) => {
      const fate = {
        ...fateOf(wire, "told", phaseAfter(wire, count)),
        ...more,
        backsOff: true as const,
        again: true as const,
      };
      return inserted(wire, `error event ${where}`, count, fate, errorEvents[wire.dialect](type));
    }),
  );
}

function garbled(wire: Wire): Fault[] {
  const events = ["data: {oops\n\n", 'data: {"type":"\0"}\n\n'];
  return places(wire).flatMap(([where, count]) =>
    events.map((event) =>
      inserted(
        wire,
        `an event that is no JSON ${where}`,
        count,
        fateOf(wire, "garbled", phaseAfter(wire, count)),
        event,
      ),
    ),
  );
}

/** What a client must not notice. */
function harmless(wire: Wire): Fault[] {
  const middle = Math.floor((wire.first + wire.done) / 2);
  const all = wire.events.length;
  const last = wire.events[wire.last]!;
  const unnamed = '{"type":"something_of_tomorrow","choices":[]}';
  const fine = (row: string, more: string | Uint8Array, count = middle): Fault =>
    inserted(wire, row, count, untouched, more, all);
  const rewritten = (row: string, bytes: Uint8Array, text = CLOUD_TEXT): Fault => ({
    row,
    fate: untouched,
    sent: 1,
    text,
    step: () => ({ raw: streamed(bytes, endOfChunks) }),
  });
  const whole = wire.events.join("");
  const numbers = { messages: '"index":', chat: "", responses: '"sequence_number":' }[wire.dialect];
  return [
    fine("garbage lines between events", "garbage\nmore: garbage\n\n"),
    fine("NUL bytes between events", "\0\0\0\n\n"),
    fine("invalid UTF-8 between events", Buffer.from([0xff, 0xfe, 0x80, 0x0a, 0x0a])),
    fine("blank lines and comments between events", "\n\n: hello\n\n:\n\n"),
    fine("id and retry lines", "id: 5\nretry: 1\n\n"),
    fine("an unknown event", `event: something_of_tomorrow\ndata: ${unnamed}\n\n`),
    fine("the terminal event twice", last, all),
    fine("the terminal event three times, and more", last + last + wire.events[middle]!, all),
    fine("two beginnings", wire.events[0]!, 1),
    fine("a second beginning in mid-content", wire.events[0]!),
    rewritten("line ends of Windows", Buffer.from(whole.replaceAll("\n", "\r\n"))),
    rewritten("a byte order mark before it", Buffer.from(`\ufeff${whole}`)),
    rewritten(
      "invalid UTF-8 in a text",
      withBadBytes(wireOf(wire.dialect, true, { text: BAD_TEXT }).events.join("")),
      BAD_TEXT,
    ),
    ...(numbers === ""
      ? []
      : [
          rewritten(
            "gaps in the indexes",
            Buffer.from(whole.replaceAll(new RegExp(`${numbers}(\\d+)`, "g"), `${numbers}1$1`)),
          ),
        ]),
  ];
}

/** More than anybody asked for. */
function excessive(wire: Wire): Fault[] {
  const middle = Math.floor((wire.first + wire.done) / 2);
  const giant = `data: {"x":"${"x".repeat(17 * 1024 * 1024)}`;
  const large = `: ${"x".repeat(1024 * 1024)}\n\n`;
  const more = wire.events[wire.first]!;
  return [
    {
      ...inserted(wire, "a line of 17 MB before the first content", 1, fateOf(wire, "cut", "before content"), giant),
      narrow: true,
    },
    {
      ...inserted(wire, "a line of 17 MB in mid-content", middle, fateOf(wire, "cut", "in content"), giant),
      narrow: true,
    },
    { ...inserted(wire, "a comment of 1 MB", middle, untouched, large, wire.events.length), narrow: true },
    {
      row: "content without end",
      fate: fateOf(wire, "cut", "in content"),
      endless: true,
      sent: 1,
      step: () => ({ raw: streamed(bytesOf(wire.events, wire.first + 1), { repeat: chunk(more.repeat(10)) }) }),
    },
  ];
}
