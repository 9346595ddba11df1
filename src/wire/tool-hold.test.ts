import { describe, expect, test } from "bun:test";
import { messagesCodec } from "./messages/index.ts";
import type { JsonObject, NeutralAnswer, NeutralEvent, NeutralPart, StopReason } from "./neutral.ts";
import { holdAnswer, saysNothing, ToolHold, type HoldOptions } from "./tool-hold.ts";

const request = messagesCodec.toNeutral({
  model: "m",
  max_tokens: 9,
  messages: [
    { role: "user", content: "Hi" },
    { role: "assistant", content: [{ type: "tool_use", id: "call_0", name: "f", input: {} }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "call_0", content: "ok" }] },
  ],
});
const plain: HoldOptions = { request, singleCall: false, holdsThinking: false };

const text = (text: string): NeutralEvent => ({ type: "text", text });
const thinking = (text: string): NeutralEvent => ({ type: "thinking", text });
const start = (index: number, id = `id${index}`): NeutralEvent => ({
  type: "tool_start",
  index,
  id,
  name: `f${index}`,
  form: "function",
});
const delta = (index: number, json: string): NeutralEvent => ({ type: "tool_delta", index, json });
const end = (index: number): NeutralEvent => ({ type: "tool_end", index });
const stop = (reason: StopReason): NeutralEvent => ({ type: "stop", reason, stopSequence: undefined });
const call = (index: number, json: string): NeutralEvent[] => [start(index), delta(index, json), end(index)];

/** What each event brings out, one list per event. */
function steps(events: readonly NeutralEvent[], options: Partial<HoldOptions> = {}): (readonly NeutralEvent[])[] {
  const hold = new ToolHold({ ...plain, ...options });
  return events.map((event) => hold.release([event]));
}

function shown(events: readonly NeutralEvent[], options: Partial<HoldOptions> = {}): NeutralEvent[] {
  return steps(events, options).flat();
}

describe("a tool call in a stream", () => {
  test("is shown when it is complete, and then whole", () => {
    const events = [text("a"), start(0), delta(0, '{"x"'), delta(0, ":1}"), end(0), stop("tool_calls")];
    expect(steps(events)).toEqual([
      [text("a")],
      [],
      [],
      [],
      [start(0), delta(0, '{"x":1}'), end(0)],
      [stop("tool_calls")],
    ]);
  });

  test("waits alone: text between its pieces does not", () => {
    const events = [start(0), delta(0, "{"), text("b"), start(1), delta(1, "{}"), end(1), delta(0, "}"), end(0)];
    expect(shown(events)).toEqual([text("b"), ...call(1, "{}"), ...call(0, "{}")]);
  });

  test("keeps its arguments as they were written, numbers and order included", () => {
    const raw = '{ "b": 1.50, "a": 12345678901234567890 }';
    expect(shown(call(0, raw))).toEqual(call(0, raw));
  });

  test("without arguments, or with null, is called with an empty object", () => {
    for (const raw of ["", " ", "null"]) expect(shown([...call(0, raw), stop("end")])[1]).toEqual(delta(0, "{}"));
  });

  test("is mended once the reason to stop is known", () => {
    const events = [...call(0, "{'x': True,}"), ...call(1, "{}"), stop("tool_calls")];
    expect(shown(events)).toEqual([...call(1, "{}"), ...call(0, '{"x": true}'), stop("tool_calls")]);
  });

  test("that nothing can mend becomes text, and an answer without another call has an ordinary end", () => {
    expect(shown([text("Well."), ...call(0, '{"x":'), stop("tool_calls")])).toEqual([
      text("Well."),
      { type: "block_end" },
      text('\n\nf0({"x":)'),
      stop("end"),
    ]);
  });

  test("that was cut off by the length, or by nobody knows what, is never mended: half a command could run", () => {
    for (const last of [stop("length"), { type: "end" } as const]) {
      expect(shown([...call(0, '{"command":"rm -rf /tmp'), last]).at(-2)).toEqual(text('f0({"command":"rm -rf /tmp)'));
    }
    expect(shown([...call(0, '{"command":"rm -rf /tmp'), stop("end")])[1]).toEqual(
      delta(0, '{"command":"rm -rf /tmp"}'),
    );
  });

  test("that began before the answer broke off leaves no trace", () => {
    const error: NeutralEvent = { type: "error", fault: { status: 502, code: undefined, message: "cut" } };
    expect(shown([text("a"), start(0), delta(0, "{"), error])).toEqual([text("a"), error]);
  });

  test("is not lost where a server gives neither its end nor a reason to stop", () => {
    expect(shown([start(0), delta(0, "{}"), { type: "end" }])).toEqual([...call(0, "{}"), { type: "end" }]);
  });

  test("gets a new id where the conversation has used its own", () => {
    expect(shown([start(0, "call_0"), end(0)])[0]).toEqual(start(0, ""));
  });

  test("of free text may be the bare text", () => {
    const custom = { ...request, tools: [{ ...tool("f0"), form: "custom" as const }] };
    expect(shown([...call(0, "*** Begin Patch"), stop("end")], { request: custom })[1]).toEqual(
      delta(0, '{"input":"*** Begin Patch"}'),
    );
  });

  test("is the only one where one is asked for and the server does not obey", () => {
    const events = [...call(0, "{}"), ...call(1, "{}"), stop("tool_calls")];
    expect(shown(events, { singleCall: true })).toEqual([...call(0, "{}"), stop("tool_calls")]);
    const broken = [...call(0, "{'a':1}"), ...call(1, "{}"), stop("tool_calls")];
    expect(shown(broken, { singleCall: true })).toEqual([...call(0, '{"a":1}'), stop("tool_calls")]);
  });
});

describe("what comes before the first word", () => {
  test("is shown with it, and left out before a call or the end: blanks are no text", () => {
    expect(shown([text("\n"), text("\n"), text("a"), text(" "), text("b")])).toEqual([
      text("\n\na"),
      text(" "),
      text("b"),
    ]);
    expect(shown([text("\n\n"), ...call(0, "{}"), stop("tool_calls")])).toEqual([...call(0, "{}"), stop("tool_calls")]);
    expect(shown([text("  "), stop("end")])).toEqual([stop("end")]);
  });

  test("is left out of every later text too, but for what parts two paragraphs", () => {
    const blockEnd: NeutralEvent = { type: "block_end" };
    const later = [text("a"), thinking("hm"), text("\n\n"), ...call(0, "{}"), stop("tool_calls")];
    expect(shown(later)).toEqual([text("a"), thinking("hm"), ...call(0, "{}"), stop("tool_calls")]);
    const behindCall = [text("a"), ...call(0, "{}"), text("\n"), blockEnd, stop("tool_calls")];
    expect(shown(behindCall)).toEqual([text("a"), ...call(0, "{}"), blockEnd, stop("tool_calls")]);
    const paragraphs = [text("a"), blockEnd, text("\n\n"), blockEnd, text("b"), stop("end")];
    expect(shown(paragraphs)).toEqual([text("a"), blockEnd, blockEnd, text("\n\nb"), stop("end")]);
  });

  test("if it is thinking, goes at once or waits for what follows", () => {
    const events = [thinking("hm"), { type: "block_end" } as const, text("a")];
    expect(steps(events).map((step) => step.length)).toEqual([1, 1, 1]);
    expect(steps(events, { holdsThinking: true }).map((step) => step.length)).toEqual([0, 0, 3]);
    expect(shown(events, { holdsThinking: true })).toEqual(events);
  });

  test("if it is all, is shown only where something else than the model's will ended it", () => {
    expect(shown([thinking("hm"), stop("end")], { holdsThinking: true })).toEqual([stop("end")]);
    expect(shown([thinking("hm"), stop("length")], { holdsThinking: true })).toEqual([thinking("hm"), stop("length")]);
  });
});

test("events that need not wait come back in the same list", () => {
  const hold = new ToolHold(plain);
  hold.release([text("a")]);
  const events = [text("b")];
  expect(hold.release(events)).toBe(events);
});

test("a call without an end is an error once it is too large, and nothing follows", () => {
  const hold = new ToolHold(plain);
  hold.release([start(0)]);
  const piece = "x".repeat(8 * 1024 * 1024);
  const out = Array.from({ length: 9 }, () => hold.release([delta(0, piece)])).flat();
  expect(out).toMatchObject([{ type: "error", fault: { status: 502 } }]);
  expect(hold.release([text("a"), { type: "end" }])).toEqual([]);
});

describe("an answer in one piece", () => {
  const part = (raw: string, name = "f", id = "x"): NeutralPart => {
    const input = {} satisfies JsonObject;
    return { type: "tool_call", id, name, input, raw, form: "function", namespace: undefined };
  };
  const answer = (parts: NeutralPart[], reason: StopReason = "tool_calls"): NeutralAnswer => ({
    id: undefined,
    model: undefined,
    parts,
    stop: reason,
    stopSequence: undefined,
    usage: undefined,
  });

  test("is treated alike: mended, shown as text, thinned out, with ids that are new", () => {
    const held = holdAnswer(answer([part("{'a':1}"), part("oops"), part("{}", "g", "call_0")]), plain);
    expect(held.parts).toMatchObject([
      { type: "tool_call", input: { a: 1 }, raw: '{"a":1}' },
      { type: "text", text: "f(oops)" },
      { type: "tool_call", id: "", name: "g", input: {}, raw: "{}" },
    ]);
    expect(holdAnswer(answer([part("{}"), part("{}")]), { ...plain, singleCall: true }).parts).toHaveLength(1);
    expect(holdAnswer(answer([part("oops")]), plain).stop).toBe("end");
    expect(holdAnswer(answer([part('{"a":"b')], "length"), plain).parts).toMatchObject([{ type: "text" }]);
  });

  test("has no blank texts, but for what parts two paragraphs", () => {
    const said = (text: string): NeutralPart => ({ type: "text", text });
    const hm: NeutralPart = { type: "thinking", text: "hm", signature: undefined };
    expect(holdAnswer(answer([said("\n\n"), part("{}")]), plain).parts).toEqual([part("{}")]);
    expect(holdAnswer(answer([said("a"), hm, said("\n"), part("{}"), said(" ")]), plain).parts).toEqual([
      said("a"),
      hm,
      part("{}"),
    ]);
    expect(holdAnswer(answer([said("a"), said("\n\n"), said("b")], "end"), plain).parts).toEqual([
      said("a"),
      said("\n\nb"),
    ]);
  });

  test("says nothing where there is no word in it and it ended by itself", () => {
    const hm: NeutralPart = { type: "thinking", text: "hm", signature: undefined };
    const blank: NeutralPart = { type: "text", text: " \n" };
    for (const parts of [[], [hm], [hm, blank], [blank]]) expect(saysNothing(answer(parts, "end"))).toBe(true);
    expect(saysNothing(answer([hm], "length"))).toBe(false);
    expect(saysNothing(answer([], "filtered"))).toBe(false);
    expect(saysNothing(answer([hm, part("{}")], "end"))).toBe(false);
    expect(saysNothing(answer([{ type: "text", text: "a" }], "end"))).toBe(false);
  });
});

function tool(name: string): (typeof request)["tools"][number] {
  return { name, description: undefined, schema: {}, strict: undefined, form: "function", namespace: undefined };
}
