import { expect, test } from "bun:test";
import { ResponseIdentity } from "./response-identity.ts";
import { keyedOf, StillClock } from "./sample-keyed.ts";

function seen(
  ...events: readonly (readonly [name: string, data: object | string])[]
): ReturnType<ResponseIdentity["next"]> {
  const identity = new ResponseIdentity(keyedOf(), new StillClock());
  for (const [event, data] of events) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    identity.see({ event, data: text, raw: `event: ${event}\ndata: ${text}\n\n` });
  }
  return identity.next();
}

test("a failure of ours goes on with the upstream's response and its numbering", () => {
  const next = seen(
    [
      "response.created",
      { type: "response.created", sequence_number: 0, response: { id: "resp_abc", object: "response" } },
    ],
    ["response.output_text.delta", { type: "response.output_text.delta", sequence_number: 7, delta: "Hi" }],
  );
  expect(next).toEqual({ id: "resp_abc", model: "asked-model", createdAt: 1, sequence: 8 });
});

test("before any event it has an id of its own and begins at nought", () => {
  expect(seen()).toEqual({ id: "resp_01SAMPLE", model: "asked-model", createdAt: 1, sequence: 0 });
});

test("what a model writes is not taken for a number of the stream", () => {
  const next = seen(["response.output_text.delta", { sequence_number: 3, delta: '"sequence_number": 900' }]);
  expect(next.sequence).toBe(4);
});
