// A key is rotated by the command line while a running gateway serves: no request fails, and the old key is gone afterwards.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateIdentity } from "age-encryption";
import { post, startHouse, type House } from "../fakes/house.ts";

setDefaultTimeout(120_000);

const program = fileURLToPath(new URL("../../bin/sanctum", import.meta.url));
const first = "sk-ant-api03-first-0123456789";
const second = "sk-ant-api03-second-0123456789";
const wrong = "sk-ant-api03-wrong-0123456789";

async function keys(house: House, words: readonly string[], typed = ""): Promise<{ code: number; text: string }> {
  const { home, configFile } = house.gateway;
  const child = Bun.spawn(["sh", program, "keys", ...words, "--config", configFile], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home, SANCTUM_HOME: home },
    stdin: new Blob([typed]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  for (const key of [first, second, wrong]) expect(out + err).not.toContain(key);
  return { code, text: out + err };
}

test("a key is rotated under load: no request fails, and what comes later carries the new key", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rotate-"));
  const identity = join(folder, "identity");
  writeFileSync(identity, `${await generateIdentity()}\n`, { mode: 0o600 });
  await using house = await startHouse({
    config: ({ cloud }) => ({
      vault: { identity },
      providers: { anthropic: { url: cloud, dialects: ["messages"], key: "vault", retry: { attempts: 1 } } },
    }),
  });
  expect((await keys(house, ["set", "anthropic", "--stdin"], first)).code).toBe(0);
  expect((await post(house.gateway, "messages")).status).toBe(200);

  const over = new AbortController();
  const answers: Promise<string>[] = [];
  const load = (async () => {
    while (!over.signal.aborted) {
      const response = post(house.gateway, "messages", { extra: { stream: true } });
      answers.push(response.then(async (one) => `${one.status} ${(await one.text()).includes("message_stop")}`));
      await response;
    }
  })();
  const rotated = await keys(house, ["rotate", "anthropic", "--stdin"], second);
  over.abort();
  await load;
  expect([rotated.code, rotated.text]).toEqual([0, expect.stringContaining("the old one is gone")]);
  expect(new Set(await Promise.all(answers))).toEqual(new Set(["200 true"]));
  expect(house.local.generations.length).toBe(0);

  const seen = house.cloud.generations.length;
  expect((await post(house.gateway, "messages")).status).toBe(200);
  const carried = house.cloud.generations.map((request) => request.header("x-api-key"));
  expect(new Set(carried)).toEqual(new Set([first, second]));
  expect(carried.slice(seen)).toEqual([second]);
  const list = JSON.parse((await keys(house, ["list", "--json"])).text) as { provider: string; keys: number }[];
  expect(list.find(({ provider }) => provider === "anthropic")).toMatchObject({ keys: 1, state: "ok" });
  rmSync(folder, { recursive: true, force: true });
});

test("a second key serves while the first is refused, and is what `rm --key` leaves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "rotate-"));
  const identity = join(folder, "identity");
  writeFileSync(identity, `${await generateIdentity()}\n`, { mode: 0o600 });
  await using house = await startHouse({
    config: ({ cloud }) => ({
      vault: { identity },
      providers: { anthropic: { url: cloud, dialects: ["messages"], key: "vault", retry: { attempts: 1 } } },
    }),
    cloud: { respond: (request) => (request.header("x-api-key") === wrong ? { refuse: { status: 401 } } : {}) },
  });
  await keys(house, ["set", "anthropic", "--stdin"], wrong);
  await keys(house, ["set", "anthropic", "--stdin", "--add"], first);
  expect((await post(house.gateway, "messages")).status).toBe(200);
  expect((await keys(house, ["rm", "anthropic", "--key", "1"])).text).toContain("one is left");
  expect((await post(house.gateway, "messages")).status).toBe(200);
  const carried = house.cloud.generations.map((request) => request.header("x-api-key"));
  expect(carried).toEqual([wrong, first, first]);
  expect(house.local.generations.length).toBe(0);
  rmSync(folder, { recursive: true, force: true });
});
