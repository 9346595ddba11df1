// Tools of a Messages client: calls and results in the history, as servers of the chat dialect get them.

import { afterAll, beforeAll, expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { allKinds, homeKinds, KindsHouse } from "./kinds-house.ts";
import { rule } from "./rule.ts";

let kinds: KindsHouse;
beforeAll(async () => {
  kinds = await KindsHouse.start();
});
afterAll(async () => kinds[Symbol.asyncDispose]());

const text = (words: string): object => ({ type: "text", text: words });
const user = (...content: object[]): object => ({ role: "user", content });
const assistant = (...content: object[]): object => ({ role: "assistant", content });
const use = (id: string, input: object = {}, name = "Bash"): object => ({ type: "tool_use", id, name, input });
const result = (id: string, rest: object = {}): object => ({ type: "tool_result", tool_use_id: id, ...rest });

/** The calls of an assistant message as name and arguments. */
function callsOf(message: JsonObject | undefined): [id: string, name: string, args: string][] {
  return objectsOf(message?.["tool_calls"]).map((call) => {
    const called = objectOf(call["function"]);
    return [textOf(call["id"]), textOf(called?.["name"]), textOf(called?.["arguments"])];
  });
}

rule(
  13,
  "the text and the calls of one turn are one message, whose content is null where there is no text",
  async () => {
    const messages = [
      user(text("go")),
      assistant(text("First "), use("a"), text("then."), use("b")),
      user(result("a"), result("b")),
      assistant(use("c")),
      user(result("c")),
    ];
    for (const kind of allKinds) {
      const { messages: sent } = await kinds.ask(kind, { messages });
      expect(sent.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "tool", "assistant", "tool"]);
      expect(sent[1]!["content"]).toBe("First then.");
      expect(callsOf(sent[1]).map(([id]) => id)).toEqual(["a", "b"]);
      expect(sent[4]).toMatchObject({ content: null });
      expect(callsOf(sent[4])).toHaveLength(1);
    }
  },
);

rule(
  14,
  "the input of a call becomes JSON text with its keys in order, and an empty one the empty object",
  async () => {
    const inputs: [object | null | undefined, string][] = [
      [{ z: 1, a: { y: [1.5, null], b: "ü\n" }, m: false }, '{"z":1,"a":{"y":[1.5,null],"b":"ü\\n"},"m":false}'],
      [{}, "{}"],
      [null, "{}"],
      [undefined, "{}"],
    ];
    for (const kind of allKinds) {
      for (const [input, expected] of inputs) {
        const call = { type: "tool_use", id: "a", name: "f", input };
        const { messages } = await kinds.ask(kind, {
          messages: [user(text("go")), assistant(call), user(result("a"))],
        });
        expect(callsOf(messages[1])).toEqual([["a", "f", expected]]);
      }
    }
  },
);

rule(
  15,
  "results come right after their calls and before all else of the turn, wherever they stood in it",
  async () => {
    const note = text("note");
    const orders = [
      [note, result("a", { content: "1" }), result("b", { content: "2" })],
      [result("a", { content: "1" }), note, result("b", { content: "2" })],
      [result("a", { content: "1" }), result("b", { content: "2" }), note],
    ];
    for (const kind of allKinds) {
      for (const order of orders) {
        const { messages } = await kinds.ask(kind, {
          messages: [user(text("go")), assistant(use("a"), use("b")), user(...order)],
        });
        expect(messages.slice(2)).toEqual([
          { role: "tool", tool_call_id: "a", content: "1" },
          { role: "tool", tool_call_id: "b", content: "2" },
          { role: "user", content: "note" },
        ]);
      }
      // In a turn of its own, and for a call that was broken off: every call has a result, every result a call.
      const { messages } = await kinds.ask(kind, {
        messages: [
          user(text("go")),
          assistant(use("a"), use("b")),
          user(note),
          user(result("b"), result("x", { content: "?" })),
        ],
      });
      expect(messages.slice(2, 4).map((message) => [message["role"], message["tool_call_id"]])).toEqual([
        ["tool", "a"],
        ["tool", "b"],
      ]);
      expect(messages[2]!["content"]).toMatch(/^\[tool error\] No result/);
      expect(textOf(messages[4]!["content"])).toContain("note");
      expect(textOf(messages.at(-1)!["content"])).toContain("tool call x]\n\n?");
    }
  },
);

rule(16, "results in another order than the calls stay with the call that they name", async () => {
  for (const kind of allKinds) {
    const { messages } = await kinds.ask(kind, {
      messages: [
        user(text("go")),
        assistant(use("a", { n: 1 }), use("b", { n: 2 }), use("c", { n: 3 })),
        user(result("c", { content: "third" }), result("a", { content: "first" }), result("b", { content: "second" })),
      ],
    });
    expect(callsOf(messages[1]).map(([id]) => id)).toEqual(["a", "b", "c"]);
    const answers = messages.slice(2).map((message) => [message["tool_call_id"], message["content"]]);
    expect(answers).toEqual([
      ["c", "third"],
      ["a", "first"],
      ["b", "second"],
    ]);
  }
});

rule(
  17,
  "the id of a call is the same at the call and at its result: the client's own, or a short one where servers refuse its length",
  async () => {
    for (const id of ["toolu_01A09q90qw90lq917835lq9", "call_7-_X", "chatcmpl-tool-5f0b0d9d6d6c4c6b"]) {
      for (const kind of allKinds) {
        const messages = [user(text("go")), assistant(use(id)), user(result(id))];
        const { messages: sent } = await kinds.ask(kind, { messages });
        expect([callsOf(sent[1])[0]![0], sent[2]!["tool_call_id"]]).toEqual([id, id]);
      }
    }
    // Ids of 40 characters are the longest that OpenAI's Chat door takes.
    const long = `fc_${"0f0e50a1476a6c35".repeat(4)}`;
    const other = `${long.slice(0, -1)}9`;
    for (const kind of allKinds) {
      const calls = assistant(use(long), use(other));
      const { messages: sent } = await kinds.ask(kind, {
        messages: [user(text("go")), calls, user(result(other), result(long))],
      });
      const [first, second] = callsOf(sent[1]).map(([id]) => textOf(id));
      expect([first!.length, second!.length, first === second]).toEqual([40, 40, false]);
      expect([sent[2]!["tool_call_id"], sent[3]!["tool_call_id"]]).toEqual([second!, first!]);
    }
  },
);

rule(18, "a failed call is told as one, in its text", async () => {
  const contents = ["exit 1", [text("exit 1")]];
  for (const kind of allKinds) {
    for (const content of contents) {
      const { messages } = await kinds.ask(kind, {
        messages: [
          user(text("go")),
          assistant(use("a"), use("b")),
          user(result("a", { content, is_error: true }), result("b", { content: "exit 1", is_error: false })),
        ],
      });
      expect(messages.slice(2).map((message) => message["content"])).toEqual(["[tool error] exit 1", "exit 1"]);
    }
  }
});

rule(19, "a result may have no content, a text or blocks: it is always one message of the tool", async () => {
  const contents: [object, string][] = [
    [{}, ""],
    [{ content: null }, ""],
    [{ content: "" }, ""],
    [{ content: [] }, ""],
    [{ content: "s" }, "s"],
    [{ content: [text("a"), text("b")] }, "ab"],
  ];
  for (const kind of allKinds) {
    for (const [rest, expected] of contents) {
      const messages = [user(text("go")), assistant(use("a")), user(result("a", rest))];
      const { messages: sent } = await kinds.ask(kind, { messages });
      expect(sent.slice(2)).toEqual([{ role: "tool", tool_call_id: "a", content: expected }]);
    }
  }
});

rule(
  21,
  "a tool that was found by search is named in the result of the search and is offered from then on",
  async () => {
    const schema = { type: "object", properties: { query: { type: "string" } }, required: ["query"] };
    const tools = [
      { name: "ToolSearch", input_schema: schema },
      { name: "WebFetch", description: "Reads a page.", input_schema: schema, defer_loading: true },
    ];
    const found = { type: "tool_reference", tool_name: "WebFetch" };
    for (const kind of allKinds) {
      const { body, messages } = await kinds.ask(kind, {
        tools,
        messages: [
          user(text("go")),
          assistant(use("s", { query: "select:WebFetch" }, "ToolSearch")),
          user(result("s", { content: [found] }), text("Tool loaded.")),
        ],
      });
      expect(textOf(messages[2]!["content"])).toContain("WebFetch");
      const offered = objectsOf(body["tools"]).map((tool) => objectOf(tool["function"]));
      expect(offered[1]).toEqual({ name: "WebFetch", description: "Reads a page.", parameters: schema });
    }
  },
);

rule(
  22,
  "what only Anthropic knows of a tool stays behind, and Claude Code's stand-in for tools is no tool",
  async () => {
    const schema = { type: "object", properties: { city: { type: "string" } } };
    const own = {
      cache_control: { type: "ephemeral" },
      defer_loading: true,
      eager_input_streaming: true,
      strict: true,
      input_examples: [{ city: "Oslo" }],
      allowed_callers: ["direct"],
    };
    const tools = [
      { type: "custom", name: "weather", description: "d", input_schema: schema, ...own },
      { name: "bare", input_schema: null },
      { name: "DeferredToolPlaceholder", input_schema: schema, defer_loading: true },
    ];
    for (const kind of allKinds) {
      const { body } = await kinds.ask(kind, { tools });
      expect(body["tools"]).toEqual([
        { type: "function", function: { name: "weather", description: "d", parameters: schema } },
        { type: "function", function: { name: "bare", parameters: { type: "object", properties: {} } } },
      ]);
    }
  },
);

rule(
  24,
  "searches and runs of the vendor's own tools are plain text in the history, without what is encrypted",
  async () => {
    const blocks = [
      { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
      {
        type: "web_search_tool_result",
        tool_use_id: "srvtoolu_1",
        content: [
          { type: "web_search_result", title: "T1", url: "https://u1", encrypted_content: "SECRET", page_age: "1 d" },
          { type: "web_search_result", title: "T2", url: "https://u2", encrypted_content: "SECRET" },
        ],
      },
      {
        type: "web_fetch_tool_result",
        tool_use_id: "srvtoolu_2",
        content: {
          type: "web_fetch_result",
          url: "https://u3",
          content: {
            type: "document",
            title: "Page",
            source: { type: "text", media_type: "text/plain", data: "Words." },
          },
        },
      },
      {
        type: "code_execution_tool_result",
        tool_use_id: "srvtoolu_3",
        content: {
          type: "code_execution_result",
          stdout: "42\n",
          stderr: "",
          return_code: 0,
          encrypted_stdout: "SECRET",
        },
      },
      {
        type: "web_search_tool_result",
        tool_use_id: "srvtoolu_4",
        content: { type: "web_search_tool_result_error", error_code: "max_uses_exceeded" },
      },
      { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", is_error: false, content: [text("from afar")] },
      text("So it is."),
    ];
    const expected = [
      "T1",
      "https://u1",
      "T2",
      "https://u2",
      "https://u3",
      "Page",
      "Words.",
      "42",
      "max_uses_exceeded",
      "from afar",
      "So it is.",
    ];
    for (const kind of allKinds) {
      const { messages, request } = await kinds.ask(kind, {
        messages: [user(text("go")), assistant(...blocks), user(text("more"))],
      });
      expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
      const words = textOf(messages[1]!["content"]);
      expect(expected.filter((part) => !words.includes(part))).toEqual([]);
      expect(callsOf(messages[1])).toEqual([]);
      expect(request.text).not.toMatch(/SECRET|srvtoolu|server_tool_use/);
    }
  },
);

rule(
  42,
  "tool names that not every server takes are replaced alike everywhere, and the client gets its own back",
  async () => {
    const own = [`mcp__files__${"very_".repeat(20)}long`, "weather.now/oslo", "günstig", "fits"];
    const fitting = /^[A-Za-z0-9_-]{1,64}$/;
    const tools = own.map((name) => ({ name, input_schema: { type: "object", properties: {} } }));
    for (const kind of homeKinds) {
      for (const stream of [false, true]) {
        for (const name of own) {
          kinds.house.local.respond = (request) => {
            const offered = objectsOf(request.json()["tools"]).map((tool) =>
              textOf(objectOf(tool["function"])?.["name"]),
            );
            return { answer: { toolCalls: [{ name: offered[own.indexOf(name)]!, input: { a: 1 } }] } };
          };
          const { response, body, messages } = await kinds.ask(kind, {
            tools,
            stream,
            messages: [user(text("go")), assistant(use("a", {}, name)), user(result("a"))],
          });
          const offered = objectsOf(body["tools"]).map((tool) => textOf(objectOf(tool["function"])?.["name"]));
          expect(offered.filter((one) => !fitting.test(one))).toEqual([]);
          expect(new Set(offered).size).toBe(own.length);
          expect(offered[3]).toBe("fits");
          expect(callsOf(messages[1])[0]![1]).toBe(offered[own.indexOf(name)]!);
          expect(await response.text()).toContain(`"name":${JSON.stringify(name)}`);
        }
      }
    }
    kinds.house.local.respond = {};
    const { body } = await kinds.ask("vllm", { tools, tool_choice: { type: "tool", name: own[1] } });
    const offered = objectsOf(body["tools"]).map((tool) => textOf(objectOf(tool["function"])?.["name"]));
    expect(body["tool_choice"]).toEqual({ type: "function", function: { name: offered[1]! } });
  },
);
