// Reads back what was kept of one request. Works without the gateway, and while it writes.

import { open, type FileHandle } from "node:fs/promises";
import type { Secret } from "../../../secret.ts";
import { keyId } from "../seal.ts";
import {
  ContentDamaged,
  FRAME_HEAD_BYTES,
  openFrame,
  parseFrameHead,
  parseHeader,
  unwrapWithHouseKey,
  type Part,
  type WrappedKey,
} from "./content-file.ts";

const MAX_HEADER_BYTES = 8_192;
const NEWLINE = 10;

export interface ContentKeys {
  /** The house's key; null: it cannot be had. The reader wipes it. */
  readonly house: () => Promise<Secret | null>;
  /** Text of an age identity, `AGE-SECRET-KEY-1…`; undefined: none is given. */
  readonly identity: string | undefined;
}

export interface KeptContents extends AsyncDisposable {
  /** What the frames of this request hold, in order. Rejects with ContentDamaged. */
  pieces(): AsyncGenerator<{ readonly part: Part; readonly data: Buffer }>;
}

/** `from` and `to` as the line says. Rejects with ContentDamaged, or as the file system does. */
export async function findContents(
  path: string,
  place: { readonly from: number; readonly to: number },
  id: string,
  keys: ContentKeys,
): Promise<KeptContents> {
  const handle = await open(path, "r");
  try {
    const { contents, key: wrapped } = await readHeader(handle);
    const key = await unwrap(wrapped, keys);
    return {
      pieces: () => framesOf(handle, place, { contents, key, id }),
      async [Symbol.asyncDispose]() {
        key.fill(0);
        await handle.close();
      },
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readHeader(handle: FileHandle) {
  const start = await readAt(handle, 0, MAX_HEADER_BYTES);
  const end = start.indexOf(NEWLINE);
  const header = end < 0 ? null : parseHeader(start.toString("latin1", 0, end));
  if (header === null) throw new ContentDamaged("it does not begin as a file of contents does");
  return header;
}

async function unwrap(key: WrappedKey, { house, identity }: ContentKeys): Promise<Uint8Array> {
  if (key.by === "age") return await unwrapByAge(key, identity);
  const secret = await house();
  if (secret === null) throw new ContentDamaged("the key that opens it is not to be had");
  try {
    if (keyId(secret) !== key.id)
      throw new ContentDamaged("it was sealed with another key: on another machine, or before");
    return unwrapWithHouseKey(key.wrapped, secret);
  } finally {
    secret.wipe();
  }
}

async function unwrapByAge(key: WrappedKey & { by: "age" }, identity: string | undefined): Promise<Uint8Array> {
  if (identity === undefined)
    throw new ContentDamaged(`it is sealed for ${key.recipient}; name its file by --identity`);
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(identity);
    return await decrypter.decrypt(Buffer.from(key.wrapped, "base64"));
  } catch (cause) {
    throw new ContentDamaged(`this identity does not open it: it is sealed for ${key.recipient}`, { cause });
  }
}

async function* framesOf(
  handle: FileHandle,
  { from, to }: { readonly from: number; readonly to: number },
  { contents, key, id }: { readonly contents: string; readonly key: Uint8Array; readonly id: string },
): AsyncGenerator<{ readonly part: Part; readonly data: Buffer }> {
  let before = -1;
  for (let at = from; at < to;) {
    const { length, counter } = parseFrameHead(await readAt(handle, at, FRAME_HEAD_BYTES, true));
    if (counter <= before) throw new ContentDamaged("its frames are not in their order");
    before = counter;
    const sealed = await readAt(handle, at + FRAME_HEAD_BYTES, length, true);
    const frame = openFrame(key, contents, counter, sealed);
    if (frame.id === id) yield { part: frame.part, data: frame.data };
    at += FRAME_HEAD_BYTES + length;
  }
}

/** Fewer bytes than asked for come back only at the file's end; with `whole` that is a damage. */
async function readAt(handle: FileHandle, position: number, length: number, whole = false): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  if (whole && filled < length) throw new ContentDamaged("it ends in the middle of a frame");
  return buffer.subarray(0, filled);
}
