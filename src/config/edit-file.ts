// Writing config.yaml so that every reader sees the old file or the new one, whole, and two editors don't lose each other's
// change: the new text goes into `<file>.lock`, which only one can create, and is renamed over the file.

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname } from "node:path";

import { syncFolder, writeWhole } from "../durable-write.ts";
import { checkConfig } from "./check.ts";
import type { CheckOptions } from "./check.ts";
import type { Edit } from "./edit-agents.ts";
import { readConfigText } from "./read-file.ts";
import type { Fault } from "./types.ts";

export type EditResult =
  | { readonly done: true }
  /** Faults that the file had before, or that the change would bring: nothing was written. */
  | { readonly faults: readonly Fault[] }
  | { readonly problem: string };

const lockTries = 40;
const lockPauseMs = 50;

/**
 * Reads `file`, changes it, checks the result and puts it in place: durable when this resolves. A missing file is created
 * 0600, its folder 0700; an existing one keeps its mode without others' right to write. A symbolic link is followed, so that the
 * file behind it changes. Rejects with the system's error where the folder can't be written.
 */
export async function editConfig(
  file: string,
  change: (text: string) => Edit,
  options: CheckOptions = {},
): Promise<EditResult> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const target = targetOf(file);
  const lock = `${target}.lock`;
  const descriptor = await openLock(lock);
  if (descriptor === null) {
    return { problem: `another change of the configuration is under way; if there is none, remove ${lock}` };
  }
  try {
    const result = prepare(file, change, options);
    if (!("text" in result)) {
      rmSync(lock);
      return result;
    }
    writeWhole(descriptor, Buffer.from(result.text));
    keepOwnership(descriptor, statSync(target, { throwIfNoEntry: false }));
    fsyncSync(descriptor);
    renameSync(lock, target);
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  // Or a token would be shown that the file has forgotten.
  syncFolder(dirname(target));
  return { done: true };
}

function prepare(
  file: string,
  change: (text: string) => Edit,
  options: CheckOptions,
): { text: string } | { faults: readonly Fault[] } | { problem: string } {
  const source = readConfigText(file);
  const before = checkConfig(source.text, file, options);
  if (source.faults.length > 0) return { faults: source.faults };
  if ("faults" in before) return before;
  const edited = change(source.text);
  if ("problem" in edited) return edited;
  const after = checkConfig(edited.text, file, options);
  return "faults" in after ? after : edited;
}

function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    // Nothing there yet.
    return file;
  }
}

/** Null where someone else holds it for two seconds. */
async function openLock(lock: string): Promise<number | null> {
  for (let attempt = 0; attempt < lockTries; attempt++) {
    try {
      return openSync(lock, "wx", 0o600);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      await new Promise((resolve) => setTimeout(resolve, lockPauseMs));
    }
  }
  return null;
}

/** A daemon of another user may read the file through its group: that must not end with an edit. */
function keepOwnership(descriptor: number, before: Stats | undefined): void {
  if (before === undefined) return;
  try {
    fchownSync(descriptor, before.uid, before.gid);
    fchmodSync(descriptor, before.mode & 0o755);
  } catch {
    // Not our group to give: the lock's own 0600 stays, which shows nothing to anyone.
    fchmodSync(descriptor, 0o600);
  }
}
