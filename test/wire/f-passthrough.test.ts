// What Anthropic sends to a Messages client and no list of ours knows.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import {
  AnswersHouse,
  blockDelta,
  blockStart,
  blockStop,
  event,
  message,
  messageEnd,
  messageStart,
} from "./answers-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

let house: AnswersHouse;
beforeAll(async () => {
  house = await AnswersHouse.start();
});
afterAll(async () => house[Symbol.asyncDispose]());

/** A stream of the client's own dialect comes back byte for byte, but for the model. */
async function expectUntouched(events: readonly string[]): Promise<void> {
  const told = await house.ask("messages", "messages", { rawBody: events }, { stream: true });
  expect(told.body.replaceAll(`"${told.model}"`, '"served-model"')).toBe(events.join(""));
}

/** What clients of the other dialects get of it: the words and nothing else. */
async function expectHidden(events: readonly string[], words: readonly string[]): Promise<void> {
  for (const client of ["chat", "responses"] as const) {
    const told = await house.ask(client, "messages", { rawBody: events }, { stream: true });
    expect([client, told.fault]).toEqual([client, null]);
    for (const word of words) expect(told.body).not.toContain(word);
    expect(told.body).toContain("Hi there");
  }
}

const hi = [
  blockStart(9, { type: "text", text: "" }),
  blockDelta(9, { type: "text_delta", text: "Hi there" }),
  blockStop(9),
];

rule(
  128,
  "Anthropic's signatures, and what it tells of thinking that it does not show, pass byte for byte",
  async () => {
    const signature = "EqQBCgIYAhIkMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw/+==";
    await expectUntouched([
      messageStart,
      blockStart(0, { type: "thinking", thinking: "", signature: "", display: "omitted" }),
      blockDelta(0, { type: "thinking_delta", thinking: "", estimated_tokens: 150 }),
      blockDelta(0, { type: "thinking_delta", thinking: "h\u00fcm \ud83e\udd14", estimated_tokens: 2e2 }),
      `event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "${signature}"}}\n\n`,
      blockStop(0),
      ...hi,
      ...messageEnd("end_turn"),
    ]);
  },
);

rule(133, "an event of an unknown type passes within the dialect, and reaches nobody of another one", async () => {
  const events = [
    messageStart,
    event("message_progress", { step: 3, of: "seven" }),
    ...hi,
    event("content_block_annotation", { index: 0, note: { seven: 7 } }),
    ...messageEnd("end_turn"),
  ];
  await expectUntouched(events);
  await expectHidden(events, ["seven", "message_progress", "content_block_annotation"]);
});

rule(134, "a content block of an unknown type passes untouched, streamed and in one piece", async () => {
  const blocks: JsonObject[] = [
    { type: "fallback", reason: "overloaded", seven: true },
    { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "seven" } },
    { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ type: "web_search_result", seven: 7 }] },
    { type: "advisor_note", data: { opaque: [1, 2.5, null, "seven"] } },
  ];
  const input = blockDelta(1, { type: "input_json_delta", partial_json: '{"query": "seven"}' });
  const opened = blocks.flatMap((block, index) => [
    blockStart(index, block),
    ...(index === 1 ? [input] : []),
    blockStop(index),
  ]);
  const events = [messageStart, ...opened, ...hi, ...messageEnd("end_turn")];
  await expectUntouched(events);
  await expectHidden(events, ["seven", "advisor_note", "web_search_result", "srvtoolu_1"]);

  const rawBody = message([...blocks, { type: "text", text: "Hi there" }], "end_turn", {
    context_management: { seven: 7 },
  });
  const told = await house.ask("messages", "messages", { rawBody });
  expect(told.body).toBe(rawBody.replace('"served-model"', `"${told.model}"`));
});

rule(
  135,
  "safeguard results at the end of a message pass unchanged from Anthropic, and no other answer has any",
  async () => {
    const safeguard_results = [{ type: "dangerous_tool_use", tool_use_id: "toolu_1", verdict: "allow", score: 0.25 }];
    const events = [messageStart, ...hi, ...messageEnd("end_turn", { safeguard_results })];
    await expectUntouched(events);
    const local = await house.ask("messages", "home", { answer: { text: "Hi there" } }, { stream: true });
    expect(local.body).not.toContain("safeguard");
    await expectHidden(events, ["safeguard", "dangerous_tool_use"]);
  },
);
