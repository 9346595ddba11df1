import { afterAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../secret.ts";
import { CHAIN_START, GENESIS } from "./chain.ts";
import {
  formatCheckpoint,
  formatSegmentSeal,
  keyId,
  readCheckpoint,
  readSegmentSeal,
  type Checkpoint,
} from "./seal.ts";

const folder = mkdtempSync(join(tmpdir(), "sanctum-seal-"));
afterAll(() => rmSync(folder, { recursive: true }));

const key = Secret.fromString("a key of 43 characters for tests, made up..");
const other = Secret.fromString("another key for tests");
const checkpoint: Checkpoint = {
  seq: 1200,
  head: `sha256:${"ab".repeat(32)}`,
  from: { seq: 600, head: `sha256:${"cd".repeat(32)}` },
  at: "2026-11-23T18:00:00.000Z",
  alarms: [{ at: "2026-11-22T18:00:00.000Z", text: "somebody else wrote to the file" }],
  first: false,
};

function read(text: string): ReturnType<typeof readCheckpoint> {
  const file = join(folder, "checkpoint.json");
  writeFileSync(file, text);
  return readCheckpoint(file);
}

function sealOf(text: string): unknown[] {
  const { key: id, mac } = JSON.parse(text) as Record<string, unknown>;
  return [id, mac];
}

test("a checkpoint reads back, sealed by its key and by no other", () => {
  for (const wanted of [checkpoint, { ...checkpoint, first: true }, { ...checkpoint, alarms: [], from: CHAIN_START }]) {
    const found = read(formatCheckpoint(wanted, key));
    if (found === null || found === "damaged") throw new Error("it does not read back");
    expect(found.document).toEqual(wanted);
    expect([found.isSealedBy(key), found.isSealedBy(other)]).toEqual([true, false]);
  }
});

test("is an HMAC-SHA256 over its own text without the last member, by which others can check it", () => {
  const text = formatCheckpoint(checkpoint, key);
  const { mac, ...fields } = JSON.parse(text) as Record<string, unknown>;
  const sealed = `sanctum audit checkpoint v1\n${JSON.stringify(fields)}`;
  expect(mac).toBe(`hmac-sha256:${createHmac("sha256", key.reveal()).update(sealed).digest("hex")}`);
  expect(fields["key"]).toBe(keyId(key));
});

describe("whatever is changed in it breaks the seal or is no checkpoint:", () => {
  const text = formatCheckpoint(checkpoint, key);
  test("every character", () => {
    for (let at = 0; at < text.length - 1; at++) {
      const changed = text.slice(0, at) + (text[at] === "1" ? "2" : "1") + text.slice(at + 1);
      const found = read(changed);
      if (found === null || found === "damaged") continue;
      // A member's name may change where what was understood, and its seal, do not.
      const intact = JSON.stringify([found.document, sealOf(changed)]) === JSON.stringify([checkpoint, sealOf(text)]);
      expect({ at, sealed: found.isSealedBy(key) }).toEqual({ at, sealed: intact });
    }
  });

  test("a member more rides along unseen, and is not read", () => {
    const found = read(text.replace('{"v":1', '{"v":1,"more":true'));
    expect(found).not.toBe("damaged");
    expect(JSON.stringify((found as { document: object }).document)).not.toContain("more");
  });

  test.each([
    "",
    "{}",
    "null",
    "[1]",
    "{",
    '{"v":2}',
    text.replace('"v":1', '"v":2'),
    text.replace(/"at":"[^"]*",/, ""),
  ])("%p is damaged", (spoilt) => expect(read(spoilt)).toBe("damaged"));
});

test("no file is no checkpoint, and a folder in its place a damaged one", () => {
  expect(readCheckpoint(join(folder, "nowhere"))).toBeNull();
  expect(readCheckpoint(folder)).toBe("damaged");
});

test("the seal of a file can't be taken for a checkpoint, nor the other way round", () => {
  const file = join(folder, "segment.seal");
  writeFileSync(
    file,
    formatSegmentSeal({ first: 1, prev: GENESIS, last: 9, head: checkpoint.head, at: checkpoint.at }, key),
  );
  const found = readSegmentSeal(file);
  expect(found).toMatchObject({ document: { first: 1, last: 9 } });
  expect((found as { isSealedBy: (by: Secret) => boolean }).isSealedBy(key)).toBe(true);
  expect(readCheckpoint(file)).toBe("damaged");
  writeFileSync(file, formatCheckpoint(checkpoint, key));
  expect(readSegmentSeal(file)).toBe("damaged");
});
