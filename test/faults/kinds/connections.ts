// The provider is not reached, or breaks off before it has said anything.

import { headText } from "../../fakes/connection.ts";
import { soon, type Fault, type Place } from "../fault.ts";
import { fateOf, unconnected, unreachable, untouched } from "../oracle.ts";
import type { Wire } from "../wire.ts";

const unreachablePlaces: readonly [Place, string][] = [
  ["refused", "connection refused"],
  ["no such host", "no such host"],
  ["speaks no TLS", "TLS: the other side speaks none"],
  ["unknown CA", "TLS: signed by nobody known"],
  ["other names", "TLS: certificate of another host"],
  ["expired", "TLS: certificate expired"],
  ["handshake closed", "TLS: closed in the handshake"],
  ["handshake reset", "TLS: reset in the handshake"],
];

export function connections(wire: Wire): Fault[] {
  const cut = fateOf(wire, "cut", "head");
  const silent = fateOf(wire, "stall", "head");
  const timeouts = { first_byte: soon };
  return [
    { row: "nothing wrong", fate: untouched, sent: 1 },
    { row: "nothing wrong, over TLS with the house's own CA", fate: untouched, sent: 1, place: "own CA" },
    ...unreachablePlaces.map(([place, row]) => ({ row, place, fate: unreachable })),
    { row: "TLS: silence in the handshake", place: "handshake silent", fate: silent, timeouts },
    { row: "black hole", place: "black hole", fate: unconnected, timeouts: { connect: soon } },
    { row: "reset at once", place: "reset at once", fate: cut },
    { row: "request read, then reset", fate: cut, step: () => ({ raw: [{ end: "reset" }] }) },
    { row: "request read, then closed", fate: cut, step: () => ({ raw: [{ end: "close" }] }) },
    { row: "no answer", fate: silent, timeouts, step: () => ({ raw: [{ end: "silence" }] }) },
    {
      row: "headers, then reset",
      fate: cut,
      step: () => ({
        raw: [{ write: headText(200, { "content-type": "text/event-stream" }) }, { end: "reset" }],
      }),
    },
  ];
}
