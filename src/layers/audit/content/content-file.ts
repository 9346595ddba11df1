// The form of a file of prompts and answers, `cloud-proxy-audit-contents/20261123T180000Z.sealed`. Its first line says how the
// file's own key is wrapped; then come frames, each encrypted by itself, so that many requests write at once as they go:
//
//   {"v":1,"contents":"9f8e…","key":{"by":"house","id":"1f2e3d4c5b6a","wrapped":"…"}}\n
//   {"v":1,"contents":"9f8e…","key":{"by":"age","recipient":"age1…","wrapped":"…"}}\n
//   frame: length of the sealed part (4 bytes), counter (8 bytes), sealed part
//   sealed part: AES-256-GCM of: part (1 byte: 0 request, 1 answer), length of the id (1 byte), id, data
//
// The nonce is the counter, which never comes twice in a file; the file's name for itself and the counter are authenticated
// with each frame, so that none can be moved within a file or from one to another. Numbers are big-endian.

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Secret } from "../../../secret.ts";
import { keyId } from "../seal.ts";

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FRAME_HEAD_BYTES = 12;
/** Of data in one frame. */
export const MAX_FRAME_DATA = 256 * 1024;
const MAX_SEALED_BYTES = MAX_FRAME_DATA + 2 + 255 + TAG_BYTES;
const cipherName = "aes-256-gcm";

export type Part = "request" | "answer";

export type WrappedKey =
  | { readonly by: "house"; readonly id: string; readonly wrapped: string }
  | { readonly by: "age"; readonly recipient: string; readonly wrapped: string };

export interface ContentHeader {
  /** Tells files apart: 16 random bytes in hex. */
  readonly contents: string;
  readonly key: WrappedKey;
}

/** What is read is not what was written. */
export class ContentDamaged extends Error {
  override readonly name = "ContentDamaged";
}

export function newContentsName(): string {
  return randomBytes(16).toString("hex");
}

export function headerLine({ contents, key }: ContentHeader): string {
  return `${JSON.stringify({ v: 1, contents, key })}\n`;
}

/** Null: not a header. Takes the first line without its end. */
export function parseHeader(line: string): ContentHeader | null {
  try {
    const { v, contents, key } = JSON.parse(line) as { v?: unknown; contents?: unknown; key?: Record<string, unknown> };
    if (v !== 1 || typeof contents !== "string" || typeof key !== "object" || key === null) return null;
    const { by, id, recipient, wrapped } = key;
    if (typeof wrapped !== "string") return null;
    if (by === "house" && typeof id === "string") return { contents, key: { by, id, wrapped } };
    return by === "age" && typeof recipient === "string" ? { contents, key: { by, recipient, wrapped } } : null;
  } catch {
    return null;
  }
}

/** For one file; the house's key stays as it is. */
export function wrapWithHouseKey(fileKey: Uint8Array, house: Secret): WrappedKey {
  const bytes = houseKeyBytes(house);
  try {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(cipherName, bytes, nonce);
    const sealed = Buffer.concat([nonce, cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
    return { by: "house", id: keyId(house), wrapped: sealed.toString("base64") };
  } finally {
    bytes.fill(0);
  }
}

/** Throws ContentDamaged where it is another key. The caller wipes the result. */
export function unwrapWithHouseKey(wrapped: string, house: Secret): Uint8Array {
  const bytes = houseKeyBytes(house);
  try {
    const sealed = Buffer.from(wrapped, "base64");
    return opened(sealed.subarray(NONCE_BYTES), bytes, sealed.subarray(0, NONCE_BYTES), null);
  } finally {
    bytes.fill(0);
  }
}

function houseKeyBytes(house: Secret): Uint8Array {
  const text = house.copy();
  const bytes = Buffer.from(Buffer.from(text).toString("latin1"), "base64url");
  text.fill(0);
  if (bytes.length !== KEY_BYTES) throw new ContentDamaged("the key of the contents is none");
  return bytes;
}

/** `counter` must not come twice with the same key. */
export function sealFrame(
  fileKey: Uint8Array,
  contents: string,
  counter: number,
  frame: { readonly part: Part; readonly id: string; readonly data: Uint8Array },
): Buffer {
  const id = Buffer.from(frame.id, "latin1");
  const cipher = createCipheriv(cipherName, fileKey, nonceOf(counter));
  cipher.setAAD(aadOf(contents, counter));
  const parts = [
    cipher.update(Uint8Array.of(frame.part === "request" ? 0 : 1, id.length)),
    cipher.update(id),
    cipher.update(frame.data),
    cipher.final(),
    cipher.getAuthTag(),
  ];
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(parts.reduce((sum, part) => sum + part.length, 0));
  head.writeBigUInt64BE(BigInt(counter), 4);
  return Buffer.concat([head, ...parts]);
}

/** How long the sealed part behind this head is, and its counter. Throws ContentDamaged. */
export function parseFrameHead(head: Buffer): { readonly length: number; readonly counter: number } {
  const length = head.readUInt32BE();
  const counter = Number(head.readBigUInt64BE(4));
  if (length <= TAG_BYTES + 2 || length > MAX_SEALED_BYTES) throw new ContentDamaged("a frame has no possible length");
  return { length, counter };
}

export { FRAME_HEAD_BYTES };

/** Throws ContentDamaged where a byte was changed, or the frame belongs elsewhere. */
export function openFrame(
  fileKey: Uint8Array,
  contents: string,
  counter: number,
  sealed: Buffer,
): { readonly part: Part; readonly id: string; readonly data: Buffer } {
  const plain = opened(sealed, fileKey, nonceOf(counter), aadOf(contents, counter));
  const idEnd = 2 + plain[1]!;
  return {
    part: plain[0] === 0 ? "request" : "answer",
    id: plain.toString("latin1", 2, idEnd),
    data: plain.subarray(idEnd),
  };
}

function opened(sealed: Buffer, key: Uint8Array, nonce: Buffer, aad: Buffer | null): Buffer {
  try {
    const decipher = createDecipheriv(cipherName, key, nonce);
    if (aad !== null) decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new ContentDamaged("it was changed, or is sealed with another key", { cause });
  }
}

function nonceOf(counter: number): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64BE(BigInt(counter), 4);
  return nonce;
}

function aadOf(contents: string, counter: number): Buffer {
  return Buffer.from(`sanctum contents v1 ${contents} ${counter}`);
}
