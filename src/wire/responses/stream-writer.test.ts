import { describe, expect, test } from "bun:test";
import type { NeutralEvent } from "../neutral.ts";
import {
  callEvents,
  codexTools,
  contextFor,
  dataOf,
  end,
  eventsOf,
  start,
  stopCalls,
  stopEnd,
  stopLength,
  written,
} from "./stream-fixtures.ts";
import { createWriter } from "./stream-writer.ts";

const typesOf = (sse: string) => eventsOf(sse).map(({ event }) => event?.replace("response.", ""));
const text = (text: string): NeutralEvent => ({ type: "text", text });

describe("147: sequence numbers count from 0 by one, and every event names itself twice", () => {
  test("over text, reasoning and calls", () => {
    const sse = written([
      start,
      { type: "thinking", text: "hm" },
      { type: "block_end" },
      text("a"),
      ...callEvents(0, "call_a", "exec_command", '{"cmd":"ls"}'),
      stopCalls,
      end,
    ]);
    const events = dataOf(sse);
    expect(events.map((data) => data["sequence_number"])).toEqual(events.map((_, i) => i));
    for (const event of eventsOf(sse)) expect(JSON.parse(event.data).type).toBe(event.event);
  });
});

describe("148, 152: the order of a text answer", () => {
  const sse = written([start, text("Hel"), text("lo"), { type: "block_end" }, stopEnd, end]);

  test("is created, in_progress, item, part, deltas, and every one closed again", () => {
    expect(typesOf(sse)).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "completed",
    ]);
  });

  test("149, 157: output_item.done holds the whole item, with id, status, annotations", () => {
    const done = dataOf(sse).find((data) => data["type"] === "response.output_item.done");
    expect(done?.["item"]).toEqual({
      id: "msg_01ABC_0",
      type: "message",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", annotations: [], logprobs: [], text: "Hello" }],
    });
  });

  test("157: a delta names item, indexes and logprobs", () => {
    expect(dataOf(sse)[4]).toEqual({
      type: "response.output_text.delta",
      sequence_number: 4,
      item_id: "msg_01ABC_0",
      output_index: 0,
      content_index: 0,
      logprobs: [],
      delta: "Hel",
    });
  });

  test("the same events give the same bytes", () => {
    expect(written([start, text("Hel"), text("lo"), { type: "block_end" }, stopEnd, end])).toBe(sse);
  });

  test("texts with quotes, line ends and emoji survive", () => {
    const odd = 'a"b\\\n\r\u2028 👍';
    const delta = dataOf(written([start, text(odd)])).at(-1);
    expect(delta?.["delta"]).toBe(odd);
  });
});

test("152: response.completed carries id, output, usage and the model asked for", () => {
  const usage = { input: 100, cacheRead: 20, cacheWrite5m: 3, cacheWrite1h: 2, output: 30, reasoning: 10 };
  const sse = written([start, text("x"), { type: "usage", usage }, stopEnd, end]);
  const response = dataOf(sse).at(-1)?.["response"];
  expect(response).toMatchObject({
    id: "resp_01ABC",
    object: "response",
    created_at: 1_790_000_000,
    status: "completed",
    model: "asked-model",
    error: null,
    incomplete_details: null,
    output: [{ id: "msg_01ABC_0" }],
    usage: {
      input_tokens: 125,
      input_tokens_details: { cached_tokens: 20, cache_write_tokens: 5 },
      output_tokens: 30,
      output_tokens_details: { reasoning_tokens: 10 },
      total_tokens: 155,
    },
  });
});

test("110: usage is null where nobody told it", () => {
  expect(dataOf(written([start, text("x"), stopEnd, end])).at(-1)?.["response"]).toMatchObject({ usage: null });
});

test("222: a later zero does not overwrite a count", () => {
  const sse = written([
    start,
    { type: "usage", usage: { input: 9, output: 1 } },
    { type: "usage", usage: { input: 0, output: 4 } },
    stopEnd,
    end,
  ]);
  expect(dataOf(sse).at(-1)?.["response"]).toMatchObject({ usage: { input_tokens: 9, output_tokens: 4 } });
});

describe("150: a function call", () => {
  const sse = written([start, ...callEvents(0, "call_a", "exec_command", '{"cmd":"ls"}'), stopCalls, end]);
  const events = dataOf(sse);

  test("is added empty, streamed, and done with all its fields", () => {
    expect(typesOf(sse).slice(2, -1)).toEqual([
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
    ]);
    expect(events[2]?.["item"]).toMatchObject({ type: "function_call", arguments: "", status: "in_progress" });
    expect(events[6]?.["item"]).toEqual({
      id: "fc_01ABC_0",
      type: "function_call",
      status: "completed",
      call_id: "call_a",
      name: "exec_command",
      arguments: '{"cmd":"ls"}',
    });
  });

  test("122: calls may be interleaved, each keeps its own output index", () => {
    const [a, b] = [
      callEvents(0, "c0", "exec_command", '{"cmd":"a"}'),
      callEvents(1, "c1", "exec_command", '{"cmd":"b"}'),
    ];
    const mixed = [start, a[0]!, b[0]!, a[1]!, b[1]!, b[2]!, b[3]!, a[2]!, a[3]!, stopCalls, end];
    const response = dataOf(written(mixed)).at(-1)?.["response"];
    expect(response).toMatchObject({
      output: [
        { call_id: "c0", arguments: '{"cmd":"a"}' },
        { call_id: "c1", arguments: '{"cmd":"b"}' },
      ],
    });
  });

  test("104: a missing, repeated or illegal call id is replaced by a unique one", () => {
    const calls = ["", "dup", "dup", "a b"].flatMap((id, i) => callEvents(i, id, "exec_command", "{}"));
    const done = dataOf(written([start, ...calls, stopCalls, end])).filter((data) => {
      return data["type"] === "response.output_item.done";
    });
    const ids = done.map((data) => (data["item"] as { call_id: string }).call_id);
    expect(ids).toEqual(["call_01ABC_0", "dup", "call_01ABC_2", "call_01ABC_3"]);
  });

  test("103: a call without arguments gets an empty object", () => {
    const events: NeutralEvent[] = [
      start,
      { type: "tool_start", index: 0, id: "c", name: "exec_command", form: "function" },
      { type: "tool_end", index: 0 },
      stopCalls,
      end,
    ];
    expect(dataOf(written(events)).at(-1)?.["response"]).toMatchObject({ output: [{ arguments: "{}" }] });
  });

  test("124: arguments that are no JSON are wrapped, so that what the client gets always parses", () => {
    const sse = written([start, ...callEvents(0, "c", "exec_command", "{cmd: ls}"), stopCalls, end]);
    const done = dataOf(sse).find((data) => data["type"] === "response.output_item.done");
    expect(done?.["item"]).toMatchObject({ arguments: '{"input":"{cmd: ls}"}' });
  });

  test("149: a call that was cut by the output limit is never done, so that no client runs it", () => {
    const sse = written([start, ...callEvents(0, "c", "exec_command", '{"cmd":"rm -r'), stopLength, end]);
    expect(typesOf(sse)).not.toContain("output_item.done");
    expect(dataOf(sse).at(-1)).toMatchObject({
      type: "response.incomplete",
      response: { output: [{ type: "function_call", status: "incomplete" }] },
    });
  });

  test("a call that its upstream forgot to close is done before the end", () => {
    const sse = written([start, ...callEvents(0, "c", "exec_command", "{}").slice(0, -1), stopCalls, end]);
    expect(typesOf(sse).slice(-2)).toEqual(["output_item.done", "completed"]);
  });
});

describe("75, 76: the client's own tools come back as the client knows them", () => {
  const context = contextFor({ tools: codexTools });
  const doneItem = (events: NeutralEvent[]) => {
    const sse = written([start, ...events, stopCalls, end], context);
    return dataOf(sse).find((data) => data["type"] === "response.output_item.done")?.["item"];
  };

  test("a custom tool as custom_tool_call with its raw input", () => {
    const patch = '*** Begin Patch\n+say "hi"\n*** End Patch\n';
    expect(doneItem(callEvents(0, "call_p", "apply_patch", JSON.stringify({ input: patch })))).toEqual({
      id: "ctc_01ABC_0",
      type: "custom_tool_call",
      status: "completed",
      call_id: "call_p",
      name: "apply_patch",
      input: patch,
    });
  });

  test("a custom tool whose model ignored the wrapping: bare text, or another name for the argument", () => {
    expect(doneItem(callEvents(0, "c", "apply_patch", "*** Begin Patch"))).toMatchObject({ input: "*** Begin Patch" });
    expect(doneItem(callEvents(0, "c", "apply_patch", '{"patch":"P"}'))).toMatchObject({ input: "P" });
  });

  test("a custom tool's input streams as its own events", () => {
    const sse = written([start, ...callEvents(0, "c", "apply_patch", '{"input":"P"}')], context);
    expect(typesOf(sse).slice(2)).toEqual([
      "output_item.added",
      "custom_tool_call_input.delta",
      "custom_tool_call_input.done",
      "output_item.done",
    ]);
  });

  test("a namespaced tool with namespace and short name", () => {
    expect(doneItem(callEvents(0, "c", "multi_agent_v1__close_agent", "{}"))).toMatchObject({
      type: "function_call",
      name: "close_agent",
      namespace: "multi_agent_v1",
    });
  });

  test("a namespaced tool that the model called by its short name", () => {
    expect(doneItem(callEvents(0, "c", "spawn_agent", "{}"))).toMatchObject({
      name: "spawn_agent",
      namespace: "multi_agent_v1",
    });
  });

  test("a name that nobody offered goes out as it came", () => {
    const item = doneItem(callEvents(0, "c", "made_up", "{}"));
    expect(item).toMatchObject({ type: "function_call", name: "made_up" });
    expect(item).not.toHaveProperty("namespace");
  });
});

describe("151, 91: reasoning", () => {
  test("has summary part and text, and is done with encrypted_content", () => {
    const sse = written([
      start,
      { type: "thinking", text: "hm" },
      { type: "thinking_signature", signature: "SIG" },
      text("x"),
    ]);
    expect(typesOf(sse).slice(2, 9)).toEqual([
      "output_item.added",
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.done",
      "reasoning_summary_part.done",
      "output_item.done",
      "output_item.added",
    ]);
    expect(dataOf(sse)[7]?.["item"]).toMatchObject({
      id: "rs_01ABC_0",
      type: "reasoning",
      summary: [{ type: "summary_text", text: "hm" }],
      encrypted_content: expect.any(String),
    });
  });

  test("two signed blocks are two items", () => {
    const block = (text: string): NeutralEvent[] => [
      { type: "thinking", text },
      { type: "thinking_signature", signature: `S${text}` },
    ];
    const sse = written([start, ...block("a"), ...block("b"), stopEnd, end]);
    expect(dataOf(sse).at(-1)?.["response"]).toMatchObject({
      output: [{ summary: [{ text: "a" }] }, { summary: [{ text: "b" }] }],
    });
  });

  test("a block that has a signature only is an item without a summary", () => {
    const sse = written([start, { type: "thinking_signature", signature: "S" }, { type: "block_end" }, stopEnd, end]);
    expect(dataOf(sse).at(-1)?.["response"]).toMatchObject({ output: [{ type: "reasoning", summary: [] }] });
  });
});

test("106: a refusal is shown as text, because Codex shows no refusal parts", () => {
  const sse = written([start, { type: "refusal", text: "I won't." }, stopEnd, end]);
  expect(dataOf(sse).at(-1)?.["response"]).toMatchObject({
    output: [{ content: [{ type: "output_text", text: "I won't." }] }],
  });
});

test("125: no item is opened for empty text", () => {
  expect(typesOf(written([start, text(""), { type: "block_end" }, stopEnd, end]))).toEqual([
    "created",
    "in_progress",
    "completed",
  ]);
});

test("156: text after a closed block is a second message item", () => {
  const sse = written([start, text("a"), { type: "block_end" }, text("b"), stopEnd, end]);
  expect(dataOf(sse).at(-1)?.["response"]).toMatchObject({ output: [{ id: "msg_01ABC_0" }, { id: "msg_01ABC_1" }] });
});

describe("101: how it ended", () => {
  const last = (reason: "length" | "filtered" | "pause" | "stop_sequence") =>
    dataOf(written([start, text("x"), { type: "stop", reason, stopSequence: undefined }, end])).at(-1);

  test("the output limit is incomplete max_output_tokens, and the open message is incomplete too", () => {
    expect(last("length")).toMatchObject({
      type: "response.incomplete",
      response: {
        status: "incomplete",
        incomplete_details: { reason: "max_output_tokens" },
        output: [{ status: "incomplete" }],
      },
    });
  });

  test("a filter is incomplete content_filter, the rest is completed", () => {
    expect(last("filtered")).toMatchObject({ response: { incomplete_details: { reason: "content_filter" } } });
    expect(last("pause")).toMatchObject({ type: "response.completed" });
    expect(last("stop_sequence")).toMatchObject({ type: "response.completed" });
  });
});

describe("153, 182: a failure after the first byte", () => {
  test("is response.failed with a code, the items so far, and nothing after it", () => {
    const writer = createWriter(contextFor());
    let sse = writer.write(start) + writer.write(text("half"));
    sse += writer.fail({ status: 529, code: "overloaded_error", message: "Overloaded" });
    sse +=
      writer.write(text("late")) +
      writer.write(end) +
      writer.ping() +
      writer.fail({ status: 500, code: undefined, message: "" });
    expect(dataOf(sse).at(-1)).toMatchObject({
      type: "response.failed",
      response: {
        status: "failed",
        error: { code: "server_error", message: "Overloaded" },
        output: [{ status: "incomplete", content: [{ text: "half" }] }],
      },
    });
    expect(typesOf(sse).filter((type) => type === "failed")).toHaveLength(1);
    expect(typesOf(sse)).not.toContain("output_item.done");
  });

  test("154, 260: codes that decide whether Codex repeats go through", () => {
    const codeOf = (fault: { status: number; code: string | undefined; message: string }) => {
      const response = dataOf(createWriter(contextFor()).fail(fault)).at(-1)?.["response"];
      return (response as { error: { code: string } }).error.code;
    };
    expect(codeOf({ status: 429, code: "rate_limit_error", message: "Please try again in 1.5s" })).toBe(
      "rate_limit_exceeded",
    );
    expect(codeOf({ status: 429, code: "insufficient_quota", message: "" })).toBe("insufficient_quota");
    expect(
      codeOf({ status: 400, code: "invalid_request_error", message: "prompt is too long: 9 tokens > 8 maximum" }),
    ).toBe("context_length_exceeded");
    expect(codeOf({ status: 400, code: "invalid_request_error", message: "bad" })).toBe("invalid_prompt");
    expect(codeOf({ status: 401, code: "invalid_api_key", message: "" })).toBe("server_error");
    expect(codeOf({ status: 502, code: "constructor", message: "" })).toBe("server_error");
  });

  test("an error event of the upstream is the same", () => {
    const fault = { status: 500, code: undefined, message: "boom" };
    expect(typesOf(written([start, { type: "error", fault }, end])).at(-1)).toBe("failed");
  });
});

test("158: the keep-alive is a repeated response.in_progress, also before anything else was said", () => {
  const writer = createWriter(contextFor());
  const sse = writer.ping() + writer.ping() + writer.write(start) + writer.write(text("x")) + writer.ping();
  expect(typesOf(sse)).toEqual([
    "created",
    "in_progress",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "in_progress",
  ]);
});

test("a second start, of an answer that another model carries on, is not announced", () => {
  expect(typesOf(written([start, text("a"), start, text("b")])).filter((type) => type === "created")).toHaveLength(1);
});
