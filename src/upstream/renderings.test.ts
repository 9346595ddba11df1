import { expect, test } from "bun:test";
import { codecs } from "../wire/codecs.ts";
import { passing } from "./renderings.ts";
import { keyedOf, StillClock } from "./sample-keyed.ts";

function rendered(dialect: "messages" | "chat" | "responses", events: readonly (readonly [string, object])[]): string {
  const noContext = (): never => {
    throw new Error("nobody goes on");
  };
  const rendering = passing(keyedOf({ dialect }), codecs[dialect], new StillClock(), noContext);
  return events
    .map(([name, fields]) => {
      const data = JSON.stringify({ type: name, ...fields });
      const event = { event: name, data, raw: `event: ${name}\ndata: ${data}\n\n` };
      return rendering.render(event, rendering.read(event));
    })
    .join("");
}

test("a second beginning is not passed on: clients throw away what they have, or everything", () => {
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], usage };
  const started = ["message_start", { message }] as const;
  const block = ["content_block_start", { index: 0, content_block: { type: "text", text: "" } }] as const;
  const messages = rendered("messages", [started, block, started]);
  expect(messages.match(/^event: message_start$/gm)).toHaveLength(1);
  expect(messages).toContain("content_block_start");

  const created = ["response.created", { sequence_number: 0, response: { id: "resp_1", model: "m" } }] as const;
  expect(rendered("responses", [created, created]).match(/^event: response\.created$/gm)).toHaveLength(1);
});
