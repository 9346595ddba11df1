// What the JSON guard costs against `JSON.parse` of the same text, in one run: decoding, checks and the guard's own
// `JSON.parse` included. Times are the best of many, so that the neighbours' load stays out of the ratio.
// Run: sh bin/bun bench/json-guard.ts

import { GatewayError } from "../src/errors.ts";
import { guardJson } from "../src/wire/json-guard.ts";

const prose =
  "A budget is a promise about money; a gateway keeps it while the agents talk, at length, about other things. ";
const code =
  'function quote(text) {\n\tconst escaped = text.replace(/\\\\/g, "\\\\\\\\").replace(/"/g, "\\\\\\"");\n\treturn escaped;\n}\n';

function chat(size: number, unit: string): string {
  const messages: unknown[] = [];
  for (let length = 0, i = 0; length < size; i += 1) {
    const text = unit.repeat(1 + ((i * 7) % 12)).slice(0, Math.max(20, size - length));
    length += text.length;
    messages.push(
      i % 2 === 0 ? { role: "user", content: text } : { role: "assistant", content: [{ type: "text", text }] },
    );
  }
  return JSON.stringify({ model: "claude-sonnet-4-5", max_tokens: 1024, stream: true, system: prose, messages });
}

function toolSchemas(count: number): string {
  const tools = Array.from({ length: count }, (_, i) => ({
    name: `tool_${i}`,
    description: prose,
    input_schema: {
      type: "object",
      properties: { path: { type: "string", description: "a path" }, limit: { type: "integer", minimum: 0 } },
      required: ["path"],
      additionalProperties: false,
    },
  }));
  return JSON.stringify({ model: "m", max_tokens: 100, tools, messages: [{ role: "user", content: "hi" }] });
}

const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".repeat(190_000);
const shapes: Readonly<Record<string, string>> = {
  "chat 1 KB": chat(700, prose),
  "chat 200 KB": chat(200_000, prose),
  "chat 1 MB": chat(1_000_000, prose),
  "code 200 KB": chat(200_000, code),
  "Chinese 1 MB": chat(350_000, "预算网关在本地回答，并且记录每一次请求。".repeat(5)),
  "escaped 200 KB": chat(34_000, "预算😀").replace(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  ),
  "60 tools": toolSchemas(60),
  "60,000 numbers": JSON.stringify({ model: "m", input: Array.from({ length: 60_000 }, (_, i) => i % 1_000) }),
  "20,000 objects": JSON.stringify({
    model: "m",
    input: Array.from({ length: 20_000 }, (_, i) => ({ a: i, b: "x", c: null })),
  }),
  "image 8 MB": JSON.stringify({ model: "m", messages: [{ role: "user", content: [{ type: "image", data: image }] }] }),
};

const bombs: Readonly<Record<string, string>> = {
  "32 MB of {},": `{"a":[${"{},".repeat(11_000_000)}{}]}`,
  "32 MB of 1,": `{"a":[${"1,".repeat(16_000_000)}1]}`,
  "5 M deep": `{"a":${"[".repeat(5_000_000)}${"]".repeat(5_000_000)}}`,
  "16 MB of \\\\": `{"a":"${"\\\\".repeat(8_000_000)}"}`,
  '16 MB of \\"': `{"a":"${'\\"'.repeat(8_000_000)}"}`,
  "2 M short strings": `{"a":[${'"x",'.repeat(2_000_000)}1]}`,
  "99,999 integer keys": `{${Array.from({ length: 99_999 }, (_, i) => `"${i * 40_503}":0`).join()}}`,
  "a late duplicate": `{"a":[${'{"k":1},'.repeat(90_000)}{"k":1,"k":2}]}`,
};

/** Keeps the engine from leaving out work whose result nobody reads. */
const sink: { last: unknown } = { last: null };

/** Best of what fits into the budget, in microseconds. */
function best(run: () => unknown, budgetMs: number): number {
  let lowest = Infinity;
  let repeats = 1;
  const until = performance.now() + budgetMs;
  do {
    const start = performance.now();
    for (let i = 0; i < repeats; i += 1) sink.last = run();
    const ms = performance.now() - start;
    if (ms < 0.3) repeats *= 2;
    lowest = Math.min(lowest, ms / repeats);
  } while (performance.now() < until);
  return lowest * 1_000;
}

function tryGuard(bytes: Uint8Array): string {
  try {
    guardJson(bytes);
    return "accepted";
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return error.publicMessage.replace(/.*\(|\).*/g, "");
  }
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const decoder = new TextDecoder();
console.log(
  "Times in µs. The last column holds the guard against what any reader of bytes must do: decode, then parse.",
);
console.log(["body", "bytes", "JSON.parse", "decode", "guard", "guard/parse", "guard/(decode+parse)"].join("  |  "));
for (const [table, budgetMs] of [
  [shapes, 150],
  [bombs, 1],
] as const) {
  for (const [name, text] of Object.entries(table)) {
    const bytes = new TextEncoder().encode(text);
    let parse = Infinity;
    let guard = Infinity;
    let decode = Infinity;
    for (let round = 0; round < 3; round += 1) {
      guard = Math.min(
        guard,
        best(() => tryGuard(bytes), budgetMs),
      );
      decode = Math.min(
        decode,
        best(() => decoder.decode(bytes), budgetMs / 2),
      );
      parse = Math.min(
        parse,
        best(() => tryParse(text), budgetMs),
      );
    }
    const times = [parse, decode, guard].map((us) => us.toFixed(1).padStart(11));
    const ratios = [guard / parse, guard / (decode + parse)].map((ratio) => ratio.toFixed(2).padStart(6));
    console.log(name.padEnd(20), String(bytes.length).padStart(9), ...times, ...ratios, ` ${tryGuard(bytes)}`);
  }
}
