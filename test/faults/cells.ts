// The wall: every fault, for each dialect of a client and of a provider, streamed or not, with a local model behind it and
// without.

import type { TestDialect } from "../fakes/house.ts";
import type { Fault } from "./fault.ts";
import { faultsOf, kinds, type KindName } from "./faults.ts";
import { expected, takeovers, type Behind, type Expected, type Takeover } from "./oracle.ts";
import { wireOf, type Wire } from "./wire.ts";

export interface Cell {
  readonly id: number;
  readonly kind: KindName;
  readonly fault: Fault;
  readonly client: TestDialect;
  readonly wire: Wire;
  readonly setting: Setting;
  readonly expected: Expected;
}

/** What is the same for all requests to one gateway. */
export interface Setting {
  readonly behind: Behind;
  readonly takeover: Takeover;
  /** Whether the client has got signs of life before the fault shows. */
  readonly line: "shut" | "open";
}

/** The client's dialect and the provider's. */
const pairs: readonly (readonly [TestDialect, TestDialect])[] = [
  ["messages", "messages"],
  ["chat", "chat"],
  ["responses", "responses"],
  ["messages", "chat"],
  ["chat", "responses"],
  ["responses", "messages"],
];

export const settings: readonly Setting[] = takeovers.flatMap((takeover): Setting[] => [
  { behind: "local", takeover, line: "shut" },
  { behind: "nobody", takeover, line: "shut" },
  { behind: "itself", takeover, line: "shut" },
  { behind: "local", takeover, line: "open" },
  { behind: "nobody", takeover, line: "open" },
]);

export function cellsOf(setting: Setting): Cell[] {
  const cells: Cell[] = [];
  for (const kind of Object.keys(kinds) as KindName[]) {
    for (const [client, upstream] of pairs) {
      for (const stream of [true, false]) {
        const wire = wireOf(upstream, stream);
        for (const fault of faultsOf(kind, wire)) {
          if (!isShown(fault, kind, setting, client === upstream, stream)) continue;
          cells.push({ id: cells.length, kind, fault, client, wire, setting, expected: expected(fault.fate, setting) });
        }
      }
    }
  }
  return cells;
}

/** What would only repeat itself is thinned out: some thousand cells say all that there is. */
function isShown(fault: Fault, kind: KindName, setting: Setting, same: boolean, stream: boolean): boolean {
  const { behind, takeover, line } = setting;
  const { fate, number, body = "vendor", narrow, endless, place = "scripted" } = fault;
  // Where nothing is carried on the other setting changes nothing.
  if (takeover === "text" && (endless === true || !["part", "all"].includes(fate.shown))) return false;
  if (line === "open") return stream && kind === "Silent" && place === "scripted";
  if (narrow === true) return same && behind === "local";
  if (behind === "itself") return fate.again === true && place === "scripted" && body === "vendor";
  const isOwn = fate.shown === "refusal";
  if (kind === "Refused" && !same && !isOwn && body !== "vendor") return false;
  if (number !== undefined && takeover === "text" && number % 7 !== 0) return false;
  if (number !== undefined && !(same && behind === "local")) return number % (behind === "local" ? 13 : 61) === 0;
  if (behind === "local") return true;
  if (kind === "Refused" && !same && !isOwn && fate.backsOff !== true) return Number(fate.outcome.slice(-3)) % 7 === 0;
  return body === "vendor" || isOwn;
}
