import { describe, expect, test } from "bun:test";
import { CallGate } from "./call-gate.ts";
import type { NeutralEvent, SseEvent } from "./neutral.ts";

function event(name: string): SseEvent {
  return { event: undefined, data: name, raw: `data: ${name}\n\n` };
}

/** What has gone out after each event. */
function played(...steps: readonly (readonly [string, ...NeutralEvent[]])[]): string[] {
  const gate = new CallGate();
  return steps.map(([name, ...events]) =>
    gate
      .pass(event(name), events)
      .map((passed) => passed.event.data)
      .join(" "),
  );
}

const start = (index: number): NeutralEvent => ({ type: "tool_start", index, id: "a", name: "ls", form: "function" });
const delta = (index: number): NeutralEvent => ({ type: "tool_delta", index, json: "{}" });
const end = (index: number): NeutralEvent => ({ type: "tool_end", index });

describe("the gate for calls", () => {
  test("lets text pass at once", () => {
    expect(played(["a", { type: "text", text: "a" }], ["b", { type: "other" }])).toEqual(["a", "b"]);
  });

  test("keeps a call until it is whole, and what comes meanwhile behind it", () => {
    expect(played(["s", start(0)], ["d", delta(0)], ["ping", { type: "other" }], ["e", end(0)], ["t"])).toEqual([
      "",
      "",
      "",
      "s d ping e",
      "t",
    ]);
  });

  test("waits for all calls that are open at once", () => {
    expect(played(["s0", start(0)], ["s1", start(1)], ["e0", end(0)], ["e1", end(1)])).toEqual([
      "",
      "",
      "",
      "s0 s1 e0 e1",
    ]);
  });

  test("opens at the end of the answer, whatever was left open", () => {
    expect(played(["s", start(0)], ["stop", { type: "stop", reason: "tool_calls", stopSequence: undefined }])).toEqual([
      "",
      "s stop",
    ]);
  });

  test("gives up keeping a call that is larger than any client could use", () => {
    const gate = new CallGate();
    const large = { event: undefined, data: "", raw: "x".repeat(20 * 1024 * 1024) };
    expect(gate.pass(large, [start(0)])).toHaveLength(0);
    expect(gate.pass(large, [delta(0)])).toHaveLength(2);
    expect(gate.pass(large, [delta(0)])).toHaveLength(1);
    expect(gate.holds).toBe(false);
  });
});
