import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../neutral.ts";
import { messagesCodec } from "./index.ts";
import { withoutUnsignedThinking } from "./unsigned-thinking.ts";

function cleaned(text: string): string {
  return withoutUnsignedThinking(text, JSON.parse(text) as JsonObject);
}

function requestOf(...messages: string[]): string {
  return `{ "model":"m", "messages" : [${messages.join(" ,\n ")}] ,"max_tokens":5}`;
}

const user = '{"role":"user","content":"hi"}';
const unsigned = '{"type":"thinking","thinking":"a, [b] {\\"c\\"}","signature":""}';
const bare = '{"type":"thinking","thinking":"b"}';
const signed = '{"type" : "thinking","thinking":"","signature":"c2ln","n":1.0}';
const call = '{"type":"tool_use","id":"t","name":"n","input":{"x":1.50,"thinking":[]}}';

describe("thinking that nobody signed", () => {
  test("is taken out before Anthropic is asked, and every other byte stays", () => {
    const before = requestOf(
      user,
      `{"role":"assistant", "content" : [ ${unsigned}, ${signed} ,${bare}, ${call}], "x":2}`,
    );
    expect(cleaned(before)).toBe(requestOf(user, `{"role":"assistant", "content" : [ ${signed} ,${call}], "x":2}`));
    const last = requestOf(user, `{"role":"assistant","content":[${call} , ${bare}, ${unsigned}\n]}`);
    expect(cleaned(last)).toBe(requestOf(user, `{"role":"assistant","content":[${call}\n]}`));
  });

  test("takes its turn along where the turn has nothing else", () => {
    const text = requestOf(user, `{"role":"assistant","content":[${unsigned},${bare}]}`, user);
    expect(cleaned(text)).toBe(requestOf(user, user));
    const last = requestOf(user, `{"role":"assistant","content":[${bare}]}`);
    expect(cleaned(last)).toBe(requestOf(user));
  });

  test("is looked for by the meaning of the keys, not by their spelling", () => {
    const escaped = '{"\\u0074ype":"thinking","thinking":"x"}';
    const text = requestOf(user, `{"\\u0063ontent":[${escaped},${call}],"role":"assistant"}`);
    expect(JSON.parse(cleaned(text))).toEqual(JSON.parse(requestOf(user, `{"content":[${call}],"role":"assistant"}`)));
  });

  test("stays where it is content: in a user's text, in a tool's input", () => {
    const text = requestOf(
      `{"role":"user","content":[{"type":"text","text":${JSON.stringify(unsigned)}}]}`,
      `{"role":"assistant","content":[${signed},{"type":"tool_use","id":"t","name":"n","input":{"content":[${bare}]}}]}`,
    );
    expect(cleaned(text)).toBe(text);
  });

  test("leaves odd content to the provider's own judgement", () => {
    for (const content of ["null", '"thinking"', "7", "{}", "[]", '[null,"thinking",[]]']) {
      const text = requestOf(`{"role":"assistant","content":${content}}`);
      expect(cleaned(text)).toBe(text);
    }
  });

  test("goes before the model's name is changed", () => {
    const text = requestOf(user, `{"role":"assistant","content":[${unsigned},${call}]}`, user);
    const patched = messagesCodec.patchRequest(text, JSON.parse(text) as JsonObject, { model: "other" });
    expect(JSON.parse(patched)).toMatchObject({
      model: "other",
      messages: [{ role: "user" }, { content: [{ type: "tool_use" }] }, { role: "user" }],
    });
  });

  test("costs no more than linear time in a hostile history", () => {
    const turn = `{"role":"assistant","content":[${Array.from({ length: 50 }, () => bare).join(",")},${call}]}`;
    const text = requestOf(...Array.from({ length: 4_000 }, () => turn));
    const one = `{"role":"assistant","content":[${call}]}`;
    expect(cleaned(text)).toBe(requestOf(...Array.from({ length: 4_000 }, () => one)));
  });
});
