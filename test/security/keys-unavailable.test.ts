// Promise: a key that cannot be had takes its own provider out, and nobody else; the numbers tell why.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity } from "age-encryption";
import { systemClock } from "../../src/clock.ts";
import { createVaultCipher, VaultStore, vaultKey } from "../../src/layers/vault/index.ts";
import { HOUSE_KEY, post, startHouse, type House } from "../fakes/house.ts";
import { attemptsOf, eventually } from "../harness.ts";

setDefaultTimeout(60_000);

const scanDaemon = join(import.meta.dir, "scan-daemon.ts");
const garbage = "a garbled-key with spaces";

/** Each source of trouble: how its provider stands, and what the keychain or the command does. */
const troubles: readonly {
  readonly name: string;
  readonly state: string;
  readonly key: unknown;
  readonly entry?: string;
}[] = [
  { name: "keychain-empty", state: "missing", key: "keychain" },
  { name: "keychain-denies", state: "locked", key: "keychain", entry: "!ERR_SECRETS_ACCESS_DENIED" },
  { name: "keychain-dismissed", state: "locked", key: "keychain", entry: "!ERR_SECRETS_USER_CANCELED" },
  { name: "keychain-locked", state: "locked", key: "keychain", entry: "!ERR_SECRETS_INTERACTION_NOT_ALLOWED" },
  { name: "keychain-garbage", state: "missing", key: "keychain", entry: garbage },
  { name: "keychain-slow", state: "locked", key: "keychain", entry: "!never" },
  { name: "vault-locked", state: "locked", key: "vault" },
  { name: "command-absent", state: "missing", key: { command: ["no-such-program-of-this-test"] } },
  { name: "command-denied", state: "missing", key: { command: ["/etc/hostname"] } },
  { name: "command-fails", state: "missing", key: { command: ["false"] } },
  { name: "command-silent", state: "missing", key: { command: ["true"] } },
  { name: "command-garbage", state: "missing", key: { command: ["echo", garbage] } },
  { name: "command-binary", state: "missing", key: { command: ["head", "-c", "64", "/dev/urandom"] } },
  { name: "command-endless", state: "missing", key: { command: ["yes", "0123456789"] } },
  { name: "command-slow", state: "missing", key: { command: ["sleep", "60"] } },
];

let folder: string;
let house: House;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-unavailable-"));
  const home = join(folder, "home");
  const keychain = join(folder, "keychain");
  for (const path of [home, join(home, "state"), keychain]) mkdirSync(path, { mode: 0o700 });
  for (const { name, entry } of troubles) if (entry !== undefined) writeFileSync(join(keychain, name), entry);
  writeFileSync(join(keychain, "anthropic"), HOUSE_KEY);
  const vault = new VaultStore({
    file: join(home, "vault.age"),
    marksFile: join(home, "state/vault.json"),
    cipher: createVaultCipher(),
    clock: systemClock,
  });
  await vault.unlock(vaultKey("identity", Buffer.from(await generateIdentity())));
  await vault.save("vault-locked", [Buffer.from("sk-in-a-locked-vault-1234")]);
  chmodSync(home, 0o700);
  house = await startHouse({
    home,
    program: [process.execPath, "--no-env-file", "--config=/dev/null", "--smol", scanDaemon],
    env: {
      SCAN_KEYCHAIN: keychain,
      SANCTUM_KEYCHAIN: "on",
      SCAN_HEAP: folder,
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/no-bus`,
    },
    config: ({ cloud }) => ({
      providers: {
        anthropic: { url: cloud, dialects: ["messages"], key: "keychain" },
        ...Object.fromEntries(troubles.map(({ name, key }) => [name, { url: cloud, dialects: ["messages"], key }])),
      },
      models: Object.fromEntries(
        troubles.map(({ name }) => [name, { provider: name, model: name, price: { input: 1, output: 1 } }]),
      ),
    }),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test("while one source of keys does not answer, everybody else is served", async () => {
  const done: string[] = [];
  const slow = ["keychain-slow", "command-slow"].map(async (model) => {
    const response = await post(house.gateway, "messages", { model });
    done.push(model);
    return response.status;
  });
  for (let number = 0; number < 100; number++) {
    const response = await post(house.gateway, "messages");
    expect(response.status).toBe(200);
    await response.text();
  }
  done.push("everybody else");
  // Their own candidates are given up after five seconds at most; the model at home answers.
  expect(await Promise.all(slow)).toEqual([200, 200]);
  expect(done[0]).toBe("everybody else");
  expect(house.cloud.generations.map((request) => request.header("x-api-key"))).toEqual(
    Array.from({ length: 100 }, () => HOUSE_KEY),
  );
});

test.each(troubles)(
  "$name: the candidate is skipped, the next one answers, and /stats says $state",
  async ({ name, state }) => {
    const before = house.cloud.requests.length;
    const response = await post(house.gateway, "messages", { model: name });
    expect(response.status).toBe(200);
    const id = response.headers.get("x-sanctum-request-id");
    const line = await house.gateway.auditLine((line) => line.id === id);
    expect(attemptsOf(line)).toEqual([`${name}:skipped_key`, "coder-14b:ok"]);
    expect(house.cloud.requests.length).toBe(before);
    await eventually(async () => {
      const { providers } = await house.gateway.stats();
      // While a source is silent nobody knows: it may wait for a person.
      expect(name.endsWith("-slow") ? [state, "locked"] : [state]).toContain(providers[name]!.key);
      expect(providers["anthropic"]!.key).toBe("ok");
    });
  },
);

test("nothing that a source said in place of a key is told", async () => {
  const told =
    house.gateway.output() + house.gateway.auditText().join("") + JSON.stringify(await house.gateway.stats());
  for (const said of [garbage, "garbled", "0123456789", "in-a-locked-vault"]) expect(told).not.toContain(said);
});
