import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { renderChat } from "../../test/fakes/chat-wire.ts";
import { renderMessages } from "../../test/fakes/messages-wire.ts";
import { renderResponses } from "../../test/fakes/responses-wire.ts";
import { AnswerCollector } from "../wire/answer-collector.ts";
import { codecs } from "../wire/codecs.ts";
import type { Dialect, NeutralEvent, SseEvent } from "../wire/neutral.ts";
import { SseParser } from "../wire/sse.ts";
import { Scrubber } from "../scrubber.ts";
import { Secret } from "../secret.ts";
import type { FakeAnswer } from "../../test/fakes/script.ts";
import { DeltaScrubber } from "./delta-scrubber.ts";

const key = "sk-ant-api03-Ab9Cd8Ef7Gh6Ij5Kl4Mn3Op2Qr1St0Uv";
const bytes = Buffer.from(key);
const scrubber = new Scrubber([Secret.fromString(key).forms()]);
const dialects: readonly Dialect[] = ["messages", "chat", "responses"];

const written: Readonly<Record<Dialect, (answer: FakeAnswer) => readonly string[]>> = {
  messages: (answer) => renderMessages(answer, "m", 0).events,
  chat: (answer) => renderChat(answer, "m", 0, true).events,
  responses: (answer) => renderResponses(answer, "m", 0).events,
};

/** The texts of the events as they leave, by the event of the upstream with which they did. */
function shown(dialect: Dialect, events: readonly string[], scrub = scrubber): string[] {
  const reader = codecs[dialect].createReader();
  const deltas = new DeltaScrubber(scrub);
  const parser = new SseParser();
  const steps = events.map((text) => {
    let left = "";
    for (const event of parser.push(new TextEncoder().encode(text))) {
      const known: readonly NeutralEvent[] = reader.read(event);
      const scrubbed = deltas.push(event, known) ?? [{ event, events: known }];
      left += scrubbed.map((one) => one.event?.raw ?? "").join("");
    }
    return left;
  });
  return [
    ...steps,
    deltas
      .flush()
      .map((one) => one.event?.raw ?? "")
      .join(""),
  ];
}

/** What a client puts together: texts, thinking and the arguments of calls, apart. */
function understood(dialect: Dialect, sse: string): { text: string; thinking: string; calls: string[] } {
  const reader = codecs[dialect].createReader();
  const collector = new AnswerCollector();
  for (const event of new SseParser().push(new TextEncoder().encode(sse))) {
    for (const one of reader.read(event)) collector.add(one);
  }
  const { parts } = collector.answer();
  return {
    text: parts.map((part) => (part.type === "text" ? part.text : "")).join(""),
    thinking: parts.map((part) => (part.type === "thinking" ? part.text : "")).join(""),
    calls: parts.flatMap((part) => (part.type === "tool_call" ? [part.raw] : [])),
  };
}

const forms = [
  ["as it is", key],
  ["in hex", bytes.toString("hex")],
  ["in Base64", Buffer.from(`user:${key}`).toString("base64")],
  ["URL-escaped throughout", bytes.toString("hex").replaceAll(/../g, (digits) => `%${digits}`)],
] as const;

describe.each(dialects)("a key in the deltas of a stream of %s", (dialect) => {
  test.each(forms)("is taken out however it is cut: %s", (_name, form) => {
    for (let pieceLength = 1; pieceLength <= form.length + 12; pieceLength++) {
      const answer = { text: `It is ${form}, as you see.`, pieceLength };
      const { text } = understood(dialect, shown(dialect, written[dialect](answer)).join(""));
      expect(text).not.toContain(form.slice(-20));
      expect(text).toStartWith("It is ");
      expect(text).toEndWith(", as you see.");
      expect(text).toContain("[redacted]");
    }
  });

  test("is taken out of thinking and of the arguments of calls", () => {
    for (const pieceLength of [1, 3, 7, 20, 200]) {
      const toolCalls = [
        { name: "save", input: { note: `a ${key} b` } },
        { name: "send", input: { to: key } },
      ];
      const thinking = `Their key is ${key}.`;
      const answer = { ...(dialect === "messages" ? { thinking } : {}), text: "Hm.", toolCalls, pieceLength };
      const { calls, ...rest } = understood(dialect, shown(dialect, written[dialect](answer)).join(""));
      expect(JSON.stringify([calls, rest])).not.toContain(key.slice(-10));
      // Three characters are no key yet: they may be shown before the fourth comes.
      const told = calls.map((call) => call.replace(/(?:sk?-?)\[redacted\]/, "[redacted]"));
      expect(told.map((call) => JSON.parse(call) as unknown)).toEqual([
        { note: "a [redacted] b" },
        { to: "[redacted]" },
      ]);
      if (dialect === "messages") expect(rest.thinking).toMatch(/^Their key is (?:sk?-?)?\[redacted\]\.$/);
    }
  });

  test("leaves a stream without one as it is, byte for byte and event by event", () => {
    const text = `Keys begin with sk-ant-api03- or sk-, as ${key.slice(0, 30)}… does. Ask: ask, task, risk`;
    for (const pieceLength of [1, 2, 5, 16, 500]) {
      const events = written[dialect]({ text, pieceLength });
      expect(shown(dialect, events).join("")).toBe(events.join(""));
    }
    const harmless = written[dialect]({ text: "Ask s sk sk- for it, ask s", pieceLength: 3 });
    expect(shown(dialect, harmless)).toEqual([...harmless, ""]);
  });
});

const piece = (text: string): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;

describe("what may be the beginning of a key", () => {
  test("waits for what comes next, and for no longer", () => {
    const events = ["My ", "sk-a", "nt-api", "x", " and on"].map(piece);
    const [first, , , fourth, fifth, rest] = events;
    expect(shown("chat", events)).toEqual([first!, "", "", events.slice(1, 4).join(""), fifth!, rest ?? ""]);
    expect(fourth).toBeDefined();
  });

  test("waits over keep-alives, but not over endless ones", () => {
    const ping = 'data: {"object":"ping"}\n\n';
    const few = [piece("sk-ant"), ping, ping, piece("!")];
    expect(shown("chat", few)).toEqual(["", "", "", few.join(""), ""]);
    const flood = shown("chat", [piece("sk-ant"), ...Array.from({ length: 100 }, () => ping)]);
    expect(flood.filter((text) => text !== "").length).toBeGreaterThan(30);
  });

  test("is shown where it stays short, and taken out where much of a key is there, when its block or the stream ends", () => {
    const stop = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`;
    for (const end of [stop, undefined]) {
      const ended = end === undefined ? [] : [end];
      expect(shown("chat", [piece("sk-ant-api03-"), ...ended]).join("")).toBe(
        [piece("sk-ant-api03-"), ...ended].join(""),
      );
      const much = shown("chat", [piece("a "), piece(key.slice(0, 20)), piece(key.slice(20, 40)), ...ended]).join("");
      expect(understood("chat", much).text).toBe("a [redacted]");
    }
  });

  test("is still seen as such where another block came in between", () => {
    const call = (json: string): string =>
      `data: ${JSON.stringify({ choices: [{ delta: { tool_calls: [{ index: 0, id: "c", function: { name: "f", arguments: json } }] } }] })}\n\n`;
    const events = [piece(`a ${key.slice(0, 9)}`), call('{"a":'), piece(`${key.slice(9)} b`), call("1}")];
    const left = shown("chat", events);
    // What was shown by then was its public beginning.
    expect(left[1]).toBe(events.slice(0, 2).join(""));
    expect(understood("chat", left.join(""))).toMatchObject({
      text: `a ${key.slice(0, 9)}[redacted] b`,
      calls: ['{"a":1}'],
    });
  });
});

test("an event whose delta cannot be found in it is not shown at all", () => {
  const deltas = new DeltaScrubber(scrubber);
  const event: SseEvent = { event: undefined, data: "not JSON", raw: "data: not JSON\n\n" };
  expect(deltas.push(event, [{ type: "text", text: `a ${key}` }])).toEqual([
    { event: null, events: [{ type: "text", text: "a [redacted]" }] },
  ]);
});

test("no cut and no neighbour lets a key through, and the rest stays", () => {
  const word = fc.oneof(
    fc.string({ maxLength: 5 }),
    fc.constantFrom("sk-", "sk-ant-", key.slice(0, 20), "s", bytes.toString("hex").slice(0, 8)),
  );
  fc.assert(
    fc.property(
      fc.array(word),
      fc.array(word),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      (before, after, cuts) => {
        const whole = `${before.join("")}|${key}|${after.join("")}`.replaceAll("\\", "/").toWellFormed();
        const pieces: string[] = [];
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const length = cuts[turn % cuts.length]!;
          pieces.push(whole.slice(at, at + length).toWellFormed());
          at += length;
        }
        const sent = pieces.join("");
        const { text } = understood("chat", shown("chat", [...pieces.map(piece), "data: [DONE]\n\n"]).join(""));
        expect(text).not.toContain(key);
        // Of a beginning that was shown by then its rest alone is replaced.
        const [head, tail] = sent.split(key) as [string, string];
        expect(text).toStartWith(head);
        expect(text.slice(head.length)).toMatch(/^(?:sk?-?)?\[redacted\]/);
        const much = /sk-ant-api03-\S{3,}$/.test(tail) || tail.length < 40;
        if (!much) expect(text).toEndWith(tail);
      },
    ),
    { seed: 13, numRuns: 1_000 },
  );
});
