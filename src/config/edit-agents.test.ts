import { describe, expect, test } from "bun:test";
import { parse } from "yaml";

import { createToken, hashToken } from "./agent-token.ts";
import { checkConfig } from "./check.ts";
import { addAgent, removeAgent, rotateAgent } from "./edit-agents.ts";
import type { Edit } from "./edit-agents.ts";

const [one, two, three] = ["1", "2", "3"].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string, string];

const none = { keep: "none" } as const;
const next = { keep: "until next rotation" } as const;

/** The new text; it must pass the check. */
function textOf(edit: Edit): string {
  if ("problem" in edit) throw new Error(edit.problem);
  expect(checkConfig(edit.text, "c.yaml")).toHaveProperty("content");
  return edit.text;
}

function add(text: string, name = "yoda", dailyUsd: number | undefined = 1): string {
  return textOf(addAgent(text, { name, dailyUsd, tokenHash: three }));
}

const house = `# Our house
listen:   127.0.0.1:4040     # as ever

agents:
  # the builder
  windu:   { daily_usd: 2.00, tokens: ["${one}"] }   # careful
  mothma:
    daily_usd: 2.00
    tokens:
      - ${one.replaceAll("1", "4")}   # laptop
      - ${two}
    # end of mothma
  jocasta:
  # per agent also: hourly_usd

stats: {  access:   loopback }
`;

describe("adding an agent", () => {
  test("leaves every other byte as it is", () => {
    const line = `  yoda: { daily_usd: 1.00, tokens: ["${three}"] }\n`;
    expect(add(house)).toBe(house.replace("  jocasta:\n", `  jocasta:\n${line}`));
  });
  test("begins the section where there is none", () => {
    const section = `agents:\n  yoda: { daily_usd: 1.00, tokens: ["${three}"] }\n`;
    expect(add("")).toBe(section);
    expect(add("# mine\nlisten: 127.0.0.1:1")).toBe(`# mine\nlisten: 127.0.0.1:1\n\n${section}`);
    expect(add("# nothing\n")).toBe(`# nothing\n\n${section}`);
    expect(add("agents:   # none yet\nstats: {}\n")).toBe(
      `agents:   # none yet\n  yoda: { daily_usd: 1.00, tokens: ["${three}"] }\nstats: {}\n`,
    );
  });
  test("works in layouts that no splice foresees", () => {
    const layouts = [
      "agents: {}",
      "agents: { a: {} }\n",
      "{ agents: { a: {} } }",
      "stats: {}\n...\n",
      "agents: ~\n",
      "{}",
    ];
    for (const layout of layouts) {
      const found = parse(add(layout)) as { agents: Record<string, unknown> };
      expect(found.agents["yoda"]).toEqual({ daily_usd: 1, tokens: [three] });
    }
  });
  test("keeps JSON valid JSON", () => {
    const found = JSON.parse(add('{ "agents": { "a": { "daily_usd": 1 } }, "listen": "127.0.0.1:1" }')) as unknown;
    expect(found).toEqual({
      agents: { a: { daily_usd: 1 }, yoda: { daily_usd: 1, tokens: [three] } },
      listen: "127.0.0.1:1",
    });
  });
  test("keeps line ends of Windows", () => {
    expect(add("agents:\r\n  a: {}\r\n").replaceAll("\r\n", "")).not.toContain("\n");
  });
  test("writes amounts exactly, and none where none is given", () => {
    expect(add("", "a", 0.125)).toContain("daily_usd: 0.125,");
    expect(add("", "a", 0)).toContain("daily_usd: 0.00,");
    expect(textOf(addAgent("", { name: "a", dailyUsd: undefined, tokenHash: one }))).not.toContain("daily_usd");
  });
  test("is refused for a name that is taken or can't be one", () => {
    expect(addAgent(house, { name: "windu", dailyUsd: 1, tokenHash: one })).toHaveProperty("problem");
    for (const name of ["", "Yoda", "a b", "-a", "a".repeat(33), "a: {}\nb", "ä"]) {
      expect(addAgent(house, { name, dailyUsd: 1, tokenHash: one })).toHaveProperty("problem");
    }
  });
  test("works for names that YAML could take for something else", () => {
    for (const name of ["null", "true", "no", "y", "nan", "e1"]) {
      expect(Object.keys((parse(add(house, name), { stringKeys: true }) as { agents: object }).agents)).toContain(name);
    }
  });
});

describe("rotating a token", () => {
  test("replaces the list, and nothing else", () => {
    expect(textOf(rotateAgent(house, "windu", three, none))).toBe(house.replace(`["${one}"]`, `["${three}"]`));
    expect(textOf(rotateAgent(house, "mothma", three, none))).toBe(
      house.replace(/ {6}- sha256:4+ {3}# laptop\n {6}- \S+\n/, `      - "${three}"\n`),
    );
  });
  test("keeps the newest old one where the two shall overlap", () => {
    expect(textOf(rotateAgent(house, "mothma", three, next))).toBe(
      house.replace(/ {6}- sha256:4+ {3}# laptop\n {6}- \S+\n/, `      - "${two}"\n      - "${three}"\n`),
    );
  });
  test("ends the newest old one at a moment that is written beside it, and never puts off an end that it had", () => {
    const at = (time: string) => ({ keep: "until", untilMs: Date.parse(time) }) as const;
    const tokensIn = (text: string) => (parse(text) as { agents: { a: { tokens: string[] } } }).agents.a.tokens;
    const file = `agents:\n  a: { tokens: ["${one}", "${two}"] }   # of the laptop\n`;
    const first = textOf(rotateAgent(file, "a", three, at("2026-11-28T06:45:00.001Z")));
    expect(first).toBe(
      `agents:\n  a: { tokens: ["${two} until 2026-11-28T06:45:01Z", "${three}"] }   # of the laptop\n`,
    );
    const ending = `agents: { a: { tokens: ["${two} until 2026-11-28T06:45:01Z"] } }`;
    for (const time of ["2026-11-28T06:45:02Z", "2026-11-28T06:45:01Z"])
      expect(tokensIn(textOf(rotateAgent(ending, "a", three, at(time))))[0]).toBe(`${two} until 2026-11-28T06:45:01Z`);
    expect(tokensIn(textOf(rotateAgent(ending, "a", three, at("2026-11-28T06:00:00Z"))))[0]).toBe(
      `${two} until 2026-11-28T06:00:00Z`,
    );
  });
  test("gives a token to an agent that has none, however it is written", () => {
    expect(textOf(rotateAgent(house, "jocasta", three, next))).toBe(
      house.replace("  jocasta:\n", `  jocasta: { tokens: ["${three}"] }\n`),
    );
    for (const agent of [
      "{}",
      "{ daily_usd: 1 }",
      "\n    daily_usd: 1 # one\n    over_budget: local",
      "{ tokens: [] }",
      "&x {}",
    ]) {
      const text = textOf(rotateAgent(`agents:\n  a: ${agent}\n  b: {}\n`, "a", three, none));
      expect((parse(text) as { agents: { a: { tokens: string[] } } }).agents.a.tokens).toEqual([three]);
      if (agent.includes("#")) expect(text).toContain("# one");
    }
  });
  test("is refused for an agent that is not in the file", () => {
    expect(rotateAgent(house, "yoda", three, none)).toHaveProperty("problem");
    expect(rotateAgent("", "default", three, none)).toHaveProperty("problem");
  });
});

describe("removing an agent", () => {
  test("takes its lines out, and nothing else", () => {
    expect(textOf(removeAgent(house, "windu"))).toBe(house.replace(/ {2}windu.*\n/, ""));
    expect(textOf(removeAgent(house, "mothma"))).toBe(house.replace(/ {2}mothma:\n( {4}.*\n){4}/, ""));
    expect(textOf(removeAgent(house, "jocasta"))).toBe(house.replace("  jocasta:\n", ""));
  });
  test("may empty the section", () => {
    const text = textOf(removeAgent("agents:\n  a: {}   # only one\n", "a"));
    expect(checkConfig(text, "c.yaml")).toHaveProperty("content.agents");
  });
  test("works in one line and in JSON", () => {
    expect(parse(textOf(removeAgent("agents: { a: {}, b: {} }", "a")))).toEqual({ agents: { b: {} } });
    expect(JSON.parse(textOf(removeAgent('{"agents": {"a": {}, "b": {}}}', "a")))).toEqual({ agents: { b: {} } });
  });
  test("is refused where it is not there, or an alias needs it", () => {
    expect(removeAgent(house, "yoda")).toHaveProperty("problem");
    expect(removeAgent("agents:\n  a: &x {}\n  b: *x\n", "a")).toHaveProperty("problem");
  });
});

describe("a token", () => {
  test("names its agent, has 256 random bits, and is known by its hash alone", () => {
    const { token, hash } = createToken("windu", (size) => new Uint8Array(size).fill(255));
    expect(token.reveal()).toBe(`sk-sanctum-windu-${"_".repeat(42)}8`);
    expect(hash).toBe(`sha256:${hashToken(token.reveal())}`);
    expect(hashToken("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(String(token)).not.toContain("sk-");
  });
  test("is not made from too few random bytes", () => {
    expect(() => createToken("windu", () => new Uint8Array(16))).toThrow("32 random bytes");
  });
});
