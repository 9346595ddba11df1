// Files of prompts and answers, for `content: full`: written as they go, encrypted with a key of each file's own, deleted
// when their time is over. The trail does not need them: a line holds the hashes.

import { readdirSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { basename, dirname, extname, join } from "node:path";
import type { Clock } from "../../../clock.ts";
import { Secret } from "../../../secret.ts";
import { codeOf } from "../audit-file.ts";
import type { SealKeeper } from "../sealer.ts";
import { KEY_BYTES, MAX_FRAME_DATA, wrapWithHouseKey, type WrappedKey } from "./content-file.ts";
import { ContentFile, HOUR_MS, type FileParts } from "./content-writer.ts";
import { FullRecording, type ContentRecorder, type ContentRecording } from "./recording.ts";

export interface ContentRules {
  readonly keepMs: number;
  /** An age recipient; undefined: the house's key. */
  readonly recipient: string | undefined;
}

export interface ContentStoreParts {
  /** The folder of the files. */
  readonly folder: string;
  readonly clock: Clock;
  /** Where the house's key is kept. */
  readonly keeper: Pick<SealKeeper, "load" | "save">;
  readonly redact: (text: string) => string;
  readonly note: (text: string) => void;
  /** For tests. */
  readonly calls?: FileParts["calls"];
}

const TURN_EVERY_MS = 1_000;
const EXPIRE_EVERY_MS = 600_000;
const fileName = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z(?:-\d+)?\.sealed$/;

/** `…/cloud-proxy-audit-contents` beside `…/cloud-proxy-audit.jsonl`. */
export function contentFolder(trail: string): string {
  return join(dirname(trail), `${basename(trail, extname(trail))}-contents`);
}

export class ContentStore implements ContentRecorder, AsyncDisposable {
  readonly #parts: ContentStoreParts;
  #rules: ContentRules | null = null;
  #current: ContentFile | null = null;
  /** Full or out of date, with recordings that go on. */
  readonly #leaving = new Set<ContentFile>();
  #next: Promise<void> | null = null;
  #fault: string | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #expiredAt = Number.NEGATIVE_INFINITY;
  #syncing = false;

  constructor(parts: ContentStoreParts) {
    this.#parts = parts;
  }

  /** Null: nothing is to be kept. Resolves when the store is ready, or has found why not. Never rejects. */
  async configure(rules: ContentRules | null): Promise<void> {
    const changed = rules?.recipient !== this.#rules?.recipient || rules === null;
    this.#rules = rules;
    this.#timer ??= setInterval(() => void this.turn(), TURN_EVERY_MS);
    this.#timer.unref();
    if (changed) this.#retire();
    this.#expire();
    if (rules === null) this.#fault = null;
    else if (this.#current === null) await this.#begin();
  }

  get faulty(): boolean {
    return this.#fault !== null;
  }

  /** Why nothing can be kept now; null: all is well. */
  get fault(): string | null {
    return this.#fault;
  }

  begin(id: string): ContentRecording {
    const file = this.#current;
    file?.enter();
    return new FullRecording(id, file, { redact: this.#parts.redact, pieceBytes: MAX_FRAME_DATA });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#next;
    this.#retire();
    for (const file of this.#leaving) await file.close();
    this.#leaving.clear();
  }

  /** Once a second: begins a new file where the current one is full, deletes what has expired, syncs. Never rejects. */
  async turn(): Promise<void> {
    if (!this.#syncing) await this.#sync();
    if (this.#rules === null) return;
    const full = this.#current?.isFull(this.#parts.clock.now()) ?? true;
    if (full || this.#fault !== null) await this.#begin();
    if (this.#parts.clock.monotonic() - this.#expiredAt >= EXPIRE_EVERY_MS) this.#expire();
  }

  /** Puts a new file in the place of the current one, which stays in use until it is there. */
  async #begin(): Promise<void> {
    this.#next ??= this.#open().finally(() => {
      this.#next = null;
    });
    await this.#next;
  }

  async #open(): Promise<void> {
    const { folder, clock, calls } = this.#parts;
    const rules = this.#rules;
    if (rules === null) return;
    const key = randomBytes(KEY_BYTES);
    try {
      const wrapped = rules.recipient === undefined ? await this.#wrap(key) : await wrapForAge(key, rules.recipient);
      const file = ContentFile.create(folder, clock.now(), key, wrapped, {
        onFault: (error) => this.#fail(`they cannot be written: ${codeOf(error)}`),
        ...(calls !== undefined && { calls }),
      });
      this.#retire();
      this.#current = file;
      if (this.#fault !== null) this.#parts.note("prompts and answers are kept again");
      this.#fault = null;
    } catch (error) {
      key.fill(0);
      this.#fail(error instanceof NoContentKey ? error.message : `no file can be begun: ${codeOf(error)}`);
    }
  }

  async #wrap(fileKey: Uint8Array): Promise<WrappedKey> {
    const { keeper } = this.#parts;
    const loaded = await keeper.load();
    if (loaded.state === "locked") throw new NoContentKey(loaded.why);
    const house =
      loaded.state === "found" ? loaded.key : new Secret(Buffer.from(randomBytes(KEY_BYTES).toString("base64url")));
    try {
      if (loaded.state === "none") await keeper.save(house);
      return wrapWithHouseKey(fileKey, house);
    } finally {
      house.wipe();
    }
  }

  #fail(why: string): void {
    if (this.#fault !== why) this.#parts.note(`prompts and answers cannot be kept: ${why}`);
    this.#fault = why;
  }

  #retire(): void {
    const file = this.#current;
    this.#current = null;
    if (file !== null) this.#leaving.add(file);
  }

  async #sync(): Promise<void> {
    this.#syncing = true;
    try {
      await this.#current?.sync();
      for (const file of this.#leaving) {
        if (file.recordings > 0) await file.sync();
        else {
          this.#leaving.delete(file);
          await file.close();
        }
      }
    } catch (error) {
      // After a failed sync the system may have dropped what it had: what comes goes into another file.
      this.#retire();
      this.#fail(`they cannot be synced: ${codeOf(error)}`);
    } finally {
      this.#syncing = false;
    }
  }

  /** A file holds what began within an hour of its name. */
  #expire(): void {
    const { folder, clock, note } = this.#parts;
    this.#expiredAt = clock.monotonic();
    const before = this.#rules === null ? null : clock.now() - this.#rules.keepMs - HOUR_MS;
    if (before === null) return;
    const inUse = new Set([this.#current, ...this.#leaving].map((file) => file?.name));
    for (const name of namesIn(folder)) {
      const at = startOf(name);
      if (at === null || at >= before || inUse.has(name)) continue;
      try {
        rmSync(join(folder, name));
      } catch (error) {
        note(`expired prompts and answers could not be deleted: ${codeOf(error)}`);
      }
    }
  }
}

/** The reason is our own text. */
class NoContentKey extends Error {
  override readonly name = "NoContentKey";
}

async function wrapForAge(fileKey: Uint8Array, recipient: string): Promise<WrappedKey> {
  const { Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return { by: "age", recipient, wrapped: Buffer.from(await encrypter.encrypt(fileKey)).toString("base64") };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // No folder, no files.
  }
}

function startOf(name: string): number | null {
  const match = fileName.exec(name);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
