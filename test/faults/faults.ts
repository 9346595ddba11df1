import type { Fault } from "./fault.ts";
import { bodies } from "./kinds/bodies.ts";
import { connections } from "./kinds/connections.ts";
import { cuts } from "./kinds/cuts.ts";
import { events } from "./kinds/events.ts";
import { framing } from "./kinds/framing.ts";
import { stalls } from "./kinds/stalls.ts";
import { statuses } from "./kinds/statuses.ts";
import { usages } from "./kinds/usages.ts";
import type { Wire } from "./wire.ts";

export const kinds = {
  "Not reached": connections,
  Refused: statuses,
  "HTTP around the answer": framing,
  "Inside of one piece": bodies,
  "Inside of a stream": events,
  Cut: cuts,
  Silent: stalls,
  Usage: usages,
} as const;

export type KindName = keyof typeof kinds;

export function faultsOf(kind: KindName, wire: Wire): Fault[] {
  return kinds[kind](wire);
}
