import { expect, test } from "bun:test";
import { streamScript } from "./answers.ts";
import { HttpMessageReader } from "./http-message.ts";
import { StampReader, stampOf } from "./stamp.ts";

test("stamps are found wherever a read cuts the stream", () => {
  const bytes = Buffer.from(`data: ${stampOf(1_234_567.4)} x ${stampOf(89)}\n\n`);
  for (let at = 0; at <= bytes.length; at++) {
    const found: number[] = [];
    const reader = new StampReader();
    for (const part of [bytes.subarray(0, at), bytes.subarray(at)]) reader.push(part, (stamp) => found.push(stamp));
    expect(found).toEqual([1_234_567, 89]);
  }
});

test("the scripted streams of both dialects are whole messages that hold each stamp once", () => {
  for (const spoken of ["chat", "messages"] as const) {
    const script = streamScript(spoken);
    const found: number[] = [];
    const stamps = new StampReader();
    const reader = new HttpMessageReader((part) => stamps.push(part, (stamp) => found.push(stamp)));
    const parts = [script.opening, script.event(11), script.event(22), script.closing];
    expect(parts.map((part) => reader.push(Buffer.from(part)))).toEqual([false, false, false, true]);
    expect(found).toEqual([11, 22]);
  }
});
