// What a Messages client offers and demands of tools, as servers of the chat dialect get it.

import { afterAll, beforeAll, expect } from "bun:test";
import { codecs } from "../../src/wire/codecs.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { post } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import { allKinds, attemptsIn, grammarKinds, homeKinds, KindsHouse } from "./kinds-house.ts";
import { rule } from "./rule.ts";

let kinds: KindsHouse;
beforeAll(async () => {
  kinds = await KindsHouse.start({ config: { fallback: ["vllm-1/m"] } });
});
afterAll(async () => kinds[Symbol.asyncDispose]());

const user = (...content: object[]): object => ({ role: "user", content });
const text = (words: string): object => ({ type: "text", text: words });
const schema = { type: "object", properties: { q: { type: "string" } } };
const tools = ["first", "second"].map((name) => ({ name, description: name, input_schema: schema }));
const search = { type: "web_search_20250305", name: "web_search", max_uses: 8 };
/** 500 once: unlike a 429 it does not keep the provider shut. */
const failing: Step = { refuse: { status: 500 } };

function offeredIn(body: JsonObject): (Json | undefined)[] {
  return objectsOf(body["tools"]).map((tool) => objectOf(tool["function"])?.["name"]);
}

rule(
  25,
  "the vendor's own tools are no functions; a request about nothing else is answered that they are missing",
  async () => {
    const own = [
      search,
      { type: "web_fetch_20250910", name: "web_fetch", max_uses: 2, max_content_tokens: 1_000 },
      { type: "bash_20250124", name: "bash" },
      { type: "text_editor_20250728", name: "str_replace_based_edit_tool" },
      { type: "memory_20250818", name: "memory" },
      { type: "computer_20250124", name: "computer", display_width_px: 1, display_height_px: 1 },
    ];
    const servers = [{ type: "url", name: "files", url: "https://mcp.example" }];
    const offer = { tools: [...own, ...tools], tool_choice: { type: "tool", name: "web_search" } };
    for (const kind of allKinds) {
      const { body } = await kinds.ask(kind, offer);
      expect([offeredIn(body), body["tool_choice"]]).toEqual([["first", "second"], "auto"]);
    }
    // These are refused where they would be paid for; a translation knows nothing of them.
    const unpriced = [
      { type: "code_execution_20250825", name: "code_execution" },
      { type: "mcp_toolset", mcp_server_name: "files" },
    ];
    const messages = [{ role: "user", content: "a" }];
    const neutral = codecs.messages.toNeutral({
      model: "m",
      max_tokens: 9,
      messages,
      ...offer,
      tools: [...unpriced, ...offer.tools],
      mcp_servers: servers,
    });
    const body = codecs.chat.fromNeutral(neutral, { profile: "vllm", model: "m", maxOutputTokens: 9 });
    expect(offeredIn(body)).toEqual(["first", "second"]);
    expect(JSON.stringify(body)).not.toContain("mcp");
    const { house } = kinds;
    const side = { tools: [search], tool_choice: { type: "auto" }, messages: [user(text("Search for: hello"))] };
    // While the vendor can, it does.
    const served = await post(house.gateway, "messages", { extra: side });
    expect(await served.text()).toContain("quick brown fox");
    expect(house.cloud.generations.at(-1)!.json()["tools"]).toEqual([search]);
    // When it can't, nobody is asked to make results up, and the agent's turn goes on.
    const before = house.local.generations.length;
    for (const stream of [true, false]) {
      house.cloud.script.push(failing);
      const response = await post(house.gateway, "messages", { extra: { ...side, stream } });
      expect(response.status).toBe(200);
      const answer = await response.text();
      expect(answer).toContain("not available");
      expect(answer).toContain("end_turn");
      if (stream) {
        const events = [...answer.matchAll(/^event: (.*)$/gm)].map(([, name]) => name!);
        expect([events[0], events.at(-1)]).toEqual(["message_start", "message_stop"]);
      } else
        expect(JSON.parse(answer)).toMatchObject({ type: "message", model: "claude-sonnet-4-5", role: "assistant" });
      const id = response.headers.get("x-sanctum-request-id");
      expect(await house.gateway.auditLine((line) => line.id === id)).toMatchObject({ outcome: "ok", usd: 0 });
    }
    expect(house.local.generations).toHaveLength(before);
  },
);

/** Every keyword that stands where a schema's keywords stand, with its value. */
function keywordsIn(value: Json | undefined, found: [string, Json][] = []): [string, Json][] {
  if (Array.isArray(value)) for (const one of value) keywordsIn(one, found);
  const map = objectOf(value);
  if (map === null) return found;
  for (const [key, inner] of Object.entries(map)) {
    found.push([key, inner]);
    if (key === "properties" || key === "$defs") {
      for (const one of Object.values(objectOf(inner) ?? {})) keywordsIn(one, found);
    } else if (key !== "enum" && key !== "required") keywordsIn(inner, found);
  }
  return found;
}

rule(
  26,
  "schemas lose what breaks grammars where a server makes grammars of them, and nothing anywhere else",
  async () => {
    const dirty = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        // A property may be called like a keyword.
        pattern: { type: "string", description: "a regular expression", pattern: "^[a-z\\-/]+$", maxLength: 524_288 },
        format: { type: "string", format: "uri" },
        digits: { type: "string", pattern: "^\\d{3}$" },
        ahead: { type: "string", pattern: "^(?!x)[a-z]+$" },
        often: { type: "string", pattern: "^[a-z]{1,4096}$" },
        loose: { type: "string", pattern: "abc" },
        fine: { type: "string", pattern: "^[a-f]{2}$", maxLength: 40 },
        day: { type: "string", format: "date-time" },
        list: { type: "array", items: { $ref: "#/$defs/entry" }, maxItems: 65_536, minItems: 1 },
        names: { type: "object", propertyNames: { pattern: "^[a-z]+$" }, additionalProperties: { description: "any" } },
        any: { description: "whatever fits" },
        yes: true,
        choice: { enum: ["pattern", "maxLength", { $schema: 1 }] },
      },
      $defs: { entry: { anyOf: [{ type: "string", maxLength: 100_000 }, { title: "open" }] } },
      required: ["pattern"],
      additionalProperties: false,
    };
    for (const kind of allKinds) {
      const { body } = await kinds.ask(kind, { tools: [{ name: "Workflow", input_schema: dirty }] });
      const sent = objectOf(objectOf(objectsOf(body["tools"])[0]!["function"])?.["parameters"])!;
      if (!grammarKinds.some((one) => one === kind)) {
        expect(sent).toEqual(dirty);
        continue;
      }
      const keywords = keywordsIn(sent);
      const values = (key: string): Json[] => keywords.filter(([name]) => name === key).map(([, value]) => value);
      expect([values("$schema"), values("propertyNames"), values("maxItems")]).toEqual([[], [], []]);
      expect(values("pattern")).toEqual(["^[a-f]{2}$"]);
      expect(values("maxLength")).toEqual([40]);
      expect(values("format")).toEqual(["date-time"]);
      const properties = objectOf(sent["properties"])!;
      expect(Object.keys(properties)).toEqual(Object.keys(dirty.properties));
      expect(properties["choice"]).toEqual(dirty.properties.choice);
      expect(properties["pattern"]).toEqual({ type: "string", description: "a regular expression" });
      expect([sent["required"], sent["additionalProperties"], values("minItems")]).toEqual([["pattern"], false, [1]]);
      // "Anything" must be said: a schema of remarks alone is an error there.
      const open = [properties["any"], properties["yes"], objectOf(properties["names"])?.["additionalProperties"]];
      for (const one of open) expect(objectOf(one)?.["type"]).toBeArray();
      expect(objectOf(properties["any"])?.["description"]).toBe("whatever fits");
    }
  },
);

rule(
  27,
  "a choice of tool is told in the server's words; one that can't be forced to call is not asked to",
  async () => {
    const choices = [{ type: "auto" }, { type: "none" }, { type: "any" }, { type: "tool", name: "second" }] as const;
    const named = { type: "function", function: { name: "second" } };
    for (const kind of allKinds) {
      for (const choice of choices) {
        const forced = choice.type === "any" || choice.type === "tool";
        if ((kind === "ollama" || kind === "mlx") && forced) {
          // The next candidate calls it.
          const before = kinds.house.local.generations.length;
          const response = await post(kinds.house.gateway, "messages", {
            model: `${kind}-1/m`,
            extra: { tools, tool_choice: choice },
          });
          expect(await attemptsIn(kinds.house, response)).toEqual([`${kind}-1/m:skipped_policy`, "vllm-1/m:ok"]);
          const asked = kinds.house.local.generations.slice(before).map((request) => request.json());
          expect(asked.map((body) => body["tool_choice"])).toEqual([choice.type === "any" ? "required" : named]);
          continue;
        }
        const { body } = await kinds.ask(kind, { tools, tool_choice: choice });
        const asked = [offeredIn(body), body["tool_choice"]];
        // Who does not listen to "none" is offered no tool; who takes no name is offered that one alone.
        if (choice.type === "none" && (kind === "ollama" || kind === "mlx")) expect(asked).toEqual([[], undefined]);
        else if (choice.type !== "tool") {
          expect(asked).toEqual([["first", "second"], choice.type === "any" ? "required" : choice.type]);
        } else if (kind === "lmstudio") expect(asked).toEqual([["second"], "required"]);
        else expect(asked).toEqual([["first", "second"], named]);
      }
      const { body } = await kinds.ask(kind, { tool_choice: { type: "any" } });
      expect(body["tool_choice"]).toBeUndefined();
    }
  },
);

rule(28, "a client that allows one call at a time gets one, also of a server that does not listen", async () => {
  const choice = { type: "auto", disable_parallel_tool_use: true };
  const calls = [
    { id: "c1", name: "first", input: { q: "one" } },
    { id: "c2", name: "second", input: { q: "two" } },
  ];
  const both: Step = { answer: { toolCalls: calls } };
  for (const kind of homeKinds) {
    for (const stream of [false, true]) {
      kinds.house.local.script.push(both);
      const once = await kinds.ask(kind, { tools, stream, tool_choice: choice });
      expect(once.body["parallel_tool_calls"]).toBe(false);
      const answer = await once.response.text();
      expect([answer.includes('"first"'), answer.includes('"second"')]).toEqual([true, false]);
      expect(answer).toContain("tool_use");
      kinds.house.local.script.push(both);
      const free = await kinds.ask(kind, { tools, stream, tool_choice: { type: "auto" } });
      expect(free.body["parallel_tool_calls"]).toBeUndefined();
      expect(await free.response.text()).toContain('"second"');
    }
  }
  const { body } = await kinds.ask("openai", { tools, tool_choice: choice });
  expect([body["tool_choice"], body["parallel_tool_calls"]]).toEqual(["auto", false]);
  expect(textOf(body["model"])).toBe("m");
});
