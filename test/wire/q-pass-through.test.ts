// Thinking in conversations that pass through in the vendor's own dialect.

import { afterAll, beforeAll, expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { HOUSE_KEY, startHouse, type House } from "../fakes/house.ts";
import { objectsOf, parseObject, textOf } from "../fakes/json-access.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { ask, dataOf } from "./asked.ts";
import { rule } from "./rule.ts";

let house: House;
let second: FakeProvider;
beforeAll(async () => {
  second = await FakeProvider.start();
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  house = await startHouse({
    config: ({ cloud }) => ({
      providers: {
        "account-a": { url: cloud, dialects: ["messages"], key, retry: { attempts: 1 } },
        "account-b": { url: second.url, dialects: ["messages"], key, retry: { attempts: 1 } },
      },
      models: { mine: { provider: "anthropic", model: "claude-sonnet-4-5" } },
      routes: [
        {
          name: "two",
          when: { model: "claude-opus-*" },
          use: ["account-a/claude-opus-4-6", "account-b/claude-opus-4-6"],
        },
      ],
    }),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});

/** As no serialiser would write it: spaces, number forms, escapes, unknown fields, keys in an order of their own. */
const oddly = (
  model: string,
  stream: boolean,
  rest = "",
): string => `  {"metadata" : {"user_id":"\\u007b\\"a\\"\\u007d"},
\t"max_tokens":6.4e1 , "future_field":[1.0,-0.0,1E2,12345678901234567890,0.10,"\\/\\u00e9é\\ud83e\\udd8a"],
  "model"\t:"${model}","stream":${String(stream)}, "tools":[ {"name":"look","input_schema":{"type":"object" ,"x":1e-7}} ],
  "messages":[{"content":"g\\u006f","role":"user"},
    {"role":"assistant","content":[ {"type":"thinking", "thinking":"Let me  see\\u002e\\n","signature":"c2ln\\/+=="},
      {"type":"redacted_thinking","data":"b3Bh\\/w=="},{"type":"thinking","thinking":"","signature":"b25seQ=="},
      {"id":"toolu_1","type":"tool_use","name":"look","input":{"b":1.50,"a":{}}} ]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1"}]}${rest}  ] }\n\n`;

rule(265, "A request in the vendor's own dialect arrives byte for byte, but for the name of the model", async () => {
  for (const stream of [false, true]) {
    const own = await ask(house, "messages", oddly("claude-sonnet-4-5", stream));
    expect([own.status, own.requests.length]).toEqual([200, 1]);
    expect(own.requests[0]!.text).toBe(oddly("claude-sonnet-4-5", stream));
    const alias = await ask(house, "messages", oddly("mine", stream));
    expect(alias.requests[0]!.text).toBe(oddly("claude-sonnet-4-5", stream));
  }
});

/** A turn of a local model, as agents send it back. */
const atHome = (blocks: string): string =>
  `,\n {"role":"user","content":"o\\u006e"}, {"role":"assistant", "content":[${blocks}]},{"role":"user","content":"so?"}`;
const unsigned = [
  '{"type":"thinking","thinking":"at home","signature":""}',
  '{"thinking":"at home","type":"thinking"}',
  '{"type":"thinking","thinking":"at home","signature":null}',
];
const words = '{"text":"I s\\u0065e.","type" : "text"}';

rule(
  266,
  "Everything before a thinking block is sent the same way on every later turn, passed through or translated",
  async () => {
    // Passed through, also where something must be taken out of it.
    const turns = ["", atHome(`${unsigned[0]!}, ${words}`), atHome(`${unsigned[1]!},${words}`)];
    let history = "";
    let before = "";
    for (const turn of turns) {
      history += turn;
      const { requests } = await ask(house, "messages", oddly("claude-sonnet-4-5", false, history));
      const text = requests[0]!.text;
      expect(text).not.toContain("at home");
      const conversation = text.slice(0, text.lastIndexOf("]"));
      expect(conversation.startsWith(before)).toBe(true);
      before = conversation.trimEnd();
    }
    // Translated, with all that is renamed, moved or taken out on the way.
    const long = `a tool: ${"x".repeat(90)}`;
    const tools = [{ type: "function", function: { name: long, parameters: { type: "object", properties: {} } } }];
    const signed = { type: "reasoning.text", text: "Hm.", signature: "c2ln" };
    const call = { id: "call_0", type: "function", function: { name: long, arguments: "{broken" } };
    const step = [
      { role: "assistant", content: null, reasoning_details: [signed], tool_calls: [call] },
      { role: "developer", content: "be quick" },
      { role: "tool", tool_call_id: "call_0", content: "nothing" },
    ];
    for (const model of ["claude-sonnet-4-5", "claude-opus-4-8"]) {
      const messages: JsonObject[] = [
        { role: "system", content: "rules" },
        { role: "user", content: "go", name: "mace" },
      ];
      let earlier: JsonObject | null = null;
      for (let turn = 0; turn < 3; turn++) {
        const asked = await ask(house, "chat", { model, messages, tools, user: "u" });
        expect([asked.status, asked.text]).toEqual([200, expect.any(String)]);
        const sent = asked.sent;
        if (earlier !== null) {
          for (const field of ["system", "tools", "metadata"]) {
            expect(JSON.stringify(sent[field])).toBe(JSON.stringify(earlier[field]));
          }
          const known = objectsOf(earlier["messages"]);
          const kept = objectsOf(sent["messages"]).slice(0, known.length);
          expect(JSON.stringify(kept)).toBe(JSON.stringify(known));
        }
        earlier = sent;
        messages.push(...step);
      }
    }
  },
);

rule(
  268,
  "The vendor's own switch for thinking that does not fit goes through, field and flag, and so does what it did",
  async () => {
    const beta = "thinking-binding-controls-2026-08-01,interleaved-thinking-2025-05-14";
    const body = {
      model: "claude-sonnet-5-5",
      max_tokens: 64,
      thinking: { type: "adaptive", block_binding: { prefix_mismatch_behavior: "drop_block" } },
      messages: [{ role: "user", content: "hi" }],
    };
    const done = { input_transformations: [{ type: "thinking_block_dropped", message_index: 1 }] };
    const message = {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-5-5",
      content: [{ type: "text", text: "ho" }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: 5, output_tokens: 5 },
      ...done,
    };
    house.cloud.script.push({ rawBody: JSON.stringify(message) });
    const whole = await ask(house, "messages", body, { "anthropic-beta": beta });
    expect(whole.requests[0]!.text).toBe(JSON.stringify(body));
    expect(whole.requests[0]!.header("anthropic-beta")).toBe(beta);
    expect(whole.text).toBe(JSON.stringify(message));
    const start = `event: message_start\ndata: ${JSON.stringify({ type: "message_start", message: { ...message, content: [] } })}\n\n`;
    const delta = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 5 }, ...done };
    const events = [
      start,
      'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"ho"}}\n\n',
      'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
      `event: message_delta\ndata: ${JSON.stringify(delta)}\n\n`,
      'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ];
    house.cloud.script.push({ rawBody: events });
    const streamed = await ask(house, "messages", { ...body, stream: true }, { "anthropic-beta": beta });
    expect(streamed.text).toBe(events.join(""));
  },
);

rule(
  269,
  "Each turn of a conversation asks the same account first, since another can't check its thinking",
  async () => {
    const messages: JsonObject[] = [{ role: "user", content: "go" }];
    const servers: string[] = [];
    for (let turn = 0; turn < 8; turn++) {
      const before = second.generations.length;
      const body = { model: "claude-opus-4-6", max_tokens: 64 + turn, messages, stream: turn % 2 === 1 };
      const asked = await ask(house, "messages", body);
      expect(asked.status).toBe(200);
      servers.push(`${asked.requests.length}:${second.generations.length - before}`);
      messages.push({ role: "assistant", content: `answer ${turn}` }, { role: "user", content: `question ${turn}` });
    }
    expect(new Set(servers)).toEqual(new Set(["1:0"]));
    // The other account is for failures, and the conversation is not moved there for good.
    house.cloud.script.push({ refuse: { status: 500 } });
    const failed = await ask(house, "messages", { model: "claude-opus-4-6", max_tokens: 64, messages });
    expect([failed.status, failed.requests.length, second.generations.length]).toEqual([200, 1, 1]);
    const next = await ask(house, "messages", { model: "claude-opus-4-6", max_tokens: 65, messages });
    expect([next.status, next.requests.length, second.generations.length]).toEqual([200, 1, 1]);
  },
);

rule(270, "Thinking that is a signature alone survives, in the answer and on its way back", async () => {
  const block = { type: "thinking", thinking: "", signature: "b25seQ==" };
  const say = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
  const message = { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5", stop_sequence: null };
  const usage = { input_tokens: 5, output_tokens: 5 };
  const events = [
    say("message_start", { message: { ...message, content: [], stop_reason: null, usage } }),
    say("content_block_start", { index: 0, content_block: { ...block, signature: "" } }),
    say("content_block_delta", { index: 0, delta: { type: "signature_delta", signature: block.signature } }),
    say("content_block_stop", { index: 0 }),
    say("content_block_start", { index: 1, content_block: { type: "text", text: "" } }),
    say("content_block_delta", { index: 1, delta: { type: "text_delta", text: "Yes." } }),
    say("content_block_stop", { index: 1 }),
    say("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage }),
    say("message_stop", {}),
  ];
  const user = { role: "user", content: "go" };
  const ask64 = { model: "claude-sonnet-4-5", max_tokens: 64, messages: [user], stream: true };
  house.cloud.script.push({ rawBody: events });
  expect((await ask(house, "messages", ask64)).text).toBe(events.join(""));
  const replay = [user, { role: "assistant", content: [block, { type: "text", text: "Yes." }] }, user];
  const back = await ask(house, "messages", { ...ask64, messages: replay });
  expect(back.requests[0]!.text).toBe(JSON.stringify({ ...ask64, messages: replay }));
  // The same for a client of another dialect.
  house.cloud.script.push({ rawBody: events });
  const responses = { model: "claude-sonnet-4-5", input: [user], stream: true };
  const items = dataOf((await ask(house, "responses", responses)).text)
    .filter((event) => event["type"] === "response.output_item.done")
    .map((event) => event["item"]!);
  const again = await ask(house, "responses", { ...responses, input: [user, ...items, user] });
  expect(objectsOf(again.sent["messages"])[1]).toEqual(replay[1]!);
});

rule(
  271,
  "Unsigned thinking of a turn at home is taken out before the vendor is asked, and nothing else is touched",
  async () => {
    for (const thought of unsigned) {
      const mixed = oddly("claude-sonnet-4-5", true, atHome(`${thought} , ${words}`));
      const asked = await ask(house, "messages", mixed);
      expect([asked.status, asked.requests[0]!.faults]).toEqual([200, []]);
      expect(asked.requests[0]!.text).toBe(mixed.replace(`${thought} , `, ""));
      const last = oddly("claude-sonnet-4-5", false, atHome(`${words},\n${thought} `));
      const cut = await ask(house, "messages", last);
      expect([cut.status, cut.requests[0]!.text]).toEqual([200, last.replace(`,\n${thought}`, "")]);
    }
    // A turn of nothing else goes as a whole; tokens are counted on what would be sent.
    const alone = oddly("claude-sonnet-4-5", false, atHome(unsigned.join(",")));
    const asked = await ask(house, "messages", alone);
    expect(asked.status).toBe(200);
    const roles = objectsOf(asked.sent["messages"]).map((turn) => textOf(turn["role"]));
    expect(roles.join(" ")).toBe("user assistant user user user");
    const count = await fetch(`${house.gateway.url}/v1/messages/count_tokens`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: alone,
    });
    expect(count.status).toBe(200);
    const counted = house.cloud.requests.findLast((request) => request.target.includes("count_tokens"));
    expect(counted?.text).not.toContain("at home");
    expect(parseObject(await count.text())["input_tokens"]).toBeGreaterThan(0);
  },
);
