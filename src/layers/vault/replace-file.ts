// A file that is replaced as a whole: every reader sees the old one or the new one, also after a power cut, and two writers
// do not lose each other's change.

import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { syncFolder, writeWhole } from "../../durable-write.ts";
import { KeyFault } from "./key-source.ts";

/** A lock that is older was left by a process that died: no change takes this long. Milliseconds. */
const abandonedMs = 120_000;

/**
 * `nowMs`: the time of day, by which a lock that nobody holds is told. Calls `make` and puts what it returns in the place of `file`, mode 0600; durable when this resolves. Rejects with what
 * `make` rejects with, and then nothing has changed; with a KeyFault while another process changes the file.
 */
export async function replaceFile(file: string, nowMs: number, make: () => Promise<Uint8Array>): Promise<void> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const lock = `${file}.lock`;
  const descriptor = lockAt(lock, nowMs);
  try {
    const bytes = await make();
    writeWhole(descriptor, bytes);
    fsyncSync(descriptor);
    renameSync(lock, file);
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  syncFolder(dirname(file));
}

function lockAt(lock: string, nowMs: number): number {
  try {
    return openSync(lock, "wx", 0o600);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    const age = nowMs - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age < abandonedMs)
      throw new KeyFault("locked", `another process changes it right now; if none does, remove ${lock}`);
    rmSync(lock, { force: true });
    return openSync(lock, "wx", 0o600);
  }
}
