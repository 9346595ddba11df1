import { describe, expect, test } from "bun:test";
import { lastEvent } from "./last-event.ts";
import type { Dialect } from "./neutral.ts";
import { SseParser } from "./sse.ts";

/** `raw` of what is read at the end of this text; null where nothing is. */
function rawAtEnd(dialect: Dialect, text: string): string | null {
  const parser = new SseParser();
  parser.push(new TextEncoder().encode(text));
  const tail = parser.end();
  return tail === null ? null : (lastEvent(dialect, tail)?.raw ?? null);
}

describe("an event without its blank line at the end of a stream", () => {
  test("counts for Chat where it is whole, and gets the line ends that it lacks", () => {
    expect(rawAtEnd("chat", "data: [DONE]")).toBe("data: [DONE]\n\n");
    expect(rawAtEnd("chat", "data: [Done]\n")).toBe("data: [Done]\n\n");
    expect(rawAtEnd("chat", 'data: {"a":1}\r')).toBe('data: {"a":1}\r\n\n');
    expect(rawAtEnd("chat", 'data: {"a":1}\r\n')).toBe('data: {"a":1}\r\n\n');
    expect(rawAtEnd("chat", 'data: {"a":')).toBeNull();
    expect(rawAtEnd("chat", "data: [DO")).toBeNull();
  });

  test("counts for the other dialects where it is the last of its kind", () => {
    expect(rawAtEnd("messages", 'event: message_stop\ndata: {"type":"message_stop"}')).not.toBeNull();
    expect(rawAtEnd("messages", 'event: error\ndata: {"error":{}}')).not.toBeNull();
    expect(rawAtEnd("messages", 'data: {"type":"content_block_delta","index":0}')).toBeNull();
    expect(rawAtEnd("messages", "event: message_stop\ndata: {")).toBeNull();
    expect(rawAtEnd("responses", 'data: {"type":"response.completed","response":{}}\n')).not.toBeNull();
    expect(rawAtEnd("responses", 'data: {"type":"response.output_text.delta","delta":"x"}')).toBeNull();
    expect(rawAtEnd("responses", "data: [DONE]")).toBeNull();
  });

  test("is as it came where a CR was its blank line, and comments stay", () => {
    expect(rawAtEnd("messages", "data: x\r\r")).toBe("data: x\r\r");
    expect(rawAtEnd("messages", ": comment")).toBe(": comment\n\n");
  });
});
