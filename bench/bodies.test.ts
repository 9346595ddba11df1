import { expect, test } from "bun:test";
import { requestBody } from "./bodies.ts";
import { bodyBytes } from "./extent.ts";

test("bodies have the size that they are named after, within a tenth", () => {
  for (const [name, bytes] of Object.entries(bodyBytes)) {
    for (const spoken of ["chat", "messages"] as const) {
      const size = Buffer.byteLength(requestBody(spoken, { model: "bench-model", bytes, stream: false }));
      expect(Math.abs(size / bytes - 1), `${spoken}, ${name}`).toBeLessThan(0.1);
    }
  }
});

test("bodies alternate between the user and the assistant and end with the user", () => {
  const body = requestBody("messages", { model: "bench-model", bytes: 20_000, stream: true });
  const { messages } = JSON.parse(body) as { messages: { role: string }[] };
  expect(messages.map(({ role }) => role)).toEqual(messages.map((_, at) => (at % 2 === 0 ? "user" : "assistant")));
  expect(messages.at(-1)?.role).toBe("user");
});
