// What became of an audit file that is not in its place any more, and saving what can be saved. The descriptor is still open:
// as long as it is, the bytes of a deleted file are there.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { writeWhole } from "../../durable-write.ts";
import { auditFiles } from "./segments.ts";

const CHUNK_BYTES = 1 << 20;

export type Fate =
  /** Moved aside under a name that belongs to the trail, as logrotate does. */
  | { readonly kind: "rotated"; readonly path: string }
  /** It has a name somewhere else. */
  | { readonly kind: "moved" }
  /** It has no name any more, and goes with the descriptor. */
  | { readonly kind: "deleted"; readonly bytes: number };

/** `trail`: the path at which the file was. */
export function fateOf(fd: number, trail: string): Fate {
  const { ino, dev, nlink, size } = fstatSync(fd);
  const path = auditFiles(trail).find((file) => {
    const seen = statSync(file, { throwIfNoEntry: false });
    return file !== trail && seen?.ino === ino && seen.dev === dev;
  });
  if (path !== undefined) return { kind: "rotated", path };
  return nlink > 0 ? { kind: "moved" } : { kind: "deleted", bytes: size };
}

/** Copies what the descriptor still holds to `target`, which must be free. Durable; throws, and then leaves nothing. */
export function saveDeleted(fd: number, target: string): void {
  const copy = openSync(`${target}.new`, "wx", 0o600);
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0, read = 0; (read = readSync(fd, chunk, 0, chunk.length, at)) > 0; at += read) {
      writeWhole(copy, chunk.subarray(0, read));
    }
    fsyncSync(copy);
    renameSync(`${target}.new`, target);
  } catch (error) {
    rmSync(`${target}.new`, { force: true });
    throw error;
  } finally {
    closeSync(copy);
  }
}
