// A sealed trail in a folder of its own, for tests: as the daemon keeps it, with a key store that remembers.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../secret.ts";
import type { ChainPosition } from "./chain.ts";
import { FileSink, type FileSinkOptions } from "./file-sink.ts";
import { StandingClock, sampleFacts } from "./sample-facts.ts";
import { readSeals, type SealCheck } from "./seal-check.ts";
import { Sealer, type SealKeeper, type SealPlace } from "./sealer.ts";
import { auditFiles } from "./segments.ts";
import { verifyAudit, type VerifyResult } from "./verify.ts";

/** A keychain (with a mark), or a file (without). */
export class MemoryKeeper implements SealKeeper {
  readonly place: SealPlace;
  key: string | null = null;
  mark: ChainPosition | null = null;
  /** Not null: the store does not open, and this is why. */
  locked: string | null = null;

  constructor(place: SealPlace = "keychain") {
    this.place = place;
  }

  async load(): ReturnType<SealKeeper["load"]> {
    if (this.locked !== null) return { state: "locked", why: this.locked };
    if (this.key === null) return { state: "none" };
    return { state: "found", key: Secret.fromString(this.key), place: this.place };
  }

  async save(key: Secret): Promise<SealPlace> {
    this.key = key.reveal();
    return this.place;
  }

  async loadMark(): Promise<ChainPosition | null> {
    return this.mark;
  }

  async saveMark(mark: ChainPosition): Promise<void> {
    if (this.place === "keychain") this.mark = mark;
  }
}

/** One life of the gateway, as far as the trail is concerned. */
export interface TrailRun extends AsyncDisposable {
  readonly sink: FileSink;
  readonly sealer: Sealer;
  write(count: number): Promise<void>;
}

export class SampleTrail {
  readonly folder = mkdtempSync(join(tmpdir(), "sanctum-trail-"));
  readonly path = join(this.folder, "logs", "audit.jsonl");
  readonly checkpoint = join(this.folder, "state", "audit-checkpoint.json");
  readonly keeper: MemoryKeeper;
  readonly clock = new StandingClock();
  /** What went to the log, over all runs. */
  readonly notes: string[] = [];
  readonly alarms: string[] = [];
  #next = 0;

  constructor(keeper = new MemoryKeeper()) {
    this.keeper = keeper;
  }

  async start(options: Partial<FileSinkOptions> = {}): Promise<TrailRun> {
    let sink: FileSink | null = null;
    const note = (text: string): void => void this.notes.push(text);
    const sealer = new Sealer({
      trail: this.path,
      file: this.checkpoint,
      keeper: this.keeper,
      clock: this.clock,
      durable: () => sink?.durable() ?? null,
      note,
      onAlarm: (text) => this.alarms.push(text),
    });
    sink = new FileSink({
      path: this.path,
      clock: this.clock,
      rotate: { sizeBytes: 4_000, keep: 100 },
      ensureEveryMs: 0,
      retryEveryMs: 5,
      sealed: sealer.sealed,
      watcher: sealer,
      onNote: note,
      onAlarm: (text) => sealer.alarm(text),
      ...options,
    });
    await sealer.open();
    const opened = sink;
    return {
      sink: opened,
      sealer,
      write: async (count) => {
        for (let i = 0; i < count; i++) {
          void opened.append(sampleFacts({ id: `req_${this.#next++}` }));
          await opened.flush();
        }
      },
      async [Symbol.asyncDispose]() {
        await opened[Symbol.asyncDispose]();
        await sealer[Symbol.asyncDispose]();
      },
    };
  }

  /** Starts, writes so many lines one by one, and stops. */
  async grow(count: number, options: Partial<FileSinkOptions> = {}): Promise<void> {
    await using run = await this.start(options);
    await run.write(count);
  }

  /** What `sanctum audit verify` finds without a running gateway. */
  async verify(): Promise<{ readonly ok: boolean; readonly result: VerifyResult; readonly seals: SealCheck }> {
    const seals = await readSeals(this.path, this.checkpoint, this.keeper);
    const result = await verifyAudit(auditFiles(this.path), { start: seals.start, known: seals.known });
    const ok = result.ok && seals.faults.length === 0 && seals.alarms.length === 0 && seals.state !== "unchecked";
    return { ok, result, seals };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
