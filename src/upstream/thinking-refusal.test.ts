import { describe, expect, test } from "bun:test";
import { readThinkingRefusal } from "./thinking-refusal.ts";

function refusal(message: string, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ error: { message } }), { status: 400, headers });
}

describe("a refusal of earlier thinking", () => {
  test("is known by its wording, and can still be read by whoever comes next", async () => {
    for (const [message, expected] of [
      ["messages.1.content.0: Invalid `signature` in `thinking` block", true],
      ["The block is bound to a different conversation", true],
      ["messages.1.content.0.thinking.signature: Field required", true],
      ["max_tokens: 9 > 8", false],
    ] as const) {
      const read = await readThinkingRefusal(refusal(message, { "x-kept": "yes" }));
      expect(read.refused).toBe(expected);
      expect([read.response.status, read.response.headers.get("x-kept")]).toEqual([400, "yes"]);
      expect(await read.response.text()).toContain(message);
    }
  });

  test("is looked for in the first 64 KB alone", async () => {
    const announced = refusal("thinking", { "content-length": "70000" });
    expect((await readThinkingRefusal(announced)).refused).toBe(false);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(16 * 1024).fill(0x20));
      },
    });
    expect((await readThinkingRefusal(new Response(endless, { status: 400 }))).refused).toBe(false);
    expect(sent).toBeLessThan(10);
  });

  test("whose body breaks off is judged by what came", async () => {
    let pulls = 0;
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulls++ === 0) controller.enqueue(new TextEncoder().encode("Invalid signature"));
        else controller.error(new Error("reset"));
      },
    });
    expect((await readThinkingRefusal(new Response(broken, { status: 400 }))).refused).toBe(true);
  });
});
