// Promise: nothing in the environment or in the folder that it is started from weakens the daemon unseen.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { post, startHouse } from "../fakes/house.ts";
import { refusedStart, startGateway } from "../harness.ts";

setDefaultTimeout(60_000);

const root = fileURLToPath(new URL("../..", import.meta.url));
const config = { listen: "127.0.0.1:0", timezone: "UTC" };

describe("it refuses to start, and says which variable to unset, with", () => {
  const dangerous: readonly [string, string][] = [
    ["NODE_TLS_REJECT_UNAUTHORIZED", "0"],
    ["BUN_CONFIG_VERBOSE_FETCH", "curl"],
    ["NODE_DEBUG", "net"],
    ["SSLKEYLOGFILE", "/tmp/tls-keys"],
    ["BUN_INSPECT", "127.0.0.1:6499"],
    ["BUN_INSPECT_CONNECT_TO", "127.0.0.1:6499"],
    ["NODE_V8_COVERAGE", "/tmp/coverage"],
  ];
  for (const [name, value] of dangerous) {
    test(`${name}=${value}`, async () => {
      const { code, output } = await refusedStart({ config, env: { [name]: value } });
      expect(code).not.toBe(0);
      expect(output).toContain(name);
      expect(output).not.toContain("listening on");
    });
  }
});

test("no signal opens a debugger: the one with which other runtimes do ends it", async () => {
  await using gateway = await startGateway({ config });
  gateway.signal("SIGUSR1");
  expect(await gateway.ended()).toBe("SIGUSR1");
});

test("a .env and a bunfig.toml in the folder that it is started from are not read", async () => {
  const home = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  try {
    writeFileSync(join(home, ".env"), "NODE_TLS_REJECT_UNAUTHORIZED=0\nBUN_CONFIG_VERBOSE_FETCH=curl\n");
    writeFileSync(join(home, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
    writeFileSync(join(home, "evil.ts"), 'console.log("evil was here");\n');
    // The harness starts the daemon inside its home: with either file read, it would refuse to start or say so.
    await using gateway = await startGateway({ config, home });
    expect(gateway.output()).not.toContain("evil was here");
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test("proxies of the environment are not used", async () => {
  const env = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9" };
  await using house = await startHouse({ env });
  expect((await post(house.gateway, "messages")).status).toBe(200);
  expect(house.cloud.generations.length).toBe(1);
});

test("a configuration with faults is refused with all of them, by line, and exit code 78", async () => {
  const { code, output } = await refusedStart({
    config:
      'listen: 127.0.0.1:0\nagents:\n  default: { daily_usd: -1 }\nno_such_key: 1\nproviders:\n  anthropic: { url: "http://example.com" }\n',
  });
  expect(code).toBe(78);
  expect(output).toMatch(/config\.yaml:3:\d+ agents\.default\.daily_usd: /);
  expect(output).toMatch(/config\.yaml:4:\d+ no_such_key: /);
  expect(output).toMatch(/config\.yaml:6:\d+ providers\.anthropic\.url: /);
});

test("a key in the configuration is refused without being shown", async () => {
  const key = `sk-ant-api03-${"Ab3".repeat(30)}`;
  const { code, output } = await refusedStart({ config: `providers:\n  anthropic: { key: "${key}" }\n` });
  expect(code).toBe(78);
  expect(output).toContain("config.yaml:2:");
  expect(output).not.toContain(key);
});

test("its folders are 0700 and its files 0600, whatever the umask was", async () => {
  await using house = await startHouse();
  expect((await post(house.gateway, "messages")).status).toBe(200);
  const { home } = house.gateway;
  await house.gateway.auditLine((line) => line.outcome === "ok");
  for (const folder of ["logs", "state"]) expect(statSync(join(home, folder)).mode & 0o777).toBe(0o700);
  for (const file of ["logs/cloud-proxy-audit.jsonl", "state/ledger.sqlite"]) {
    expect(statSync(join(home, file)).mode & 0o777).toBe(0o600);
  }
});

test("so is all that a command creates in a home that is not there yet", () => {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  const home = join(folder, "sanctum");
  try {
    const { exitCode } = Bun.spawnSync(["sh", join(root, "bin/sanctum"), "agents", "add", "windu"], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: home, SANCTUM_HOME: home },
    });
    expect(exitCode).toBe(0);
    const created = readdirSync(home, { recursive: true, encoding: "utf8" });
    expect(created).toContain("sanctum-proxy/config.yaml");
    for (const name of ["", ...created]) expect([name, statSync(join(home, name)).mode & 0o077]).toEqual([name, 0]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a second daemon on the same home refuses to start, and the first one goes on", async () => {
  const home = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  mkdirSync(home, { recursive: true });
  try {
    await using first = await startGateway({ config, home });
    const second = await startGateway({ config, home }).then(
      () => "started",
      (error: unknown) => String(error),
    );
    expect(second).toContain("did not start");
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
