// A conversation that is written in a dialect and read again says the same: texts, calls and results, in their order.

import { codecs } from "../../src/wire/codecs.ts";
import type { Dialect, Json, JsonObject, NeutralMessage, NeutralPart, ServerKind } from "../../src/wire/neutral.ts";
import { serverProfiles } from "../../src/wire/profiles/server-profiles.ts";
import { dialects } from "../fakes/house.ts";
import { objectOf, textOf } from "../fakes/json-access.ts";
import { faultsOfChat, faultsOfMessages, faultsOfResponses } from "../fakes/legal.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

/** A turn of the user, or of the assistant with the results of its calls in the order in which they came back. */
interface Turn extends JsonObject {
  user: string[];
  assistant: string[];
  calls: JsonObject[];
  results: JsonObject[];
}

interface TalkCase extends JsonObject {
  dialect: Dialect;
  kind: ServerKind;
  system: string[];
  turns: Turn[];
}

export const roundTrips: FuzzTarget = { name: "round-trip", rounds: 3_000, make, judge };

const kinds: Readonly<Record<Dialect, readonly ServerKind[]>> = {
  messages: ["anthropic"],
  chat: ["openai", "openrouter", "llamacpp", "vllm", "generic"],
  responses: ["openai"],
};
const words = [
  "Grüße",
  "東京",
  "🦊",
  '"quoted"',
  "a\nb",
  "{}",
  "[DONE]",
  "data: x",
  "<b>",
  "\\u0041",
  "[tool error]",
  "0",
];
const names = ["get_weather", "a", "mcp__server__tool", "x".repeat(64), "constructor", "toString"];

function make(random: SeededRandom): Json {
  const dialect = random.pick(dialects);
  const turns: Turn[] = [];
  for (let count = 1 + random.integer(4); count > 0; count -= 1) turns.push(turn(random, turns.length));
  return { dialect, kind: random.pick(kinds[dialect]), system: texts(random, 0), turns };
}

function turn(random: SeededRandom, number: number): Turn {
  const calls: JsonObject[] = [];
  for (let count = random.integer(4); count > 0; count -= 1) {
    // Servers at home begin to count anew in every turn; vendors have ids of their own form.
    const id = random.integer(3) === 0 ? `call_${calls.length}` : `toolu_${number}-${calls.length}`;
    calls.push({ id, name: random.pick(names), input: inputOf(random, 3) });
  }
  const results = calls.map(({ id }) => ({ id: id ?? "", text: random.integer(4) === 0 ? "" : text(random) }));
  for (let at = results.length - 1; at > 0; at -= 1) {
    const other = random.integer(at + 1);
    const held = results[at]!;
    results[at] = results[other]!;
    results[other] = held;
  }
  return { user: texts(random, 1), assistant: texts(random, calls.length > 0 ? 0 : 1), calls, results };
}

function texts(random: SeededRandom, least: number): string[] {
  return Array.from({ length: least + random.integer(3) }, () => text(random));
}

function text(random: SeededRandom): string {
  return Array.from({ length: 1 + random.integer(3) }, () => random.pick(words)).join(" ");
}

function inputOf(random: SeededRandom, depth: number): JsonObject {
  const input: JsonObject = {};
  for (let count = random.integer(4); count > 0; count -= 1) {
    input[random.pick(words)] =
      depth > 0 && random.integer(3) === 0
        ? inputOf(random, depth - 1)
        : random.pick([1.5, null, true, "x\n🦊", -0.001, []]);
  }
  return input;
}

function judge(input: Json): string | null {
  const talk = input as TalkCase;
  const messages = messagesOf(talk);
  const request = codecs.chat.toNeutral({ model: "m", messages: [{ role: "user", content: "x" }] });
  request.messages = messages;
  request.system = talk.system.map((instruction) => ({ text: instruction }));
  const { dialect, kind } = talk;
  const body = codecs[dialect].fromNeutral(request, { profile: kind, model: "m", maxOutputTokens: 100 });
  const sent = JSON.parse(JSON.stringify(body)) as JsonObject;
  const [fault] = faultsOf(dialect, kind, sent);
  if (fault !== undefined) return `${dialect} (${kind}): ${fault}`;
  const again = codecs[dialect].toNeutral(sent);
  const before = digest(talk.system, messages);
  const after = digest(
    again.system.map(({ text }) => text),
    again.messages,
  );
  const at = before.findIndex((line, index) => line !== after[index]);
  if (at >= 0) return `${dialect} (${kind}): "${head(before[at])}" became "${head(after[at])}"`;
  return after.length > before.length ? `${dialect} (${kind}): more was said than before` : null;
}

/** Without what was said, so that finds of one kind look alike. */
function head(line: string | undefined): string {
  return line?.split(" ")[0] ?? "nothing";
}

function faultsOf(dialect: Dialect, kind: ServerKind, body: JsonObject): string[] {
  if (dialect === "messages") return faultsOfMessages(body);
  if (dialect === "responses") return faultsOfResponses(body);
  return faultsOfChat(body, { strictTemplate: !serverProfiles[kind].midSystem && serverProfiles[kind].mergeTurns });
}

function messagesOf(talk: TalkCase): NeutralMessage[] {
  const messages: NeutralMessage[] = [];
  for (const { user, assistant, calls, results } of talk.turns) {
    messages.push({ role: "user", parts: textParts(user) });
    const parts = [...textParts(assistant), ...calls.map(callPart)];
    messages.push({ role: "assistant", parts });
    for (const result of results) {
      const said = textOf(result["text"]);
      messages.push({
        role: "tool",
        callId: textOf(result["id"]),
        parts: textParts(said === "" ? [] : [said]),
        isError: false,
      });
    }
  }
  // An answer that was begun is another matter: some servers continue it, some must be asked to.
  messages.push({ role: "user", parts: textParts(["And?"]) });
  return messages;
}

function textParts(all: readonly string[]): NeutralPart[] {
  return all.map((one) => ({ type: "text", text: one }));
}

function callPart(call: JsonObject): NeutralPart {
  const input = objectOf(call["input"]) ?? {};
  const id = textOf(call["id"]);
  const name = textOf(call["name"]);
  return { type: "tool_call", id, name, input, raw: JSON.stringify(input), form: "function", namespace: undefined };
}

/** One line for each thing said; neighbouring texts of one side are one, as many dialects can't tell them apart. */
function digest(system: readonly string[], messages: readonly NeutralMessage[]): string[] {
  const lines: string[] = [];
  // By their place: ids are made anew where a vendor would refuse them.
  const places = new Map<string, number>();
  let calls = 0;
  let open = { side: "system", text: system.join("") };
  const close = (): void => {
    if (open.text !== "") lines.push(`${open.side} says ${open.text.replaceAll(/\s+/g, "")}`);
    open = { side: "", text: "" };
  };
  for (const message of messages) {
    const said = message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
    if (message.role === "tool") {
      close();
      lines.push(`result of ${places.get(message.callId) ?? "nothing"}: ${said}`);
      continue;
    }
    if (message.role !== open.side) close();
    open = { side: message.role, text: open.text + said };
    for (const part of message.parts) {
      if (part.type !== "tool_call") continue;
      close();
      calls += 1;
      places.set(part.id, calls);
      lines.push(`call ${calls} ${part.name} ${JSON.stringify(part.input)}`);
    }
  }
  close();
  return withSortedResults(lines);
}

/** Results may come back in any order: each is found by its id. */
function withSortedResults(lines: readonly string[]): string[] {
  const out: string[] = [];
  let results: string[] = [];
  for (const line of [...lines, ""]) {
    if (line.startsWith("result ")) results.push(line);
    else {
      out.push(...results.sort(), line);
      results = [];
    }
  }
  return out.slice(0, -1);
}
