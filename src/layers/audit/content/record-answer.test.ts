import { describe, expect, test } from "bun:test";
import { recordAnswer, recordingBody } from "./record-answer.ts";
import type { ContentRecording } from "./recording.ts";

class Heard implements ContentRecording {
  asked = "";
  answered = "";
  request(bytes: Uint8Array): void {
    this.asked += new TextDecoder().decode(bytes);
  }
  answer(bytes: Uint8Array): void {
    this.answered += new TextDecoder().decode(bytes);
  }
  finish() {
    return { request: null, answer: null };
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a request's body is heard when it is read, and read as it came", async () => {
  const heard = new Heard();
  const request = recordingBody({ readBody: async () => bytes("ask") }, heard);
  expect(heard.asked).toBe("");
  expect(await request.readBody()).toEqual(bytes("ask"));
  expect(heard.asked).toBe("ask");
});

describe("an answer", () => {
  test("in one piece is heard at once", async () => {
    for (const body of ["answer", bytes("answer")]) {
      const heard = new Heard();
      const { body: passed, ended } = recordAnswer(body, heard);
      expect(passed).toBe(body);
      await ended();
      expect(heard.answered).toBe("answer");
    }
  });

  test("that streams is asked for only as fast as its reader reads, and heard as it passes", async () => {
    const heard = new Heard();
    let pulled = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          controller.enqueue(bytes(`${++pulled} `));
          if (pulled === 3) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const { body, ended } = recordAnswer(source, heard);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    expect(pulled).toBe(0);
    await reader.read();
    expect([pulled, heard.answered]).toEqual([1, "1 "]);
    await reader.read();
    await reader.read();
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    await ended();
    expect(heard.answered).toBe("1 2 3 ");
  });

  test("whose reader leaves tells its source so, with what was heard by then", async () => {
    const heard = new Heard();
    let why: unknown;
    const source = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes("first")),
      cancel: (reason) => void (why = reason),
    });
    const { body, ended } = recordAnswer(source, heard);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel("gone");
    await ended();
    expect([why, heard.answered]).toEqual(["gone", "first"]);
  });

  test("that breaks breaks for its reader, too", async () => {
    const heard = new Heard();
    const source = new ReadableStream<Uint8Array>({
      pull: () => {
        throw new Error("broken");
      },
    });
    const { body, ended } = recordAnswer(source, heard);
    await expect(new Response(body as ReadableStream<Uint8Array>).text()).rejects.toThrow();
    await ended();
  });
});
