// Tool calls in streams to a Messages client, and answers that are none.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, textOf } from "../fakes/json-access.ts";
import {
  AnswersHouse,
  blocksOf,
  blockStart,
  blockStop,
  calls,
  chunk,
  completion,
  done,
  FALLBACK_TEXT,
  message,
  messageEnd,
  messageStart,
  type Server,
  type Told,
} from "./answers-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);
let house: AnswersHouse;
beforeAll(async () => {
  house = await AnswersHouse.start();
});
afterAll(async () => house[Symbol.asyncDispose]());

async function streamed(server: Server, rawBody: string[]): Promise<Told> {
  const told = await house.ask("messages", server, { rawBody }, { stream: true });
  expect(told.fault).toBeNull();
  return told;
}

/** Name and input of each call, in order. */
function calledIn(told: Told): unknown[] {
  return blocksOf(told).flatMap(({ type, name, input }) => (type === "tool_use" ? [[name, input]] : []));
}

const fn = (index: number, fields: JsonObject): string => calls({ index, function: fields });

rule(119, "a tool_use block starts with an empty input, and all of the input comes in deltas", async () => {
  const input = { city: "Oslo", days: [1, 2] };
  const started = blockStart(0, { type: "tool_use", id: "toolu_1", name: "f", input });
  const told = await streamed("home-messages", [messageStart, started, blockStop(0), ...messageEnd("tool_use")]);
  const object = calls({ index: 0, id: "c", function: { name: "f", arguments: input } });
  for (const one of [told, await streamed("chat", [object, chunk({}, "tool_calls"), done])]) {
    const start = one.data.find(({ type }) => type === "content_block_start");
    expect(objectOf(start?.["content_block"])).toMatchObject({ type: "tool_use", name: "f", input: {} });
    expect(calledIn(one)).toEqual([["f", input]]);
  }
});

rule(
  122,
  "calls that an upstream sends in turns are told apart by their index, and come one after the other",
  async () => {
    const begin = (index: number): string =>
      calls({ index, id: `c${index}`, function: { name: `f${index}`, arguments: "" } });
    const rawBody = [
      begin(0),
      begin(1),
      fn(1, { arguments: '{"n":' }),
      fn(0, { arguments: '{"n"' }),
      begin(2),
      calls({ index: 0, function: { arguments: ":0}" } }, { index: 2, function: { arguments: '{"n":2' } }),
      fn(1, { arguments: "1}" }),
      fn(2, { arguments: "}" }),
      chunk({}, "tool_calls"),
      done,
    ];
    const told = await streamed("chat", rawBody);
    expect(calledIn(told)).toEqual([0, 1, 2].map((n) => [`f${n}`, { n }]));
  },
);

rule(
  123,
  "a call starts once its name is known: servers leave index or id out and send name and id in pieces",
  async () => {
    const end = [chunk({}, "tool_calls"), done];
    const cases: [string, string[], unknown[]][] = [
      [
        "the id first, then arguments, then the name",
        [
          calls({ index: 0, id: "a" }),
          fn(0, { arguments: '{"x":' }),
          fn(0, { name: "f" }),
          fn(0, { name: "", arguments: "1}" }),
        ],
        [["f", { x: 1 }]],
      ],
      [
        "neither index nor id",
        [calls({ function: { name: "f", arguments: '{"x":1}' } }), calls({ function: { name: "g", arguments: "{}" } })],
        [
          ["f", { x: 1 }],
          ["g", {}],
        ],
      ],
      [
        "no index, told apart by ids",
        [
          calls({ id: "a", function: { name: "f", arguments: "{" } }),
          calls({ id: "a", function: { arguments: "}" } }),
          calls({ id: "b", function: { name: "f", arguments: "{}" } }),
        ],
        [
          ["f", {}],
          ["f", {}],
        ],
      ],
      [
        "one index for all",
        [
          calls({ index: 0, id: "a", function: { name: "f", arguments: "{}" } }),
          calls({ index: 0, id: "b", function: { name: "g", arguments: "{}" } }),
        ],
        [
          ["f", {}],
          ["g", {}],
        ],
      ],
      [
        "one index for all, and no id",
        [fn(0, { name: "f", arguments: '{"x":1}' }), fn(0, { name: "f", arguments: '{"x":2}' })],
        [
          ["f", { x: 1 }],
          ["f", { x: 2 }],
        ],
      ],
      [
        "the name again and again",
        ['{"x"', ":", "1}"].map((json) => fn(0, { name: "f", arguments: json })),
        [["f", { x: 1 }]],
      ],
      [
        "never a name",
        [
          calls({ index: 0, id: "a", function: { arguments: "{}" } }),
          calls({ index: 1, id: "b", function: { name: "g" } }),
        ],
        [["g", {}]],
      ],
    ];
    for (const [what, pieces, expected] of cases) {
      const told = await streamed("chat", [...pieces, ...end]);
      expect([what, calledIn(told)]).toEqual([what, expected]);
      for (const { type, content_block } of told.data) {
        if (type === "content_block_start") expect(textOf(objectOf(content_block)?.["name"])).not.toBe("");
      }
    }
  },
);

rule(
  124,
  "the pieces of an input make up JSON: broken input is mended before the block ends, or the call is no call",
  async () => {
    const written = ["{'path': 'a.txt',", " 'all': True"];
    const pieces = written.map((json, n) => fn(0, { ...(n === 0 ? { name: "f" } : {}), arguments: json }));
    const mended = await streamed("chat", [...pieces, chunk({}, "tool_calls"), done]);
    expect(calledIn(mended)).toEqual([["f", { path: "a.txt", all: true }]]);

    const hopeless = await streamed("chat", [fn(0, { name: "f", arguments: "{oops]" }), chunk({}, "tool_calls"), done]);
    expect(calledIn(hopeless)).toEqual([]);
    expect([blocksOf(hopeless), hopeless.answer["stop_reason"]]).toEqual([
      [{ type: "text", text: "f({oops])" }],
      "end_turn",
    ]);

    // What was cut off by the limit of the answer would lose its end without a word.
    const command = fn(0, { name: "f", arguments: '{"command":"rm -rf /home/me/build' });
    const cut = await streamed("chat", [command, chunk({}, "length"), done]);
    expect([calledIn(cut), cut.answer["stop_reason"]]).toEqual([[], "max_tokens"]);
  },
);

/** In both ways, of which the second is also what some servers send although a stream was asked for. */
async function silent(server: Server, whole: string, pieces: string[]): Promise<void> {
  const steps = [
    [{ rawBody: whole, jsonForStream: true }, false],
    [{ rawBody: whole, jsonForStream: true }, true],
    [{ rawBody: pieces }, false],
    [{ rawBody: pieces }, true],
  ] as const;
  for (const [step, stream] of steps) {
    const told = await house.ask("messages", server, step, { stream, alone: true });
    expect([whole, stream, told.status, told.fault]).toEqual([whole, stream, 200, null]);
    expect(blocksOf(told)).toEqual([{ type: "text", text: FALLBACK_TEXT }]);
    const [first, second] = await house.outcomes(told.model);
    expect([first === "ok", second]).toEqual([false, "ok"]);
  }
}

rule(
  125,
  "no empty text block stands before a call, and a local answer without a word is not handed on: the next candidate answers",
  async () => {
    const end = [chunk({}, "tool_calls"), done];
    for (const blank of ["", "\n\n"]) {
      const told = await streamed("chat", [chunk({ content: blank }), fn(0, { name: "f", arguments: "{}" }), ...end]);
      expect(blocksOf(told).map(({ type }) => type)).toEqual(["tool_use"]);
      const tool_calls = [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }];
      const rawBody = completion({ content: blank, tool_calls }, "tool_calls");
      const whole = await house.ask("messages", "chat", { rawBody });
      expect(blocksOf(whole).map(({ type }) => type)).toEqual(["tool_use"]);
    }
    for (const blank of [null, "", " \n"]) {
      const pieces = [chunk({ role: "assistant", content: blank }), chunk({}, "stop"), done];
      await silent("home", completion({ content: blank }, "stop"), pieces);
    }
    for (const content of [[], [{ type: "text", text: "" }]]) {
      const blocks = content.flatMap((block, index) => [blockStart(index, block), blockStop(index)]);
      await silent("home-messages", message(content, "end_turn"), [messageStart, ...blocks, ...messageEnd("end_turn")]);
    }
  },
);

rule(
  126,
  "a local answer of thoughts alone is not handed on: the next candidate answers, and the client sees none of them",
  async () => {
    const thoughts = [
      chunk({ reasoning_content: "Hm, " }),
      chunk({ reasoning_content: "well." }),
      chunk({}, "stop"),
      done,
    ];
    await silent("home", completion({ reasoning_content: "Hm, well.", content: "" }, "stop"), thoughts);
    const block = { type: "thinking", thinking: "Hm, well.", signature: "" };
    const stream = [messageStart, blockStart(0, block), blockStop(0), ...messageEnd("end_turn")];
    await silent("home-messages", message([block], "end_turn"), stream);
    // With a word behind them they are an answer, and shown.
    const told = await streamed("home", [...thoughts.slice(0, 2), chunk({ content: "Hi" }), chunk({}, "stop"), done]);
    expect(blocksOf(told).map(({ type }) => type)).toEqual(["thinking", "text"]);
  },
);

rule(127, "thinking of a local model is a thinking block that nobody signed", async () => {
  const pieces = [
    chunk({ reasoning: "Hm" }),
    chunk({ reasoning: "." }),
    chunk({ content: "Hi" }),
    chunk({}, "stop"),
    done,
  ];
  for (const server of ["home", "chat"] as const) {
    const told = await streamed(server, pieces);
    expect(blocksOf(told)).toEqual([
      { type: "thinking", thinking: "Hm.", signature: "" },
      { type: "text", text: "Hi" },
    ]);
    expect(told.body).not.toContain("signature_delta");
  }
});
