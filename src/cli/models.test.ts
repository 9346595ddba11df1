import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import type { Io } from "./io.ts";
import { modelsCommand } from "./models.ts";

afterEach(() => {
  process.exitCode = 0;
});

async function run(...words: readonly string[]): Promise<{ out: string; err: string; code: number }> {
  const said = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    isTty: false,
    env: {},
    home: "/nowhere",
    configFile: "/nowhere/config.yaml",
  };
  process.exitCode = 0;
  await modelsCommand(io, async () => ({ auditFile: "", timezone: "UTC", config })).parseAsync([...words], {
    from: "user",
  });
  return { ...said, code: process.exitCode };
}

const configText = `
providers: { ollama: { url: "http://127.0.0.1:11434/v1", dialects: [chat], local: true } }
models:
  mine: { provider: anthropic, model: claude-opus-5, price: { input: 1, output: 2, cache_read: 0.1 } }
  other: { provider: anthropic, model: claude-opus-5 }
  coder-14b: { provider: ollama, model: "qwen2.5-coder:14b", context: 32768 }
`;
const config = configOf(configText);

function configOf(text: string): Config {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-models-"));
  const file = join(folder, "config.yaml");
  writeFileSync(file, text, { mode: 0o600 });
  const loaded = loadConfig(file, { home: folder });
  rmSync(folder, { recursive: true });
  if ("faults" in loaded) throw new Error(JSON.stringify(loaded.faults));
  return loaded.config;
}

describe("the catalogue", () => {
  test("is listed for the first two vendors, or for the one that is named", async () => {
    const both = await run();
    expect(both.out).toContain("anthropic/claude-sonnet-4-5");
    expect(both.out).toContain("openai/gpt-4.1");
    const one = await run("openai");
    expect(one.out).not.toContain("anthropic/");
    expect(one.code).toBe(0);
  });

  test("shows prices on demand, with the day from which they are", async () => {
    const { out } = await run("anthropic", "--prices");
    const row = out.split("\n").find((line) => line.startsWith("anthropic/claude-sonnet-4-5 "));
    expect(row?.trim().split(/ {2,}/).slice(1)).toEqual(["3", "15", "0.3", "3.75", "6", "catalogue 2026-11-23"]);
    expect(out).toMatch(/\n {2}over 200,000 tokens +6 +22\.5 +0\.6 +7\.5 +12\n/);
    expect(out).toMatch(/ @pydantic\/genai-prices \S+ \(MIT\).*, \d{4}-\d\d-\d\d\n/);
    expect((await run("anthropic")).out).not.toContain("USD");
  });

  test("shows what switches and the providers' own tools cost, and rates of sound and pictures", async () => {
    const { out } = await run("openai", "--prices");
    expect(out).toContain("openai: service_tier flex: 0.5x, service_tier batch: 0.5x, service_tier priority: 2.5x");
    expect(out).toContain("file_search $0.0025");
    expect((await run("gemini-3.1-flash-lite", "--prices")).out).toContain("sound in 0.5");
  });

  test("names the page and day of a price that is not from the generated list", async () => {
    expect((await run("claude-haiku-5-5", "--prices")).out).toContain("docs/en/models/haiku-5-5/overview, 2026-11-23");
  });

  test("is searched by name, with wildcards, by other spellings, and by provider", async () => {
    expect((await run("claude-sonnet-4*")).out).toContain("anthropic/claude-sonnet-4-5");
    const dated = JSON.parse((await run("claude-sonnet-4-5-20250929", "--json")).out) as object[];
    expect(dated[0]).toMatchObject({ provider: "anthropic", price: { input: 3 }, price_from: "catalogue" });
    expect((await run("*/gpt-4.1")).out).toContain("openai/gpt-4.1");
  });

  test("shows a model that nobody lists at the ceiling, and says so", async () => {
    expect((await run("gpt-9", "--prices")).out).toMatch(/openai\/gpt-9 +150 +600 .* ceiling: not in the list\n/);
    const [row] = JSON.parse((await run("gpt-9", "--json")).out) as { price_from: string; price: { output: number } }[];
    expect(row).toMatchObject({ price_from: "ceiling", price: { output: 600 } });
  });

  test("goes with the names of the configuration, at its prices", async () => {
    const { out } = await run("--prices");
    expect(out).toMatch(/\nmine \(anthropic\/claude-opus-5\) +1 +2 +0\.1 +1\.25 +2 +config\n/);
    expect(out).toMatch(/\ncoder-14b \(ollama\/qwen2\.5-coder:14b\) +0 +0 +0 +0 +0 +free\n/);
    expect(out).toMatch(/\nother \(anthropic\/claude-opus-5\) +5 +25 .* catalogue 2026-11-23\n/);
  });

  test("is printed for programs too, prices in USD per million tokens", async () => {
    const rows = JSON.parse((await run("anthropic", "--json")).out) as { model: string; price: object }[];
    expect(rows.find(({ model }) => model === "claude-sonnet-4-5")?.price).toEqual({
      input: 3,
      output: 15,
      cache_read: 0.3,
      cache_write: 3.75,
      cache_write_1h: 6,
    });
  });

  test("knows nothing of other providers, and says which it knows", async () => {
    const { out, err, code } = await run("nobody");
    expect([out, code]).toEqual(["", 1]);
    expect(err).toContain("anthropic");
  });
});
