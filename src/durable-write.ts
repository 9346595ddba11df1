// The steps of putting a whole file in the place of another, so that it outlives a power cut.

import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";

/** Writes all of it, however little the system takes at a time. */
export function writeWhole(descriptor: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
}

/** Makes a rename in this folder durable: a file's own sync says nothing about its name. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
