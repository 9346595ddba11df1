import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { localProvider } from "./build.ts";
import { formatFault } from "./fault.ts";
import { checkConfigFile, loadConfig } from "./load.ts";
import { readConfigText } from "./read-file.ts";
import type { Config } from "./types.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-config-"));
  file = join(folder, "config.yaml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string | Uint8Array, mode = 0o600): void {
  writeFileSync(file, text);
  chmodSync(file, mode);
}

function load(): Config {
  const loaded = loadConfig(file, { home: "/home/x/.sanctum", localTimezone: "Europe/Berlin" });
  if ("faults" in loaded) throw new Error(loaded.faults.map(formatFault).join("\n"));
  return loaded.config;
}

function faults(): string[] {
  const loaded = loadConfig(file, { home: "/home/x/.sanctum" });
  return "faults" in loaded ? loaded.faults.map(formatFault) : [];
}

const hash = "AB".repeat(32);

describe("without a file, or with an empty one", () => {
  test("the built-in configuration holds", () => {
    const missing = load();
    expect(missing.listen.map((address) => address.text)).toEqual(["127.0.0.1:4040"]);
    expect(missing).toMatchObject({ timezone: "Europe/Berlin", anonymous: "loopback", takeover: "text", routes: [] });
    expect(missing.fallback).toBeUndefined();
    expect(missing.tls).toBeUndefined();
    expect(missing.stats.access).toBe("loopback");
    expect(missing.audit).toEqual({
      file: "/home/x/.sanctum/logs/cloud-proxy-audit.jsonl",
      content: "none",
      rotate: { sizeBytes: 100_000_000, keep: 30, every: undefined },
      contentFiles: { keepMs: 7 * 86_400_000, recipient: undefined },
      onFailure: "refuse",
    });
    expect([...missing.agents.keys()]).toEqual(["default"]);
    expect(missing.agents.get("default")?.caps).toEqual({ daily: 500_000_000, hourly: undefined, monthly: undefined });
    expect([...missing.providers].map(([name, { url, dialects, key }]) => [name, url, dialects, key.from])).toEqual([
      ["anthropic", "https://api.anthropic.com", ["messages"], "keychain"],
      ["openrouter", "https://openrouter.ai/api/v1", ["chat"], "keychain"],
      ["openai", "https://api.openai.com/v1", ["responses", "chat"], "keychain"],
    ]);
    write("");
    expect(load()).toEqual(missing);
    write("# nothing\n");
    expect(load()).toEqual(missing);
  });
});

describe("agents", () => {
  test("named without a cap have the cap of their name", () => {
    write("agents: { windu: {}, mothma: , jocasta: { daily_usd: }, other: {} }".replace("{ daily_usd: }", "{}"));
    const caps = [...load().agents].map(([name, agent]) => [name, agent.caps.daily]);
    expect(caps).toEqual([
      ["windu", 2_000_000_000],
      ["mothma", 2_000_000_000],
      ["jocasta", 1_500_000_000],
      ["other", 500_000_000],
      ["default", 500_000_000],
    ]);
  });
  test("keep what the file gives them, 0 included", () => {
    write(
      `agents: { windu: { daily_usd: 0, hourly_usd: "0.10", monthly_usd: 3, requests_per_minute: 5, max_concurrent: 2, models: ["a*"], over_budget: refuse, tokens: ["sha256:${hash}"] } }`,
    );
    expect(load().agents.get("windu")).toEqual({
      name: "windu",
      caps: { daily: 0, hourly: 100_000_000, monthly: 3_000_000_000 },
      requestsPerMinute: 5,
      maxConcurrent: 2,
      models: ["a*"],
      overBudget: "refuse",
      tokens: [{ hash: hash.toLowerCase(), untilMs: undefined }],
    });
  });
});

describe("providers", () => {
  test("of a built-in name keep what the file does not give", () => {
    write("providers: { anthropic: { timeouts: { idle: 5s }, retry: { attempts: 1 }, headers: { X-Title: a } } }");
    const provider = load().providers.get("anthropic");
    expect(provider).toMatchObject({
      url: "https://api.anthropic.com",
      dialects: ["messages"],
      key: { from: "keychain" },
    });
    expect(provider?.timeouts).toEqual({
      connectMs: 5_000,
      firstByteMs: 60_000,
      firstContentMs: 120_000,
      idleMs: 5_000,
      totalMs: 3_600_000,
      elastic: { firstByte: true, firstContent: true, idle: false },
    });
    expect(provider?.retry).toEqual({ attempts: 1, baseMs: 500, maxMs: 8_000 });
    expect(provider?.headers).toEqual({ "x-title": "a" });
  });
  test("that are local need no key and are waited for longer", () => {
    write("providers: { den: { url: http://10.0.0.5:8000/v1/, local: true } }");
    const provider = load().providers.get("den");
    expect(provider).toEqual({ ...localProvider("den", "http://10.0.0.5:8000/v1") });
    expect(provider).toMatchObject({ key: { from: "none" }, dialects: ["chat"], local: true });
    expect(provider?.timeouts).toEqual({
      connectMs: 5_000,
      firstByteMs: 300_000,
      firstContentMs: 300_000,
      idleMs: 120_000,
      loadingMs: 300_000,
      totalMs: 3_600_000,
      elastic: { firstByte: true, firstContent: true, idle: true },
    });
  });
  test("have their time to load a model only where they are local", () => {
    write("providers: { den: { url: http://10.0.0.5:8000/v1/, local: true, timeouts: { loading: 20m } } }");
    expect(load().providers.get("den")?.timeouts.loadingMs).toBe(1_200_000);
    expect(load().providers.get("anthropic")?.timeouts.loadingMs).toBeUndefined();
  });
  test("may bound a whole attempt, and the configuration all attempts of a request", () => {
    write("{ providers: { openai: { timeouts: { total: 90s } } }, attempts: { deadline: 2m, cost_factor: 1 } }");
    expect(load().providers.get("openai")?.timeouts.totalMs).toBe(90_000);
    expect(load().attempts).toEqual({ deadlineMs: 120_000, costFactor: 1 });
    write("attempts: {}");
    expect(load().attempts).toEqual({ deadlineMs: 600_000, costFactor: 3 });
  });
  test("may fetch their key by a command", () => {
    write("providers: { openai: { key: { command: [op, read, 'op://a/b'] } }, anthropic: { key: passthrough } }");
    expect(load().providers.get("openai")?.key).toEqual({ from: "command", argv: ["op", "read", "op://a/b"] });
    expect(load().providers.get("anthropic")?.key).toEqual({ from: "passthrough" });
  });
});

describe("models and routes", () => {
  test("have prices in pico-dollars, and what is not given is taken as the dearest", () => {
    write(`models:
  a: { provider: openai, model: x, price: { input: 3, output: 15, cache_read: 0.30, cache_write: 3.75 } }
  b: { provider: openai, model: y, context: 1000, max_output: 10, price: { input: 2, output: 8 } }`);
    const { models } = load();
    expect(models.get("a")?.price).toEqual({
      input: 3_000_000,
      output: 15_000_000,
      cacheRead: 300_000,
      cacheWrite5m: 3_750_000,
      cacheWrite1h: 6_000_000,
      long: null,
      source: "config",
    });
    expect(models.get("b")?.price).toMatchObject({
      cacheRead: 2_000_000,
      cacheWrite5m: 2_500_000,
      cacheWrite1h: 4_000_000,
    });
    expect(models.get("b")).toMatchObject({ name: "b", provider: "openai", model: "y", context: 1000, maxOutput: 10 });
  });
  test("have their conditions parsed, and names by their place", () => {
    write(`routes:
  - { when: { input_tokens: "<8000", budget_used: ">80%", time: 22:00-06:00, has: { tools: false }, header: { name: X-Team, value: a* } }, use: [gemma-4] }
  - { use: [gemma-4] }`);
    const [first, second] = load().routes;
    expect(first).toMatchObject({
      name: "route-1",
      when: {
        inputTokens: { below: 8000, above: undefined },
        budgetUsed: { below: undefined, above: 0.8 },
        time: { from: 1320, to: 360 },
        has: { tools: false },
        header: { name: "x-team", value: "a*" },
      },
    });
    expect(second).toMatchObject({ name: "route-2", use: ["gemma-4"] });
  });
});

test("relative paths begin at the folder of the configuration", () => {
  write("audit: { file: logs/a.jsonl }\ntls: { cert_file: cert.pem, key_file: /etc/key.pem }");
  expect(load().audit.file).toBe(join(folder, "logs/a.jsonl"));
  expect(load().tls).toEqual({ certFile: join(folder, "cert.pem"), keyFile: "/etc/key.pem" });
});

describe("a file is refused", () => {
  test("that others can write to, with all its other faults", () => {
    for (const mode of [0o620, 0o602, 0o666]) {
      write("timezon: local", mode);
      expect(faults().map((fault) => /:(\d+:\d+[^;]*);/.exec(fault)?.[1])).toEqual([
        "1:1: can be written to by others, who could change what you spend and which commands run",
        "1:1 timezon: is not a known key",
      ]);
    }
    write("timezone: local", 0o644);
    expect(faults()).toEqual([]);
  });
  test("that is a folder, a pipe, or a link to nothing but itself", () => {
    mkdirSync(file);
    expect(faults()[0]).toContain("is not a regular file");
    rmSync(file, { recursive: true });
    expect(Bun.spawnSync(["mkfifo", file]).exitCode).toBe(0);
    expect(faults()[0]).toContain("is not a regular file");
    rmSync(file);
    symlinkSync(file, file);
    expect(faults()[0]).toContain("leads nowhere");
  });
  test("that is too large, or no UTF-8", () => {
    write(`# ${"x".repeat(300_000)}`);
    expect(faults()).toEqual([`${file}:1:1: is larger than 256 KiB; remove what is not configuration`]);
    write(new Uint8Array([0x61, 0x3a, 0x20, 0xff, 0xfe]));
    expect(faults()[0]).toContain("is not UTF-8");
  });
});

test("a link to a file is followed, and what it leads to is checked", () => {
  const target = join(folder, "real.yaml");
  writeFileSync(target, "timezone: UTC");
  symlinkSync(target, file);
  chmodSync(target, 0o600);
  expect(load().timezone).toBe("UTC");
  chmodSync(target, 0o666);
  expect(faults()).toHaveLength(1);
});

test("a byte order mark is no fault", () => {
  write("\ufefftimezone: UTC");
  expect(load().timezone).toBe("UTC");
});

test("a text read before is used instead of the file", () => {
  write("timezone: UTC");
  const source = readConfigText(file);
  write("");
  const loaded = loadConfig(file, { home: "/x" }, source);
  expect("config" in loaded && loaded.config.timezone).toBe("UTC");
});

test("the check tells a missing file from an empty one", () => {
  expect(checkConfigFile(file)).toEqual({ exists: false, faults: [] });
  write("");
  expect(checkConfigFile(file)).toEqual({ exists: true, faults: [] });
});
