import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";

import { checkConfig } from "./check.ts";
import type { CheckOptions } from "./check.ts";
import { formatFault } from "./fault.ts";

function faultsOf(text: string, options?: CheckOptions): string[] {
  const result = checkConfig(text, "c.yaml", options);
  return "faults" in result ? result.faults.map(formatFault) : [];
}

/** `line:column key.path` of each fault. */
function placesOf(text: string): string[] {
  return faultsOf(text).map((fault) => /^c\.yaml:(\d+:\d+(?: [^:]+)?):/.exec(fault)?.[1] ?? fault);
}

const hash = `sha256:${"0123456789abcdef".repeat(4)}`;
const tail = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3abcd";

const reference = `
listen: [127.0.0.1:4040, "[::1]:4040", "unix:/run/sanctum/sanctum.sock", 10.10.10.1:4040]
host_names: [gateway.home.arpa]
timezone: Europe/Berlin
identity: { anonymous: loopback }
agents:
  windu:   { daily_usd: 2.00, hourly_usd: 1, monthly_usd: "40.00", tokens: ["${hash}"] }
  jocasta: { requests_per_minute: 60, max_concurrent: 4, models: ["claude-*"], over_budget: refuse }
  default: { daily_usd: 0.50 }
providers:
  anthropic:  { url: "https://api.anthropic.com", dialects: [messages], key: keychain }
  openai:     { key: { command: [op, read, "op://Private/openai/credential"] } }
  ollama:     { url: "http://127.0.0.1:11434/v1", dialects: [chat], local: true }
  far:
    url: https://llm.example.com/v1
    headers: { x-title: Sanctum }
    ca_file: /etc/ssl/far.pem
    timeouts: { connect: 5s, first_byte: 60s, first_content: 120s, idle: 60s }
    limits: { requests_per_minute: 50, input_tokens_per_minute: 40000, output_tokens_per_minute: 8000, concurrent: 4 }
    retry: { attempts: 2, base: 500ms, max: 8s }
models:
  coder-14b: { provider: ollama, model: "qwen2.5-coder:14b", context: 32768, max_output: 8192 }
  big: { provider: far, model: big, price: { input: 3.00, output: 15.00, cache_read: 0.30, cache_write: 3.75 } }
fallback: [coder-14b, gemma-4]
routes:
  - name: small-code-stays-home
    when: { intent: code, input_tokens: "<8000", agent: windu, dialect: chat, model: "gpt-*", has: { tools: true },
            time: 22:00-06:00, budget_used: ">80%", header: { name: x-team, value: "core*" } }
    use: [coder-14b, anthropic/claude-sonnet-4-5, claude-opus-4-5, meta-llama/llama-3.3-70b]
stream: { takeover: off }
audit: { file: audit.jsonl, content: none, rotate: { size: 100MB, keep: 30 }, on_failure: refuse }
stats: { access: loopback }
tls: { cert_file: cert.pem, key_file: key.pem }
`;

describe("a right configuration", () => {
  test("may use every key of the reference", () => {
    expect(faultsOf(reference)).toEqual([]);
  });
  test("may be empty, comments alone, or sections without content", () => {
    for (const text of [
      "",
      "\n",
      "# nothing yet\n",
      "---\n",
      "agents:\nproviders:\n  # none\n",
      "agents: {windu: }",
      "{}",
    ]) {
      expect([text, faultsOf(text)]).toEqual([text, []]);
    }
  });
  test("may be JSON, indented by tabs too", () => {
    const data = { agents: { windu: { daily_usd: 2 } }, fallback: ["coder-14b"] };
    for (const indent of [0, 2, "\t"]) expect(faultsOf(JSON.stringify(data, null, indent))).toEqual([]);
  });
  test("may use anchors and aliases", () => {
    expect(faultsOf("agents:\n  a: &caps { daily_usd: 1 }\n  b: *caps\n")).toEqual([]);
  });
});

describe("faults", () => {
  test("are reported all at once, each with its place, key and remedy", () => {
    const text = `listen: 0.0.0.0:4040
timezon: local
agents:
  mothma:  { daily_usd: , dayli_usd: 3 }
  jocasta: []
  Bad: {}
providers:
  foo: { dialects: [messages, chatt], key: keychan }
  bar: { url: "http://example.com/v1", headers: { Cookie: x }, timeouts: { connect: 5, first_byt: 3s } }
  anthropic: { local: true }
models:
  a: { provider: olama }
fallback: [coder-14, anthropc/claude, sanctum/auto]
routes:
  - { when: { intent: cod, input_tokens: 8000, agent: windi }, use: [] }
`;
    expect(placesOf(text)).toEqual([
      "1:9 listen",
      "2:1 timezon",
      "4:14 agents.mothma.daily_usd",
      "4:27 agents.mothma.dayli_usd",
      "5:12 agents.jocasta",
      "6:3 agents.Bad",
      "8:8 providers.foo.url",
      "8:31 providers.foo.dialects[1]",
      "8:44 providers.foo.key",
      "9:15 providers.bar.url",
      "9:51 providers.bar.headers.Cookie",
      "9:85 providers.bar.timeouts.connect",
      "9:88 providers.bar.timeouts.first_byt",
      "10:23 providers.anthropic.local",
      "12:6 models.a.model",
      "12:18 models.a.provider",
      "13:12 fallback[0]",
      "13:22 fallback[1]",
      "13:39 fallback[2]",
      "15:23 routes[0].when.intent",
      "15:42 routes[0].when.input_tokens",
      "15:55 routes[0].when.agent",
      "15:69 routes[0].use",
    ]);
    const faults = faultsOf(text);
    expect(faults[1]).toBe("c.yaml:2:1 timezon: is not a known key; did you mean timezone?");
    expect(faults.every((fault) => /: .+; .+/.test(fault))).toBe(true);
  });

  test("never change what is in force: keys that JavaScript gives a meaning are refused", () => {
    for (const key of ["__proto__", "constructor", "prototype"]) {
      expect(placesOf(`agents:\n  ${key}: { daily_usd: 9 }\n`)).toContain(`2:3 agents.${key}`);
    }
    for (const key of ["toString", "hasOwnProperty", "valueOf"]) {
      expect(faultsOf(`${key}: 1`)[0]).toContain("is not a known key");
    }
  });

  test("of a number of thousands are cut off, and found in linear time", () => {
    const text = Array.from({ length: 20_000 }, (_, index) => `key${index}: 1`).join("\n");
    expect(faultsOf(text)).toHaveLength(100);
  });

  test("in an aliased value point to where it is written", () => {
    expect(placesOf("agents:\n  a: &x { daily_usd: no }\n  b: *x\n")).toEqual([
      "2:22 agents.a.daily_usd",
      "2:22 agents.b.daily_usd",
    ]);
  });
});

describe("the text", () => {
  test.each([
    ["a: 1\na: 2\n", "2:1 a"],
    ["agents:\n  windu: {}\n  windu: {}\n", "3:3 agents.windu"],
    ["agents:\n\twindu: {}\n", "2:1"],
    ["agents: {windu: {}\n", "2:1"],
    ["agents: *nothing\n", "1:9"],
    ["---\na: 1\n---\nb: 2\n", "3:1"],
    ["agents: !!js/function x\n", "1:9"],
    ["agents:\n  windu: {}\n bad: {}\n", "3:1"],
    ["? [a, b]\n: 1\n", "1:3"],
    ['listen: "\\q"\n', "1:10"],
  ])("%j is refused at its place", (text, place) => {
    expect(placesOf(text)).toContain(place);
  });

  test("with an alias bomb, or an alias of itself, is refused quickly", () => {
    const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
    expect(faultsOf(`a0: &a0 [x]\n${levels.join("\n")}`)[0]).toMatch(/^c\.yaml:2:\d+: repeats itself/);
    expect(faultsOf("agents: &a { b: *a }\n").length).toBeGreaterThan(0);
    expect(faultsOf(`a: &a 1\nb: [${"*a,".repeat(60_000)}]`)[0]).toContain("aliases");
  });

  test("with merge keys is refused, since YAML 1.2 has none", () => {
    expect(faultsOf("agents:\n  a: &x { daily_usd: 1 }\n  b: { <<: *x }\n")[0]).toContain("is not a known key");
  });

  test("of any nesting is refused without a crash", () => {
    for (const text of ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(100_000)]) {
      expect(faultsOf(text).length).toBeGreaterThan(0);
    }
  });

  test("of any content is answered by faults, never by an exception", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        checkConfig(text, "c.yaml");
        checkConfig(`agents:\n  a: ${text}`, "c.yaml");
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.json(), (text) => void checkConfig(text, "c.yaml")),
      { numRuns: 300 },
    );
  });
});

describe("money", () => {
  test("in any spelling that is no finite amount is refused: such a cap would be no cap", () => {
    const spellings = [".nan", ".NaN", ".inf", "-.inf", ".Inf", "+.inf", "1e400", "-1", "-0.01", "nan", "NaN", "inf"];
    const more = [
      "Infinity",
      "~",
      "null",
      '""',
      "",
      "'2,00'",
      "2,00",
      "$2",
      "2 USD",
      "5_000",
      "no",
      "off",
      "true",
      "[2]",
    ];
    const last = ["{ usd: 2 }", "12:30", "'0x10'", "1e9", "99999999", "'1e3'", "!!str", "unlimited"];
    for (const spelling of [...spellings, ...more, ...last]) {
      const found = faultsOf(`agents:\n  windu:\n    daily_usd: ${spelling}\n`);
      expect([spelling, found.length > 0]).toEqual([spelling, true]);
    }
    for (const price of [".nan", ".inf", "-1", "1e400", "'3'"]) {
      const text = `models: { m: { provider: openai, model: m, price: { input: ${price}, output: 1 } } }`;
      expect(placesOf(text)).toContain("1:60 models.m.price.input");
    }
  });
  test("of 0 is a cap that blocks, and is accepted", () => {
    for (const zero of ["0", "0.00", "'0'", "-0"])
      expect(faultsOf(`agents: { a: { daily_usd: ${zero} } }`)).toEqual([]);
  });
});

describe("references", () => {
  test("of one token by two agents are refused", () => {
    const text = `agents:\n  a: { tokens: ["${hash}"] }\n  b: { tokens: ["${hash.toUpperCase().replace("SHA", "sha")}"] }\n`;
    expect(placesOf(text)).toEqual(["3:17 agents.b.tokens[0]"]);
  });
  test("to a public address need tls", () => {
    for (const listen of ["0.0.0.0:1", "'[::]:1'", "8.8.8.8:1", "[127.0.0.1:1, 0.0.0.0:1]"]) {
      expect(faultsOf(`listen: ${listen}`)[0]).toContain("without tls");
      expect(faultsOf(`listen: ${listen}\ntls: { cert_file: a, key_file: b }`)).toEqual([]);
    }
  });
  test("to the gateway itself are a loop", () => {
    const provider = 'providers: { me: { url: "http://localhost:4040/v1" } }';
    expect(faultsOf(provider)[0]).toContain("is the address of this gateway");
    expect(faultsOf(`listen: ["127.0.0.1:5000", "[::1]:4040"]\n${provider}`)[0]).toContain(
      "is the address of this gateway",
    );
    expect(faultsOf(`listen: 127.0.0.1:5000\n${provider}`)).toEqual([]);
    expect(faultsOf('providers: { other: { url: "http://192.168.1.20:4040/v1" } }')).toEqual([]);
  });
  test("to a bare catalogue name are accepted where the catalogue knows it", () => {
    expect(faultsOf("fallback: [mistral-large]")[0]).toContain("is not a known model");
    expect(faultsOf("fallback: [mistral-large]", { isKnownModel: (name) => name === "mistral-large" })).toEqual([]);
  });
  test("between names of routes are distinct, and default is taken", () => {
    const text =
      "routes:\n  - { name: a, use: [gemma-4] }\n  - { name: a, use: [gemma-4] }\n  - { name: default, use: [gemma-4] }\n";
    expect(placesOf(text)).toEqual(["3:13 routes[1].name", "4:13 routes[2].name"]);
  });
  test("of a paid vendor as local, which would make it free, are refused under every name", () => {
    for (const url of ["https://API.openai.com/v1", "https://api.openai.com./v1"]) {
      expect(faultsOf(`providers: { mine: { url: "${url}", local: true } }`)[0]).toContain("sends bills");
    }
    expect(faultsOf("providers: { anthropic: { local: true } }")[0]).toContain("sends bills");
  });
});

describe("secrets", () => {
  const secret = `sk-ant-api03-${tail}`;
  const places = [
    `providers: { anthropic: { key: ${secret} } }`,
    `providers: { anthropic: { headers: { x-foo: ${secret} } } }`,
    `${secret}: 1`,
    `agents: { windu: { tokens: [${secret}] } }`,
    `# ${secret}`,
    `"${secret.replace("sk-", "\\x73k-")}": 1`,
    `timezone: "${secret.replace("sk-", "\\u0073k-")}"`,
    `timezone: "sk-ant-api03-\\\n  ${tail}"`,
    `providers: { anthropic: { url: "https://${secret}@api.anthropic.com" } }`,
    `agents: [${secret}`,
    `agents: ${secret}: {`,
  ];
  test.each(places)("are found, and never repeated, in %j", (text) => {
    const found = faultsOf(text);
    expect(found.some((fault) => fault.includes("looks like a secret"))).toBe(true);
    expect(found.join("\n")).not.toContain(tail.slice(0, 12));
  });
  test("of unknown form are found under a telling name", () => {
    const found = faultsOf(`providers: { far: { url: "https://far.example", api_key: ${tail} } }`);
    expect(found.some((fault) => fault.includes("providers.far.api_key: looks like a secret"))).toBe(true);
    expect(found.join("\n")).not.toContain(tail);
  });
  test("too short to be told are still not repeated", () => {
    const found = faultsOf("providers: { anthropic: { key: hunter2hunter2, password: hunter2hunter2 } }");
    expect(found).toHaveLength(2);
    expect(found.join("\n")).not.toContain("hunter2");
    expect(found[1]).toContain("sanctum keys set");
  });
  test("and every other value stay out of the faults, whatever is wrong with them", () => {
    const marks = ["listen", "timezone", "fallback", "agents", "stats", "audit", "host_names", "tls", "stream"];
    for (const key of marks) {
      for (const value of ["Zq9Zq9", "[Zq9Zq9 ]", "{ Zq9: { Zq9: Zq9Zq9 } }"]) {
        const found = faultsOf(`${key}: ${value}`).map((fault) => fault.replace(/^\S+ \S+/, ""));
        expect(found.join("\n")).not.toContain("Zq9Zq9");
      }
    }
  });
});
