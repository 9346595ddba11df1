// The audit trail's parts, put together: the file, its seals, and what is kept of prompts and answers.

import type { Clock } from "../clock.ts";
import type { Config } from "../config/types.ts";
import { contentFolder, ContentStore, FileSink, Sealer, type Rotation } from "../layers/audit/index.ts";
import type { VaultStore } from "../layers/vault/index.ts";
import { checkpointFile, createSealKeeper, houseSecret } from "./audit-places.ts";

export interface TrailParts {
  readonly home: string;
  readonly config: Config;
  readonly clock: Clock;
  /** Where a key lies if there is no keychain. */
  readonly vault: VaultStore;
  readonly report: (line: string) => void;
}

export interface OpenTrail {
  readonly sink: FileSink;
  /** Not open yet: that may take its time. */
  readonly sealer: Sealer;
}

/** Opens the file and mends it. Throws where that is impossible. */
export function openTrail({ home, config, clock, vault, report }: TrailParts): OpenTrail {
  const trail = config.audit.file;
  let sink: FileSink | null = null;
  const note = (text: string): void => report(`audit: ${text}`);
  const sealer = new Sealer({
    trail,
    file: checkpointFile(home, trail),
    keeper: createSealKeeper({ home, trail, vault, now: () => clock.now() }),
    clock,
    durable: () => sink?.durable() ?? null,
    note,
    onAlarm: (text) => report(`audit: ALARM: ${text}`),
  });
  sink = new FileSink({
    path: trail,
    clock,
    rotate: rotationOf(config),
    sealed: sealer.sealed,
    watcher: sealer,
    onNote: note,
    onAlarm: (text) => sealer.alarm(text),
  });
  return { sink, sealer };
}

/** Keeps nothing until it is configured. */
export function createContents(parts: TrailParts, redact: (text: string) => string): ContentStore {
  const { home, config, clock, vault, report } = parts;
  const trail = config.audit.file;
  return new ContentStore({
    folder: contentFolder(trail),
    clock,
    keeper: houseSecret("audit-content", { home, trail, vault, now: () => clock.now() }),
    redact,
    note: (text) => report(`audit: ${text}`),
  });
}

export function rotationOf({ audit, timezone }: Config): Rotation {
  return { ...audit.rotate, timezone };
}
