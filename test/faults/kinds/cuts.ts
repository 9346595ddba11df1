// The connection ends: at every byte of the first two kilobytes, and behind every event.

import type { Fault } from "../fault.ts";
import { fateOf, phaseAfter, type Phase } from "../oracle.ts";
import { arrival, bytesOf, endOfChunks, jsonHead, shareOf, streamed, type Wire } from "../wire.ts";

const firstBytes = 2_048;

export function cuts(wire: Wire): Fault[] {
  return wire.stream ? [...cutStreams(wire), ...politeEnds(wire), ...byEvent(wire)] : cutBodies(wire);
}

function cutStreams(wire: Wire): Fault[] {
  const whole = bytesOf(wire.events);
  return Array.from({ length: Math.min(firstBytes, whole.length) }, (_, at) => {
    const events = wholeEvents(wire, at);
    const phase = phaseAfter(wire, events);
    return {
      row: `cut at every byte: ${phase}`,
      number: at,
      fate: fateOf(wire, "cut", phase),
      sent: shareOf(wire, events),
      step: (reading) => ({
        raw: streamed(whole.subarray(0, at), ...arrival(wire, events, reading), { end: "close" }),
      }),
    };
  });
}

/** The framing ends well: what stands behind the last whole event may be an event, too. */
function politeEnds(wire: Wire): Fault[] {
  const whole = bytesOf(wire.events);
  const ends = wire.events.map((_, index) => bytesOf(wire.events, index + 1).length);
  return ends.flatMap((end, index) =>
    [2, 1].map((missing): Fault => {
      // Chat servers leave the blank line out; elsewhere only the terminal event counts without it.
      const counts = wire.dialect === "chat" || index === wire.last;
      const events = counts ? index + 1 : index;
      const phase = phaseAfter(wire, events);
      return {
        row: `ends politely without a blank line: ${phase}`,
        fate: fateOf(wire, "cut", phase),
        sent: shareOf(wire, events),
        step: () => ({ raw: streamed(whole.subarray(0, end - missing), endOfChunks) }),
      };
    }),
  );
}

function byEvent(wire: Wire): Fault[] {
  const ways = ["close", "reset", "end"] as const;
  return Array.from({ length: wire.events.length + 1 }, (_, count) => count).flatMap((count) =>
    ways
      // A reset throws away what nobody has read yet: where that matters is a race.
      .filter((way) => way !== "reset" || count <= wire.first)
      .map((way): Fault => {
        const phase: Phase = phaseAfter(wire, count);
        const end = way === "end" ? endOfChunks : ({ end: way } as const);
        return {
          row: `cut behind n events: ${phase}`,
          fate: fateOf(wire, "cut", phase),
          sent: shareOf(wire, count),
          step: (reading) => ({ raw: streamed(bytesOf(wire.events, count), ...arrival(wire, count, reading), end) }),
        };
      }),
  );
}

function cutBodies(wire: Wire): Fault[] {
  const body = Buffer.from(wire.json, "utf8");
  return Array.from({ length: Math.min(firstBytes, body.length) }, (_, at) => ({
    row: "cut at every byte: an answer in one piece",
    number: at,
    fate: fateOf(wire, "cut", "in content"),
    sent: 1,
    step: () => ({
      raw: [{ write: Buffer.concat([Buffer.from(jsonHead(body.length)), body.subarray(0, at)]) }, { end: "close" }],
    }),
  }));
}

/** How many events end within the first `bytes` bytes. */
function wholeEvents(wire: Wire, bytes: number): number {
  let count = 0;
  for (let end = 0; count < wire.events.length; count++) {
    end += Buffer.byteLength(wire.events[count]!, "utf8");
    if (end > bytes) break;
  }
  return count;
}
