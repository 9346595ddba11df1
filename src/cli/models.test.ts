import { afterEach, describe, expect, test } from "bun:test";
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
  await modelsCommand(io).parseAsync([...words], { from: "user" });
  return { ...said, code: process.exitCode };
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
    expect(row?.trim().split(/ {2,}/).slice(2)).toEqual(["3", "15", "0.3", "3.75"]);
    expect(out).toMatch(/as of \d{4}-\d\d-\d\d/);
    expect((await run("anthropic")).out).not.toContain("USD");
  });

  test("is printed for programs too, prices in USD per million tokens", async () => {
    const rows = JSON.parse((await run("anthropic", "--json")).out) as { model: string; price: object }[];
    expect(rows.find(({ model }) => model === "claude-sonnet-4-5")?.price).toEqual({
      input: 3,
      output: 15,
      cache_read: 0.3,
      cache_write: 3.75,
    });
  });

  test("knows nothing of other providers, and says which it knows", async () => {
    const { out, err, code } = await run("nobody");
    expect([out, code]).toEqual(["", 1]);
    expect(err).toContain("anthropic");
  });
});
