// Seals of the trail: where it stood, under a MAC of a key that the trail's files do not hold. Two kinds of documents.
//
// The checkpoint, in `state/audit-checkpoint.json`, written anew about once a second while lines come:
//   {"v":1,"seq":1200,"head":"sha256:…","from":{"seq":0,"head":"sha256:0…"},"at":"2026-11-23T18:00:00.000Z","alarms":[],
//    "key":"1f2e3d4c5b6a","mac":"hmac-sha256:…"}
// The seal of a rotated file, beside it as `….jsonl.seal`:
//   {"v":1,"first":1,"prev":"sha256:0…","last":600,"head":"sha256:…","at":"…","key":"1f2e3d4c5b6a","mac":"hmac-sha256:…"}
//
// The chain makes one seal cover every line before it: docs/decisions/0031.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Secret } from "../../secret.ts";
import type { ChainPosition } from "./chain.ts";

/** Something that a person or another program has done to the trail. */
export interface AuditAlarm {
  /** ISO 8601. */
  readonly at: string;
  readonly text: string;
}

export interface Checkpoint {
  /** A line that is on the disk. */
  readonly seq: number;
  readonly head: string;
  /** Lines up to this one may be gone: rotated files that were deleted to keep their number, or that a person has given up. */
  readonly from: ChainPosition;
  /** ISO 8601. */
  readonly at: string;
  readonly alarms: readonly AuditAlarm[];
  /** Written before its key was stored: where the key is not there, the gateway died in between. */
  readonly first: boolean;
}

export interface SegmentSeal {
  readonly first: number;
  /** The hash of the line before. */
  readonly prev: string;
  readonly last: number;
  readonly head: string;
  /** ISO 8601. */
  readonly at: string;
}

/** A document as it was found; only `isSealedBy` says whether to believe it. */
export interface Sealed<T> {
  readonly document: T;
  readonly isSealedBy: (key: Secret) => boolean;
}

export function formatCheckpoint(checkpoint: Checkpoint, key: Secret): string {
  return sealed("checkpoint", checkpointFields(checkpoint), key);
}

export function formatSegmentSeal(seal: SegmentSeal, key: Secret): string {
  return sealed("segment", segmentFields(seal), key);
}

/** Null: there is none. `damaged`: what is there is none. */
export function readCheckpoint(file: string): Sealed<Checkpoint> | "damaged" | null {
  return readSealed(file, "checkpoint", checkpointOf, checkpointFields);
}

/** Null: there is none. `damaged`: what is there is none. */
export function readSegmentSeal(file: string): Sealed<SegmentSeal> | "damaged" | null {
  return readSealed(file, "segment", segmentOf, segmentFields);
}

/** Tells keys apart without telling anything of them. */
export function keyId(key: Secret): string {
  return mac("key id", "", key).slice(0, 12);
}

type Kind = "checkpoint" | "segment";

// The order of the members is part of what is sealed.
const checkpointFields = ({ seq, head, from, at, alarms, first }: Checkpoint): object => ({
  v: 1,
  seq,
  head,
  from: { seq: from.seq, head: from.head },
  at,
  alarms: alarms.map((alarm) => ({ at: alarm.at, text: alarm.text })),
  ...(first && { first }),
});

const segmentFields = ({ first, prev, last, head, at }: SegmentSeal): object => ({ v: 1, first, prev, last, head, at });

function sealed(kind: Kind, fields: object, key: Secret): string {
  const id = keyId(key);
  const text = JSON.stringify({ ...fields, key: id });
  return `${JSON.stringify({ ...fields, key: id, mac: `hmac-sha256:${mac(kind, text, key)}` })}\n`;
}

/** The kind is sealed with it, so that one document can't be taken for another. */
function mac(kind: Kind | "key id", text: string, key: Secret): string {
  const bytes = key.copy();
  try {
    return createHmac("sha256", bytes).update(`sanctum audit ${kind} v1\n${text}`).digest("hex");
  } finally {
    bytes.fill(0);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function readSealed<T>(
  file: string,
  kind: Kind,
  parse: (fields: Fields) => T | null,
  fieldsOf: (document: T) => object,
): Sealed<T> | "damaged" | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" ? null : "damaged";
  }
  const fields = fieldsIn(text);
  const document = fields?.["v"] === 1 ? parse(fields) : null;
  if (fields === null || document === null) return "damaged";
  const { key: id, mac: found } = fields;
  return {
    document,
    isSealedBy: (key) => {
      // What is sealed is what was understood, so that nothing unread can ride along.
      const wanted = `hmac-sha256:${mac(kind, JSON.stringify({ ...fieldsOf(document), key: keyId(key) }), key)}`;
      return typeof found === "string" && id === keyId(key) && same(found, wanted);
    },
  };
}

function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(left!, right!);
}

function fieldsIn(text: string): Fields | null {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return null;
  }
}

function fieldsOf(value: unknown): Fields | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
}

function checkpointOf(fields: Fields): Checkpoint | null {
  const { seq, head, at, alarms, first } = fields;
  const from = fieldsOf(fields["from"]);
  if (!isSeq(seq) || !isHash(head) || typeof at !== "string" || !Array.isArray(alarms)) return null;
  if (from === null || !isSeq(from["seq"]) || !isHash(from["head"])) return null;
  const told: AuditAlarm[] = [];
  for (const alarm of alarms as unknown[]) {
    const { at: when, text } = fieldsOf(alarm) ?? {};
    if (typeof when !== "string" || typeof text !== "string") return null;
    told.push({ at: when, text });
  }
  return { seq, head, from: { seq: from["seq"], head: from["head"] }, at, alarms: told, first: first === true };
}

function segmentOf({ first, prev, last, head, at }: Fields): SegmentSeal | null {
  if (!isSeq(first) || !isHash(prev) || !isSeq(last) || !isHash(head) || typeof at !== "string") return null;
  return { first, prev, last, head, at };
}

function isSeq(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value);
}
