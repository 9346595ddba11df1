// What the seals of a trail say: where it begins, which lines it must have, and what was told about it. For `verify`, which
// works without the gateway.

import { basename } from "node:path";
import type { Secret } from "../../secret.ts";
import { CHAIN_START, type ChainPosition } from "./chain.ts";
import { readCheckpoint, readSegmentSeal, type AuditAlarm } from "./seal.ts";
import type { SealKeeper, SealPlace } from "./sealer.ts";
import { auditFiles, readPruned, sealName } from "./segments.ts";
import type { KnownLine } from "./verify.ts";

export interface SealCheck {
  /** `none`: the trail was never sealed. `unchecked`: the key cannot be had now, and `why` says what to do. */
  readonly state: "sealed" | "none" | "unchecked";
  readonly why: string | null;
  readonly place: SealPlace | null;
  /** Where the trail begins. */
  readonly start: ChainPosition;
  readonly known: readonly KnownLine[];
  /** What the gateway has noticed and nobody has accepted. */
  readonly alarms: readonly AuditAlarm[];
  /** What is wrong with the seals themselves. */
  readonly faults: readonly string[];
}

/** To be called before the files are read, since a running gateway goes on. The key is wiped again. */
export async function readSeals(trail: string, checkpointFile: string, keeper: SealKeeper): Promise<SealCheck> {
  const found = readCheckpoint(checkpointFile);
  const loaded = await keeper.load();
  const unsealed = { place: null, start: readPruned(trail), known: [], alarms: [], faults: [] };
  if (loaded.state === "locked") return { ...unsealed, state: "unchecked", why: loaded.why };
  if (loaded.state === "none") {
    if (found === null || (found !== "damaged" && found.document.first))
      return { ...unsealed, state: "none", why: null };
    return {
      ...unsealed,
      state: "sealed",
      why: null,
      faults: ["the trail was sealed, and the key of its seals is gone"],
    };
  }
  const { key, place } = loaded;
  try {
    const mark = await keeper.loadMark();
    const marked: KnownLine[] = mark === null ? [] : [{ ...mark, by: "the keychain" }];
    const broken = (fault: string): SealCheck => ({
      ...unsealed,
      state: "sealed",
      why: null,
      place,
      known: marked,
      faults: [fault],
    });
    if (found === null)
      return broken(`the checkpoint ${basename(checkpointFile)} is gone, although the trail was sealed`);
    if (found === "damaged") return broken(`the checkpoint ${basename(checkpointFile)} is damaged`);
    if (!found.isSealedBy(key)) {
      return broken("the checkpoint was not made with this machine's key: it was forged, or copied from elsewhere");
    }
    const { seq, head, from, alarms } = found.document;
    const segments = segmentSeals(trail, key);
    const known = [...segments.known, { seq, head, by: "the checkpoint" }, ...marked];
    return { state: "sealed", why: null, place, start: from, known, alarms, faults: segments.faults };
  } finally {
    key.wipe();
  }
}

function segmentSeals(trail: string, key: Secret): { known: KnownLine[]; faults: string[] } {
  const known: KnownLine[] = [];
  const faults: string[] = [];
  for (const file of auditFiles(trail)) {
    const seal = readSegmentSeal(sealName(file));
    // The checkpoint covers a file that has none.
    if (seal === null) continue;
    const name = basename(file);
    if (seal === "damaged") faults.push(`the seal of ${name} is damaged`);
    else if (!seal.isSealedBy(key)) faults.push(`the seal of ${name} is not this machine's`);
    else known.push({ seq: seal.document.last, head: seal.document.head, by: `the seal of ${name}` });
  }
  return { known, faults };
}

/** For a trail that is verified by its chain alone. */
export function withoutSeals(trail: string | null): SealCheck {
  const start = trail === null ? CHAIN_START : readPruned(trail);
  return { state: "none", why: null, place: null, start, known: [], alarms: [], faults: [] };
}
