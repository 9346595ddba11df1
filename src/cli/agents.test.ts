import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { hashToken } from "../config/agent-token.ts";
import { agentsCommand } from "./agents.ts";
import type { Io } from "./io.ts";

let folder = "";
let file = "";
let out = "";
let err = "";
let now = Date.parse("2026-11-28T05:45:00Z");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-agents-"));
  file = join(folder, "config.yaml");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  process.exitCode = 0;
});

/** Runs a command line and gives its exit code. */
async function run(...words: string[]): Promise<number> {
  [out, err] = ["", ""];
  process.exitCode = 0;
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    env: {},
    home: folder,
    configFile: file,
  };
  const command = agentsCommand(io, { now: () => now, monotonic: () => now });
  for (const each of [command, ...command.commands])
    each.exitOverride().configureOutput({ writeErr: (text) => io.err(text) });
  await command.parseAsync(words, { from: "user" });
  return process.exitCode;
}

const tokenPattern = /sk-sanctum-[a-z]+-[A-Za-z0-9_-]{43}/;

describe("agents add", () => {
  test("prints the token, and how to use it; the file holds its hash alone", async () => {
    expect(await run("add", "yoda", "--daily-usd", "1.50")).toBe(0);
    const token = tokenPattern.exec(out)![0];
    expect(out).toContain(`ANTHROPIC_BASE_URL=http://127.0.0.1:4040 ANTHROPIC_AUTH_TOKEN=${token} claude`);
    expect(out).toContain(`OPENAI_BASE_URL=http://127.0.0.1:4040/v1 OPENAI_API_KEY=${token}`);
    const text = readFileSync(file, "utf8");
    expect(text).toBe(`agents:\n  yoda: { daily_usd: 1.50, tokens: ["sha256:${hashToken(token)}"] }\n`);
  });

  test("makes another token each time, and names the address that is listened on", async () => {
    writeFileSync(file, "listen: [unix:/x.sock, 10.0.0.1:5050]\ntls: { cert_file: c, key_file: k }\n");
    await run("add", "one", "--json");
    const first = JSON.parse(out) as { token: string; base_url: string };
    await run("add", "two", "--json");
    const second = JSON.parse(out) as { token: string; hash: string; agent: string };
    expect(first.base_url).toBe("https://10.0.0.1:5050");
    expect(first.token).not.toBe(second.token);
    expect(second).toMatchObject({ agent: "two", hash: `sha256:${hashToken(second.token)}` });
  });

  test("of a name that is taken fails and shows no token", async () => {
    await run("add", "yoda");
    const before = readFileSync(file, "utf8");
    expect(await run("add", "yoda")).toBe(1);
    expect(out).toBe("");
    expect(err).toContain("already");
    expect(readFileSync(file, "utf8")).toBe(before);
  });

  test("refuses names and amounts that are none, before it does anything", async () => {
    for (const words of [
      ["Yoda"],
      ["a b"],
      ["yoda", "--daily-usd", "-1"],
      ["yoda", "--daily-usd=NaN"],
      ["yoda", "--daily-usd", "1e3"],
    ]) {
      await run("add", ...words).then(
        () => expect.unreachable(),
        (error: unknown) => expect(error).toHaveProperty("code", "commander.invalidArgument"),
      );
    }
    expect(existsSync(file)).toBe(false);
  });

  test("leaves a faulty file alone, with exit code 78 and the faults", async () => {
    writeFileSync(file, "timezon: UTC\n");
    expect(await run("add", "yoda")).toBe(78);
    expect(err).toContain(`${file}:1:1 timezon: is not a known key`);
    expect(out).toBe("");
  });
});

test("agents list shows caps and the number of tokens, never a hash", async () => {
  await run("add", "yoda", "--daily-usd", "1.5");
  await run("list");
  expect(out).toMatch(/^agent +USD a day +over budget +tokens\nyoda +1\.50 +local +1\ndefault +0\.50 +local +none\n$/);
  await run("list", "--json");
  expect(JSON.parse(out)).toEqual([
    { name: "yoda", daily_usd: 1.5, over_budget: "local", tokens: 1, tokens_ending: [] },
    { name: "default", daily_usd: 0.5, over_budget: "local", tokens: 0, tokens_ending: [] },
  ]);
  expect(out).not.toContain("sha256");
});

test("agents rotate replaces the tokens, or keeps the newest with --overlap", async () => {
  await run("add", "yoda", "--json");
  const hashes = [(JSON.parse(out) as { hash: string }).hash];
  for (const words of [["--overlap"], ["--overlap"], []]) {
    expect(await run("rotate", "yoda", "--json", ...words)).toBe(0);
    hashes.push((JSON.parse(out) as { hash: string }).hash);
    const kept = hashes.filter((hash) => readFileSync(file, "utf8").includes(hash));
    expect(kept).toEqual(words.length > 0 ? hashes.slice(-2) : hashes.slice(-1));
  }
  expect(await run("rotate", "nobody")).toBe(1);
});

describe("agents rotate --overlap 1h", () => {
  test("writes the end beside the old token, says it, and the list shows it until it has come", async () => {
    await run("add", "yoda");
    const old = hashToken(tokenPattern.exec(out)![0]);
    expect(await run("rotate", "yoda", "--overlap", "1h")).toBe(0);
    expect(out).toContain(
      "The newest token before this one works until 2026-11-28T06:45:00Z; older ones have stopped.",
    );
    expect(readFileSync(file, "utf8")).toContain(`["sha256:${old} until 2026-11-28T06:45:00Z", "sha256:`);
    await run("list");
    expect(out).toContain("2 (one until 2026-11-28T06:45:00Z)\n");
    now += 3_600_000;
    await run("list", "--json");
    expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ name: "yoda", tokens: 1, tokens_ending: [] }));
    await run("rotate", "yoda", "--json", "--overlap=7d");
    expect(JSON.parse(out)).toMatchObject({ previous_until: "2026-12-05T06:45:00Z" });
  });

  test("with what is no duration is refused before anything is done, and says how to write it", async () => {
    await run("add", "yoda");
    const before = readFileSync(file, "utf8");
    for (const word of ["1", "1w", "0h", "91d", "-1h", "yoda", "1h30m"]) {
      await run("rotate", "yoda", `--overlap=${word}`).then(
        () => expect.unreachable(),
        (error: unknown) => expect(error).toHaveProperty("message", expect.stringContaining("30m, 1h or 7d")),
      );
    }
    expect(readFileSync(file, "utf8")).toBe(before);
  });
});

test("where the gateway listens on a Unix socket alone, a token is shown with how to use it there", async () => {
  writeFileSync(file, "listen: unix:/run/x.sock\n");
  await run("add", "yoda");
  expect(out).toContain("curl --unix-socket /run/x.sock -H 'authorization: Bearer sk-sanctum-yoda-");
  expect(out).not.toContain("BASE_URL");
  await run("rotate", "yoda", "--json");
  expect(JSON.parse(out)).toMatchObject({ socket: "/run/x.sock", previous_until: null });
});

test("agents rm removes an agent, unless a route needs it", async () => {
  await run("add", "yoda");
  writeFileSync(file, `${readFileSync(file, "utf8")}routes: [{ when: { agent: yoda }, use: [gemma-4] }]\n`);
  expect(await run("rm", "yoda")).toBe(78);
  expect(err).toContain("routes[0].when.agent: is not a known agent");
  writeFileSync(file, readFileSync(file, "utf8").replace(/^routes.*\n/m, ""));
  expect(await run("rm", "yoda")).toBe(0);
  expect(readFileSync(file, "utf8")).not.toContain("yoda");
  expect(await run("rm", "yoda")).toBe(1);
});

test("a folder that can't be written is told as such", async () => {
  writeFileSync(file, "");
  file = join(file, "config.yaml");
  expect(await run("add", "yoda")).toBe(1);
  expect(err).toMatch(/can't be written \((ENOTDIR|EEXIST)\)/);
});
