import { describe, expect, test } from "bun:test";
import { createSeededRandom } from "../../test/fuzz/seeded-random.ts";
import { cut, fuzzSse, parseChunks, referenceEvents } from "../../test/fuzz/sse.ts";
import { SseLimitError, SseParser, comment, formatEvent } from "./sse.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (text: string): ReturnType<typeof parseChunks> => parseChunks([bytesOf(text)]);
const fields = (text: string): [string | undefined, string][] =>
  parse(text).events.map(({ event, data }) => [event, data]);

const messages = [
  'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":3}}}\n\n',
  'event: ping\ndata: {"type": "ping"}\n\n',
  'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße, 预算 😀"}}\n\n',
  'event: message_stop\ndata: {"type":"message_stop"}\n\n',
].join("");
const chat = [
  ": OPENROUTER PROCESSING\n\n",
  'data: {"id":"1","choices":[{"delta":{"content":"é"}}]}\n\n',
  'data:{"id":"1","choices":[]}\n\n',
  "data: [DONE]\n\n",
].join("");
const golden: Readonly<Record<string, string>> = {
  messages,
  chat,
  "messages with CRLF": messages.replaceAll("\n", "\r\n"),
  "messages with CR": messages.replaceAll("\n", "\r"),
  "mixed line ends": "data: a\r\ndata: b\rdata: c\n\r\nevent: x\rdata: d\r\n\n\ndata: e\r\r\n",
  "a byte order mark": `\ufeff${chat}`,
  "ids, retries and comments":
    'id: 7\nretry: 100\n: hello\nevent: x\ndata: {"a":1}\ndata:\ndata:  two\nnonsense\n\n:\n\n',
  "no blank line at the end": 'data: {"a":1}\n\ndata: {"b":2}',
  "surplus blank lines": "\n\n\ndata: x\n\n\n\n",
};

describe("the parser", () => {
  test("reads name and data, with and without the space", () => {
    expect(fields("event: a\ndata: 1\n\ndata:2\nevent:b\n\ndata:  3\n\n")).toEqual([
      ["a", "1"],
      ["b", "2"],
      [undefined, " 3"],
    ]);
  });

  test("joins data lines by a line feed, takes the last name, and ignores what else a line may be", () => {
    const text = ": c\nid: 1\nretry: 2\nevent: a\nevent: b\ndata: x\ndata\ndata:\ndatab: no\n data: no\nevents: no\n\n";
    expect(fields(text)).toEqual([["b", "x\n\n"]]);
  });

  test("keeps comments and surplus blank lines as events without data", () => {
    const { events } = parse(": hello\n\n\ndata: x\n\n");
    expect(events).toEqual([
      { event: undefined, data: "", raw: ": hello\n\n" },
      { event: undefined, data: "", raw: "\n" },
      { event: undefined, data: "x", raw: "data: x\n\n" },
    ]);
  });

  test("ignores a byte order mark at the start alone, and keeps it in raw", () => {
    expect(parse("\ufeffdata: x\n\n\ufeffdata: y\n\n").events).toEqual([
      { event: undefined, data: "x", raw: "\ufeffdata: x\n\n" },
      { event: undefined, data: "", raw: "\ufeffdata: y\n\n" },
    ]);
  });

  test("gives an event at once when its last byte arrives, without waiting for the next chunk", () => {
    const parser = new SseParser();
    expect(parser.push(bytesOf("data: x\n"))).toEqual([]);
    expect(parser.push(bytesOf("\n"))).toHaveLength(1);
    expect(parser.push(bytesOf("data: y\r\n\r\n"))).toHaveLength(1);
    expect(parser.end()).toBeNull();
  });

  test("does not take the halves of a CRLF for two line ends", () => {
    const parser = new SseParser();
    expect(parser.push(bytesOf("data: x\r"))).toEqual([]);
    expect(parser.push(bytesOf("\ndata: y\r\n\r"))).toEqual([]);
    expect(parser.push(bytesOf("\ndata"))).toEqual([
      { event: undefined, data: "x\ny", raw: "data: x\r\ndata: y\r\n\r\n" },
    ]);
  });

  test("puts characters together that were cut between bytes, and shows a broken one as U+FFFD", () => {
    const bytes = bytesOf("data: 😀\n\n");
    expect(parseChunks(cut(bytes, () => 1)).events).toEqual(parse("data: 😀\n\n").events);
    expect(parseChunks([bytesOf("data: "), new Uint8Array([0xf0, 0x9f]), bytesOf("x\n\n")]).events[0]?.data).toBe(
      "\ufffdx",
    );
  });

  test("returns the unterminated last event at the end, and says so", () => {
    const end = (text: string): ReturnType<SseParser["end"]> => {
      const parser = new SseParser();
      parser.push(bytesOf(text));
      return parser.end();
    };
    expect(end("data: a\n\ndata: [DONE]")).toEqual({
      event: undefined,
      data: "[DONE]",
      raw: "data: [DONE]",
      terminated: false,
    });
    expect(end("event: e\ndata: x\n")).toMatchObject({ event: "e", data: "x", terminated: false });
    expect(end("data: x\r\r")).toMatchObject({ data: "x", raw: "data: x\r\r", terminated: true });
    expect(end("data: x\r")).toMatchObject({ data: "x", terminated: false });
    expect(end("data: x\n\n")).toBeNull();
    expect(end("")).toBeNull();
  });

  test("flushes a character that the end cuts", () => {
    const parser = new SseParser();
    parser.push(new Uint8Array([...bytesOf("data: x"), 0xe2, 0x82]));
    expect(parser.end()).toEqual({ event: undefined, data: "x\ufffd", raw: "data: x\ufffd", terminated: false });
  });
});

describe.each(Object.entries(golden))("the golden stream %s", (_name, text) => {
  test("gives the same events at every cut size, and its raw is the input", () => {
    const whole = parse(text);
    expect(whole.raw).toBe(text);
    for (let size = 1; size <= 17; size += 1) expect(parseChunks(cut(bytesOf(text), () => size))).toEqual(whole);
  });

  test("gives what an independent parser sees", () => {
    const closed = `${text}\n\n`;
    const ours = parse(closed).events.filter(({ data }) => data !== "");
    expect(ours.map(({ event, data }) => ({ event, data }))).toEqual(referenceEvents(closed));
  });
});

test("fuzzed streams give the same events at random cuts, and those of an independent parser", () => {
  fuzzSse(20_261_123, 8_000);
});

describe("limits", () => {
  const limited = (): SseParser => new SseParser({ maxEventBytes: 100 });
  const fill = (length: number): string => `data: ${"x".repeat(length - 8)}\n\n`;

  test("an event of exactly the limit passes, one more is refused, in one chunk or in many", () => {
    expect(limited().push(bytesOf(fill(100)))).toHaveLength(1);
    expect(() => limited().push(bytesOf(fill(101)))).toThrow(SseLimitError);
    const parser = limited();
    const push = (): unknown => [...cut(bytesOf(fill(101)), () => 7)].map((chunk) => parser.push(chunk));
    expect(push).toThrow(SseLimitError);
  });

  test("a line that never ends is refused as soon as it passes the limit, and the parser takes nothing more", () => {
    const parser = limited();
    parser.push(bytesOf("x".repeat(100)));
    expect(() => parser.push(bytesOf("x"))).toThrow(SseLimitError);
    expect(() => parser.push(bytesOf("\n\ndata: y\n\n"))).toThrow(SseLimitError);
    expect(() => parser.end()).toThrow(SseLimitError);
  });

  test("events before the large one in the same chunk are not lost", () => {
    for (const lineEnd of ["\n", "\r\n"]) {
      const parser = limited();
      const text = `data: y\n\n${fill(101)}data: z\n\n`.replaceAll("\n", lineEnd);
      expect(parser.push(bytesOf(text)).map(({ data }) => data)).toEqual(["y"]);
      expect(() => parser.push(bytesOf("data: z\n\n"))).toThrow(SseLimitError);
    }
  });

  test("the limit counts one event, not the stream", () => {
    const parser = limited();
    for (let i = 0; i < 100; i += 1) expect(parser.push(bytesOf(fill(90)))).toHaveLength(1);
  });

  test("a large event byte by byte takes linear time", () => {
    // Looking at the whole buffer for each byte would be 10^12 steps.
    const parser = new SseParser();
    const text = `data: ${"x".repeat(1_000_000)}\n\n`;
    const events = [...cut(bytesOf(text), () => 1)].flatMap((chunk) => parser.push(chunk));
    expect(events).toHaveLength(1);
    expect(events[0]?.raw).toBe(text);
  });

  test("events of a megabyte, cut anywhere, are what an independent parser sees", () => {
    const random = createSeededRandom(20_261_123);
    for (const lineEnd of ["\n", "\r\n", "\r"]) {
      const lines = `data: ${"預算 🦊 é ".repeat(5_000)}\n`.repeat(10);
      const text = `event: large\n: comment\n${lines}\ndata: ${"x".repeat(1_000_000)}\n\n`.replaceAll("\n", lineEnd);
      const bytes = bytesOf(text);
      const expected = referenceEvents(text);
      for (const largest of [50, 100_000]) {
        const { events, raw } = parseChunks(cut(bytes, () => 1 + random.integer(largest)));
        expect(raw === text).toBe(true);
        expect(events.map(({ event, data }) => ({ event, data }))).toEqual(expected);
      }
    }
  });

  test("keeps nothing of the events that it gave away, nor of one that was too large", () => {
    const parser = new SseParser();
    const chunk = bytesOf(`data: ${"x".repeat(1_000)}\n\n`.repeat(64));
    const used = (): number => {
      Bun.gc(true);
      return process.memoryUsage().heapUsed;
    };
    const before = used();
    for (let i = 0; i < 2_000; i += 1) parser.push(chunk);
    const endless = bytesOf("x".repeat(1_000_000));
    expect(() => {
      for (;;) parser.push(endless);
    }).toThrow(SseLimitError);
    // 128 MB went through, and 16 MB of one line.
    expect(used() - before).toBeLessThan(8_000_000);
  });

  test("many lines in one event take linear time", () => {
    expect(parse(`${"data: x\r\n".repeat(200_000)}\r\n`).events[0]?.data).toHaveLength(399_999);
    expect(parse(`${":\n".repeat(400_000)}\n`).events).toHaveLength(1);
  });
});

describe("writing", () => {
  test("an event is read back as it was written, line ends in data as line feeds", () => {
    for (const data of ["x", "", " x", "a\nb\n\nc", '{"a":"b"}', "\n"]) {
      expect(fields(formatEvent("e", data))).toEqual([["e", data]]);
      expect(fields(formatEvent(undefined, data))).toEqual([[undefined, data]]);
    }
    expect(formatEvent("ping", "{}")).toBe("event: ping\ndata: {}\n\n");
    expect(fields(formatEvent(undefined, "a\r\nevent: forged\rb"))).toEqual([[undefined, "a\nevent: forged\nb"]]);
  });

  test("an event name cannot forge a field", () => {
    expect(() => formatEvent("a\ndata: x", "y")).toThrow(RangeError);
    expect(() => formatEvent("a\r", "y")).toThrow(RangeError);
  });

  test("a comment is ignored by readers, whatever it says", () => {
    expect(comment("keep-alive")).toBe(": keep-alive\n\n");
    expect(fields(comment("a\ndata: x\r\n\r\ndata: y"))).toEqual([[undefined, ""]]);
  });
});
