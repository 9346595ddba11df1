import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../../secret.ts";
import { StandingClock } from "../sample-facts.ts";
import { MemoryKeeper } from "../sample-trail.ts";
import { ContentDamaged, headerLine, parseHeader, type Part } from "./content-file.ts";
import { findContents } from "./content-reader.ts";
import { ContentStore, contentFolder, type ContentStoreParts } from "./content-store.ts";
import type { ContentFacts } from "./recording.ts";

const WEEK_MS = 7 * 86_400_000;
let home: string;
let keeper: MemoryKeeper;
let clock: StandingClock;
let notes: string[];
const stores: ContentStore[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sanctum-contents-"));
  keeper = new MemoryKeeper();
  clock = new StandingClock();
  notes = [];
});

afterEach(async () => {
  for (const store of stores.splice(0)) await store[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

async function newStore(parts: Partial<ContentStoreParts> = {}, keepMs = WEEK_MS): Promise<ContentStore> {
  const store = new ContentStore({
    folder: join(home, "contents"),
    clock,
    keeper,
    redact: (text) => text.replaceAll("sk-house-key", "[redacted]"),
    note: (text) => notes.push(text),
    ...parts,
  });
  stores.push(store);
  await store.configure({ keepMs, recipient: undefined });
  return store;
}

const files = (): string[] => readdirSync(join(home, "contents")).toSorted();
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;

function keep(store: ContentStore, id: string, request: string, ...answer: readonly string[]): ContentFacts {
  const recording = store.begin(id);
  recording.request(bytesOf(request));
  for (const piece of answer) recording.answer(bytesOf(piece));
  return recording.finish();
}

async function read({ kept }: ContentFacts, id: string, key = keeper.key): Promise<Record<Part, string>> {
  if (kept === null || kept === undefined) throw new Error("nothing was kept");
  const house = async (): Promise<Secret | null> => (key === null ? null : Secret.fromString(key));
  await using found = await findContents(join(home, "contents", kept.file), kept, id, { house, identity: undefined });
  const text = { request: "", answer: "" };
  for await (const { part, data } of found.pieces()) text[part] += data.toString("utf8");
  return text;
}

describe("what is kept", () => {
  test("reads back by its line, of many requests at once, in one file and in bounded pieces", async () => {
    const store = await newStore();
    const long = "a long prompt, and a key at the end: 東京 ".repeat(20_000);
    const [a, b] = [store.begin("req_a"), store.begin("req_b")];
    a.request(bytesOf(long));
    b.request(bytesOf("short"));
    for (let i = 0; i < 500; i++) {
      a.answer(bytesOf(`a${i} ${"x".repeat(400)}`));
      b.answer(bytesOf(`b${i} `));
    }
    const facts = { a: a.finish(), b: b.finish() };
    expect(await read(facts.a, "req_a")).toMatchObject({ request: long });
    const text = await read(facts.b, "req_b");
    expect(text.answer).toBe(Array.from({ length: 500 }, (_, i) => `b${i} `).join(""));
    expect(facts.b).toMatchObject({ request: sha256("short"), answer: sha256(text.answer) });
    expect(files()).toHaveLength(1);
    const raw = readFileSync(join(home, "contents", files()[0]!), "latin1");
    expect(raw).not.toContain("a long prompt");
    expect(raw).not.toContain("b499");
  });

  test("is out of the process when the recording is finished", async () => {
    const facts = keep(await newStore(), "req_1", "ask", "answer");
    expect(await read(facts, "req_1")).toEqual({ request: "ask", answer: "answer" });
  });

  test("has no secret in it, however the answer is cut", async () => {
    const store = await newStore();
    const answer = `${"y".repeat(65_530)}sk-house-key and ${"z".repeat(70_000)}sk-house-key`;
    for (const size of [1_000, 65_533, 65_536, 200_000]) {
      const recording = store.begin("req_1");
      recording.request(bytesOf("my key is sk-house-key"));
      for (let at = 0; at < answer.length; at += size) recording.answer(bytesOf(answer.slice(at, at + size)));
      const facts = recording.finish();
      const text = await read(facts, "req_1");
      expect(facts.redacted).toBe(true);
      expect(text.request).toBe("my key is [redacted]");
      expect(text.answer).toBe(answer.replaceAll("sk-house-key", "[redacted]"));
      expect(facts).toMatchObject({ request: sha256(text.request), answer: sha256(text.answer) });
    }
  });

  test("of a request that was never read is nothing, and of a finished one nothing more", async () => {
    const store = await newStore();
    expect(store.begin("req_1").finish()).toEqual({ request: null, answer: null });
    const recording = store.begin("req_2");
    recording.answer(bytesOf("early"));
    const facts = recording.finish();
    recording.answer(bytesOf("late"));
    expect((await read(facts, "req_2")).answer).toBe("early");
  });
});

describe("a file", () => {
  test("whose byte was changed anywhere, that was cut, or that is sealed with another key says so", async () => {
    const facts = keep(await newStore(), "req_1", "the request", "the answer");
    const path = join(home, "contents", files()[0]!);
    const whole = readFileSync(path);
    await expect(read(facts, "req_1", Buffer.alloc(32, 7).toString("base64url"))).rejects.toThrow("another key");
    await expect(read(facts, "req_1", null)).rejects.toThrow("not to be had");
    for (let at = whole.indexOf("wrapped"); at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 4;
      writeFileSync(path, changed);
      let text: unknown = null;
      try {
        text = await read(facts, "req_1");
      } catch (error) {
        // Base64 has spare bits, and a space between members is no change.
        if (!(error instanceof ContentDamaged)) throw error;
      }
      if (text !== null) expect(text).toEqual({ request: "the request", answer: "the answer" });
      if (at >= facts.kept!.from) expect(text).toBeNull();
    }
    writeFileSync(path, whole.subarray(0, -1));
    await expect(read(facts, "req_1")).rejects.toThrow("ends in the middle");
    writeFileSync(path, "");
    await expect(read(facts, "req_1")).rejects.toThrow(ContentDamaged);
  });

  test("has frames of its own: none of another file is taken for one of it", async () => {
    const store = await newStore();
    const first = keep(store, "req_1", "first");
    clock.advance(3_600_000);
    await turned(store);
    const second = keep(store, "req_1", "other");
    const [a, b] = files().map((name) => join(home, "contents", name)) as [string, string];
    const [one, two] = [readFileSync(a), readFileSync(b)];
    // The same place, the same counter, the same length.
    const frame = two.subarray(second.kept!.from, second.kept!.to);
    writeFileSync(a, Buffer.concat([one.subarray(0, first.kept!.from), frame]));
    await expect(read(first, "req_1")).rejects.toThrow("it was changed");
  });

  test("begins anew with each hour in which something is kept, while requests go on in the old one", async () => {
    const store = await newStore();
    const long = store.begin("req_long");
    long.answer(bytesOf("before, "));
    clock.advance(3_600_000);
    await turned(store);
    const next = keep(store, "req_next", "ask");
    long.answer(bytesOf("after"));
    const facts = long.finish();
    expect(files()).toEqual(["20261123T180000Z.sealed", "20261123T190000Z.sealed"]);
    expect([facts.kept?.file, next.kept?.file]).toEqual(files());
    expect((await read(facts, "req_long")).answer).toBe("before, after");
    for (let hour = 0; hour < 3; hour++) {
      clock.advance(3_600_000);
      await turned(store);
    }
    // Nothing was kept in these hours: their files go when they are left.
    await stores.pop()![Symbol.asyncDispose]();
    expect(files()).toHaveLength(2);
  });

  test("is deleted when its time is over, and not before", async () => {
    const store = await newStore({}, 2 * 3_600_000);
    const facts = keep(store, "req_1", "ask");
    await store[Symbol.asyncDispose]();
    clock.advance(3 * 3_600_000);
    await newStore({}, 2 * 3_600_000);
    expect(await read(facts, "req_1")).toMatchObject({ request: "ask" });
    clock.advance(1_000);
    await newStore({}, 2 * 3_600_000);
    expect(files()).not.toContain(facts.kept!.file);
  });
});

/** As its timer does every second. */
async function turned(store: ContentStore): Promise<void> {
  await store.turn();
}

describe("where nothing can be kept", () => {
  test("a full disk is a fault until it has room again, and the line says that the contents are lost", async () => {
    let full = false;
    const calls = {
      write(fd: number, bytes: Uint8Array, offset: number): number {
        if (full) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        return writeSync(fd, bytes, offset);
      },
    };
    const store = await newStore({ calls });
    const before = keep(store, "req_1", "ask", "answer");
    const broken = store.begin("req_2");
    full = true;
    broken.request(bytesOf("ask"));
    expect(store.faulty).toBe(true);
    expect(broken.finish()).toMatchObject({ request: sha256("ask"), kept: null });
    await turned(store);
    expect(store.fault).toContain("ENOSPC");
    full = false;
    await turned(store);
    expect(store.faulty).toBe(false);
    expect(notes).toEqual([
      expect.stringContaining("cannot be kept"),
      expect.stringContaining("no file can be begun"),
      "prompts and answers are kept again",
    ]);
    expect(await read(before, "req_1")).toEqual({ request: "ask", answer: "answer" });
    expect(await read(keep(store, "req_3", "again"), "req_3")).toMatchObject({ request: "again" });
  });

  test("a key that is locked away is a fault until it is there", async () => {
    keeper.locked = "vault.age is locked";
    const store = await newStore();
    expect(store.fault).toBe("vault.age is locked");
    expect(keep(store, "req_1", "ask").kept).toBeNull();
    keeper.locked = null;
    await turned(store);
    expect(store.fault).toBeNull();
    expect(await read(keep(store, "req_2", "ask"), "req_2")).toMatchObject({ request: "ask" });
  });
});

test("the files lie beside their trail", () => {
  expect(contentFolder("/x/logs/cloud-proxy-audit.jsonl")).toBe("/x/logs/cloud-proxy-audit-contents");
});

test.each([
  "",
  "{}",
  "[]",
  '{"v":2,"contents":"a","key":{"by":"house","id":"a","wrapped":"b"}}',
  '{"v":1,"contents":"a","key":{"by":"me","wrapped":"b"}}',
])("%p is no header", (line) => expect(parseHeader(line)).toBeNull());

test("a header reads back", () => {
  const header = { contents: "ab", key: { by: "age", recipient: "age1x", wrapped: "b" } } as const;
  expect(parseHeader(headerLine(header).trimEnd())).toEqual(header);
});
