import { describe, expect, test } from "bun:test";
import type { NeutralAnswer, NeutralEvent, StreamWriter } from "./neutral.ts";
import { answerCutAtStops, canCut, cutAtStops } from "./stop-cutter.ts";

/** Says in plain words what it was told. */
function plainWriter(): StreamWriter {
  return {
    write: (event) => {
      if (event.type === "text") return event.text;
      return event.type === "stop" ? `<${event.reason}:${event.stopSequence ?? ""}>` : `<${event.type}>`;
    },
    ping: () => "<ping>",
    fail: () => "<fail>",
  };
}

const stopEnd: NeutralEvent = { type: "stop", reason: "end", stopSequence: undefined };
const end: NeutralEvent = { type: "end" };

function cut(stops: readonly string[], pieces: readonly (string | NeutralEvent)[]): string {
  const writer = cutAtStops(plainWriter(), stops);
  return pieces
    .map((piece) => writer.write(typeof piece === "string" ? { type: "text", text: piece } : piece))
    .join("");
}

/** The same without a machine: what stands before the first match that is complete. */
function plainly(text: string, stops: readonly string[]): string {
  for (let length = 1; length <= text.length; length++) {
    const ended = stops.filter((stop) => text.slice(0, length).endsWith(stop)).sort((a, b) => b.length - a.length)[0];
    if (ended !== undefined) return `${text.slice(0, length - ended.length)}<stop_sequence:${ended}><end>`;
  }
  return `${text}<end:><end>`;
}

describe("a stream is cut before the first match", () => {
  test("however the text is split, and however the sequences overlap", () => {
    const texts = ["aab aabaab aac", "ENDE", "no match", "EN EN END more", "ababac", "🦊 stop 🦊🦊", "aaaaab"];
    const stops = ["aabaac", "aac", "END", "abac", "🦊🦊", "aaab", "EN EN E"];
    for (const text of texts) {
      for (let size = 1; size <= text.length; size++) {
        const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
        expect(cut(stops, [...pieces, stopEnd, end])).toBe(plainly(text, stops));
      }
    }
  });

  test("text that may begin a sequence waits, and no longer than that", () => {
    const writer = cutAtStops(plainWriter(), ["\n\nHuman:"]);
    expect(writer.write({ type: "text", text: "Yes.\n" })).toBe("Yes.");
    expect(writer.write({ type: "text", text: "\nHum" })).toBe("");
    expect(writer.write({ type: "text", text: "ming" })).toBe("\n\nHumming");
    expect(writer.ping()).toBe("<ping>");
  });

  test("what waits goes out before whatever is not text, and no sequence goes on behind it", () => {
    expect(cut(["END"], ["E", { type: "block_end" }, "ND", stopEnd, end])).toBe("E<block_end>ND<end:><end>");
    expect(cut(["END"], ["EN", { type: "usage", usage: { output: 1 } }, "D", stopEnd])).toBe(
      "<usage><stop_sequence:END>",
    );
  });

  test("behind a match only the usage and the end are told, and a failure there is none", () => {
    const call: NeutralEvent = { type: "tool_start", index: 0, id: "a", name: "f", form: "function" };
    const usage: NeutralEvent = { type: "usage", usage: { output: 9 } };
    expect(cut(["X"], ["aXb", "c", { type: "thinking", text: "t" }, call, usage, stopEnd, end])).toBe(
      "a<usage><stop_sequence:X><end>",
    );
    // Also where the upstream gives no reason.
    expect(cut(["X"], ["aXb", end])).toBe("a<stop_sequence:X><end>");
    const writer = cutAtStops(plainWriter(), ["X"]);
    expect(writer.write({ type: "text", text: "aXb" })).toBe("a");
    expect(writer.fail({ status: 502, code: undefined, message: "" })).toBe("<stop_sequence:X><end>");
    const other = cutAtStops(plainWriter(), ["XY"]);
    expect(other.write({ type: "text", text: "aX" })).toBe("a");
    expect(other.fail({ status: 502, code: undefined, message: "" })).toBe("X<fail>");
  });

  test("without sequences nothing stands between", () => {
    const writer = plainWriter();
    expect(cutAtStops(writer, [])).toBe(writer);
    expect(cutAtStops(writer, [""])).toBe(writer);
  });
});

test("an answer in one piece: nothing behind the match is left", () => {
  const answer: NeutralAnswer = {
    id: undefined,
    model: undefined,
    parts: [
      { type: "thinking", text: "END", signature: undefined },
      { type: "text", text: "EN" },
      { type: "text", text: "D one END two" },
      { type: "redacted_thinking", data: "x" },
    ],
    stop: "end",
    stopSequence: undefined,
    usage: undefined,
  };
  expect(answerCutAtStops(answer, ["END"])).toMatchObject({
    parts: [{ type: "thinking" }, { text: "EN" }, { text: "D one " }],
    stop: "stop_sequence",
    stopSequence: "END",
  });
  expect(answerCutAtStops(answer, ["nothing"])).toBe(answer);
});

test("how many and how long they may be", () => {
  expect(canCut([])).toBe(true);
  expect(canCut(Array.from({ length: 65 }, () => "x"))).toBe(false);
  expect(canCut(["x".repeat(1_001)])).toBe(false);
});
