import { expect, test } from "bun:test";
import { dialects, type TestDialect } from "../fakes/house.ts";
import { chatErrorEvent, renderChat } from "../fakes/chat-wire.ts";
import { messagesErrorEvent, renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses, responsesErrorEvent } from "../fakes/responses-wire.ts";
import type { Rendered } from "../fakes/script.ts";
import { endOf, textIn } from "./heard.ts";

const text = "Zwölf Boxkämpfer";
const rendered: Readonly<Record<TestDialect, Rendered>> = {
  messages: renderMessages({ text }, "m", 0),
  chat: renderChat({ text }, "m", 0, true),
  responses: renderResponses({ text }, "m", 0),
};
const errorEvents: Readonly<Record<TestDialect, string>> = {
  messages: messagesErrorEvent("overloaded_error", "Overloaded"),
  chat: chatErrorEvent("server_error", "Overloaded"),
  responses: responsesErrorEvent("server_error", "Overloaded", 3),
};

const heard = (body: string, status = 200) => ({ status, body, requestId: null, end: "whole" }) as const;

for (const dialect of dialects) {
  const { json, events } = rendered[dialect];

  test(`${dialect}: the text of an answer is put together, streamed or not`, () => {
    expect(textIn(dialect, true, events.join(""))).toBe(text);
    expect(textIn(dialect, false, json)).toBe(text);
  });

  test(`${dialect}: a clean end, an error event and a cut are told apart`, () => {
    expect(endOf(dialect, true, heard(events.join("")))).toBe("answered");
    expect(endOf(dialect, true, heard(events.slice(0, 4).join("") + errorEvents[dialect]))).toBe("error_event");
    expect(endOf(dialect, true, heard(events.slice(0, 4).join("")))).toBe("illegal");
    expect(endOf(dialect, false, heard(json))).toBe("answered");
    expect(endOf(dialect, false, heard(json.slice(0, -2)))).toBe("illegal");
  });

  test(`${dialect}: a refusal needs a body that says so`, () => {
    expect(endOf(dialect, true, heard('{"error":{"message":"no"}}', 503))).toBe("refused");
    expect(endOf(dialect, true, heard("", 503))).toBe("illegal");
  });
}
