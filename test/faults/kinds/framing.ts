// HTTP around the answer that is wrong: heads, lengths, chunks, codings, kinds of content.

import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { headText } from "../../fakes/connection.ts";
import type { RawAct } from "../../fakes/raw-acts.ts";
import { chunk } from "../../fakes/play.ts";
import { soon, type Fault } from "../fault.ts";
import { fateOf, noAnswer, phaseAfter, untouched, type Fate } from "../oracle.ts";
import { arrival, bytesOf, endOfChunks, jsonHead, shareOf, streamed, streamHead, type Wire } from "../wire.ts";

export function framing(wire: Wire): Fault[] {
  return [
    ...heads(wire),
    ...codings(wire),
    ...kindsOfContent(wire),
    ...empties(wire),
    ...lengths(wire),
    ...chunks(wire),
  ];
}

const close: RawAct = { end: "close" };

/** A stream that is given up at its beginning has not been written yet; what comes in one piece has. */
function sentBy(wire: Wire): number {
  return wire.stream ? 0 : 1;
}

function payload(wire: Wire): Buffer {
  return wire.stream ? bytesOf(wire.events) : Buffer.from(wire.json);
}

/** The whole answer with other headers, its length told. */
function withHead(wire: Wire, headers: Record<string, string>, body: Uint8Array = payload(wire)): RawAct {
  const type = wire.stream ? "text/event-stream" : "application/json";
  const head = headText(200, { "content-type": type, ...headers, "content-length": String(body.length) });
  return { write: Buffer.concat([Buffer.from(head), body]) };
}

function heads(wire: Wire): Fault[] {
  const lost = fateOf(wire, "cut", "head");
  const fits = (row: string, ...raw: readonly RawAct[]): Fault => ({
    row,
    fate: untouched,
    sent: 1,
    step: () => ({ raw }),
  });
  const breaks = (row: string, ...raw: readonly RawAct[]): Fault => ({
    row,
    fate: lost,
    step: () => ({ raw: [...raw, close] }),
  });
  const hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n";
  const length = "content-length: 2\r\n";
  return [
    { row: "headers byte by byte", fate: untouched, sent: 1, step: () => slow(wire) },
    fits("one 103 before the answer", { write: hints }, withHead(wire, {})),
    fits("1xx flood: 100 before the answer", { write: hints.repeat(100) }, withHead(wire, {})),
    fits("a header of 8 KB", withHead(wire, { "x-long": "x".repeat(8_192) })),
    fits("a header of 1 MB", withHead(wire, { "x-long": "x".repeat(1_048_576) })),
    breaks("no HTTP at all", { write: "SMTP ready\r\n\r\n" }),
    breaks("an unknown version of HTTP", { write: `HTTP/9.9 200 OK\r\n${length}\r\n{}` }),
    breaks("a status that is no number", { write: `HTTP/1.1 two OK\r\n${length}\r\n{}` }),
    breaks("NUL bytes in the headers", { write: `HTTP/1.1 200 OK\r\nx-a: a\0b\r\n${length}\r\n{}` }),
    breaks("two lengths that differ", { write: `HTTP/1.1 200 OK\r\n${length}content-length: 5\r\n\r\n{}` }),
    breaks("a length that is no number", { write: "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}" }),
  ];
}

function slow(wire: Wire): ReturnType<NonNullable<Fault["step"]>> {
  const headers = { "x-slow": "0123456789" };
  return { answer: { text: "" }, rawBody: wire.stream ? wire.events : wire.json, split: { sizes: [7] }, headers };
}

const compressed = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };

/** It is asked for plain bytes: what comes compressed all the same is not unpacked. */
function codings(wire: Wire): Fault[] {
  const fate: Fate = noAnswer;
  const whole = Object.entries(compressed).map(([name, pack]): Fault => {
    const body = pack(payload(wire));
    return {
      row: "compressed unasked: gzip, deflate, br, zstd",
      fate,
      sent: sentBy(wire),
      step: () => ({ raw: [withHead(wire, { "content-encoding": name }, body)] }),
    };
  });
  const packed = gzipSync(payload(wire));
  const half = packed.subarray(0, packed.length / 2);
  return [
    ...whole,
    {
      row: "truncated gzip",
      fate,
      sent: sentBy(wire),
      step: () => ({ raw: [withHead(wire, { "content-encoding": "gzip" }, half), close] }),
    },
    {
      row: "gzip that is not said to be",
      fate: wire.stream ? fateOf(wire, "cut", "before content") : fateOf(wire, "garbled", "in content"),
      sent: sentBy(wire),
      step: () => ({ raw: [withHead(wire, {}, packed)] }),
    },
  ];
}

function kindsOfContent(wire: Wire): Fault[] {
  const step = (type: string, body?: Uint8Array) => () => ({ raw: [withHead(wire, { "content-type": type }, body)] });
  const page = Buffer.from("<!doctype html><h1>Sign in</h1>");
  const other = wire.stream ? Buffer.from(wire.json) : bytesOf(wire.events);
  const noEvents = wire.stream ? noAnswer : untouched;
  return [
    {
      row: "a web page with status 200",
      fate: wire.stream ? noAnswer : garbledBody(wire),
      step: step("text/html", page),
    },
    { row: "the answer as text/plain", fate: noEvents, sent: sentBy(wire), step: step("text/plain") },
    { row: "no content type", fate: noEvents, sent: sentBy(wire), step: step("") },
    {
      row: "JSON for a stream, a stream for JSON",
      fate: wire.stream ? untouched : garbledBody(wire),
      sent: 1,
      step: step(wire.stream ? "application/json; charset=utf-8" : "text/event-stream", other),
    },
  ];
}

function garbledBody(wire: Wire): Fate {
  return fateOf(wire, "garbled", "in content");
}

function empties(wire: Wire): Fault[] {
  const fate = wire.stream ? fateOf(wire, "cut", "before content") : garbledBody(wire);
  const nothing = Buffer.alloc(0);
  return [
    { row: "an empty body", fate, step: () => ({ raw: [withHead(wire, {}, nothing)] }) },
    {
      row: "an empty chunked body",
      fate,
      step: () => ({ raw: [{ write: wire.stream ? streamHead : chunkedHead }, endOfChunks] }),
    },
    {
      row: "status 204",
      fate: wire.stream ? noAnswer : garbledBody(wire),
      step: () => ({ raw: [{ write: headText(204, {}) }] }),
    },
  ];
}

const chunkedHead = headText(200, { "content-type": "application/json", "transfer-encoding": "chunked" });

function lengths(wire: Wire): Fault[] {
  const body = payload(wire);
  if (!wire.stream) {
    const short = body.length - 5;
    const garbled = garbledBody(wire);
    return [
      {
        row: "content-length too short",
        fate: garbled,
        sent: 1,
        step: () => ({ raw: [{ write: jsonHead(short) + wire.json }, close] }),
      },
      {
        row: "content-length too long, closed",
        fate: garbled,
        sent: 1,
        step: () => ({ raw: [{ write: jsonHead(body.length + 50) + wire.json }, close] }),
      },
      {
        row: "content-length too long, open",
        fate: fateOf(wire, "stall", "in content"),
        timeouts: { first_content: soon },
        sent: 1,
        step: () => ({ raw: [{ write: jsonHead(body.length + 50) + wire.json }, { end: "silence" }] }),
      },
      {
        row: "content-length of 100 GB",
        fate: fateOf(wire, "cut", "in content"),
        step: () => ({ raw: [{ write: jsonHead("107374182400") + "{" }, { end: "silence" }] }),
      },
    ];
  }
  const head = (length: number): string =>
    headText(200, { "content-type": "text/event-stream", "content-length": String(length) });
  const middle = Math.floor((wire.first + wire.done) / 2);
  const until = bytesOf(wire.events, middle).length;
  const whole = wire.last + 1;
  const told = (length: number, count: number, end: RawAct): NonNullable<Fault["step"]> => {
    const write = Buffer.concat([Buffer.from(head(length)), body]);
    return (reading) => ({ raw: [{ write }, ...arrival(wire, count, reading), end] });
  };
  return [
    {
      row: "content-length too short",
      fate: fateOf(wire, "cut", phaseAfter(wire, middle)),
      sent: shareOf(wire, middle),
      step: told(until, middle, close),
    },
    {
      row: "content-length too long, closed",
      fate: untouched,
      sent: 1,
      step: told(body.length + 50, whole, close),
    },
    {
      row: "content-length too long, open",
      fate: untouched,
      sent: 1,
      step: told(body.length + 50, whole, { end: "silence" }),
    },
  ];
}

function chunks(wire: Wire): Fault[] {
  const broken: readonly [string, string][] = [
    ["no number", "ZZ\r\nabc\r\n"],
    ["negative", "-4\r\nabc\r\n"],
    ["beyond all numbers", "fffffffffffffffffff\r\nabc\r\n"],
    ["the end of a chunk is missing", "3\r\nabcdef\r\n"],
  ];
  const early = broken.map(([name, text]): Fault => ({
    row: `chunk framing: ${name}, before content`,
    fate: fateOf(wire, "cut", wire.stream ? "before content" : "in content"),
    sent: wire.stream ? 0 : 1,
    step: () => ({ raw: [{ write: (wire.stream ? streamHead : chunkedHead) + text }, close] }),
  }));
  if (!wire.stream) return early;
  const middle = Math.floor((wire.first + wire.done) / 2);
  const late = broken.map(([name, text]): Fault => ({
    row: `chunk framing: ${name}, in mid-content`,
    fate: fateOf(wire, "cut", "in content"),
    sent: shareOf(wire, middle),
    step: (reading) => ({
      raw: streamed(bytesOf(wire.events, middle), ...arrival(wire, middle, reading), { write: text }, close),
    }),
  }));
  const trailer: Fault = {
    row: "chunk framing: trailers",
    fate: untouched,
    sent: 1,
    step: () => ({
      raw: [{ write: streamHead }, { write: chunk(bytesOf(wire.events)) }, { write: "0\r\nx-a: b\r\n\r\n" }],
    }),
  };
  return [...early, ...late, trailer];
}
