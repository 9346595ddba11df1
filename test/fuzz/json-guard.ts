// The JSON guard against mutated bodies. Two judges that share no code with its fast way: the platform's own decoder and
// parser, and the fault finder, which was written without `JSON.parse`.

import { GatewayError } from "../../src/errors.ts";
import { findJsonFault } from "../../src/wire/json-fault.ts";
import { guardJson } from "../../src/wire/json-guard.ts";
import { type SeededRandom, createSeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

const corpus: readonly string[] = [
  '{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}',
  '{"a":[1,-0,2.5e-3,1e308,true,false,null,""],"b":{"c":{"d":[[[]]]}}}',
  '{"model":"x","\\u006dax_tokens":3,"s":"\\ud83d\\ude00 \\\\ \\" \\/ \\b\\f\\n\\r\\t"}',
  '{"é":"预算 😀","k":{"k":{"k":1}},"n":12345678901234567890}',
  '\n{ "tools" : [ { "name" : "f" , "input_schema" : { "type" : "object" } } ] , "stream" : true }\t',
  `{"model":"m","image":"${"iVBORw0KGgo".repeat(12)}","__proto":1,"stop":["\\n\\nHuman:"]}`,
];

const pieces: readonly string[] = [
  ...'{}[],:"\\ \n\t0123456789-+.eEtfnu/'.split(""),
  "true",
  "null",
  '"a":1,',
  ',"a":1',
  '"model":',
  '"Model":0,',
  '"__proto__":{},',
  "\\u006d",
  "\\ud800",
  "\\udc00",
  "\\ud83d\\ude00",
  "\\\\",
  '\\"',
  "1e400",
  "{}",
  "[[[[",
  "\ufeff",
  "\u0000",
  "é",
  "😀",
];

/** Bodies as base64, since they need not be text. */
export const guardedBodies: FuzzTarget = {
  name: "json-guard",
  rounds: 20_000,
  make: (random) => Buffer.from(mutate(random)).toString("base64"),
  judge: (input) => judge(Buffer.from(typeof input === "string" ? input : "", "base64"), () => undefined),
};

/**
 * Throws an Error that names seed and round where the guard and its judges disagree. Returns how many bodies were
 * accepted and refused.
 */
export function fuzzJsonGuard(seed: number, iterations: number): { accepted: number; refused: number } {
  const random = createSeededRandom(seed);
  let accepted = 0;
  for (let round = 0; round < iterations; round += 1) {
    const bytes = mutate(random);
    const problem = judge(bytes, () => (accepted += 1));
    if (problem !== null) {
      const shown = JSON.stringify(new TextDecoder().decode(bytes));
      throw new Error(`seed ${seed}, round ${round}: ${problem}: ${shown}`);
    }
  }
  return { accepted, refused: iterations - accepted };
}

function mutate(random: SeededRandom): Uint8Array {
  let text = random.pick(corpus);
  for (let times = random.integer(4); times > 0; times -= 1) {
    const at = random.integer(text.length + 1);
    const cut = random.integer(3) === 0 ? random.integer(6) : 0;
    text = text.slice(0, at) + (random.integer(4) === 0 ? "" : random.pick(pieces)) + text.slice(at + cut);
  }
  // A splice of two bodies gives equal keys and unbalanced brackets.
  if (random.integer(8) === 0) {
    const other = random.pick(corpus);
    text = text.slice(0, random.integer(text.length)) + other.slice(random.integer(other.length));
  }
  if (random.integer(16) === 0) text = `{"pad":"${"p".repeat(5_000)}","rest":${text}}`;
  const bytes = new TextEncoder().encode(text);
  if (random.integer(10) === 0 && bytes.length > 0) bytes[random.integer(bytes.length)] = random.integer(256);
  return bytes;
}

/** What is wrong, or null. */
function judge(bytes: Uint8Array, onAccepted: () => void): string | null {
  let guarded: ReturnType<typeof guardJson> | null = null;
  try {
    guarded = guardJson(bytes);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== "REQUEST_JSON")
      return `the guard broke with ${String(error)}`;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return guarded === null ? null : "the guard took bytes that are not UTF-8";
  }
  const fault = findJsonFault(text);
  if (guarded === null) return fault === null ? "the guard refused a body without a fault" : null;
  onAccepted();
  if (fault !== null) return `the guard took a body with the fault ${fault.rule} at ${fault.offset}`;
  if (guarded.text !== text) return "the guard's text is not the body's";
  if (!Bun.deepEquals(guarded.body, JSON.parse(text), true)) return "the guard's value is not JSON.parse's";
  if (Object.getPrototypeOf(guarded.body) !== Object.prototype) return "the guard's value has a foreign prototype";
  return null;
}
