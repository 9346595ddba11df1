// The keychain source against a real Secret Service. Run by `test/keychain.sh`, which makes one; not by the test runner.
/* oxlint-disable no-console */

import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runArgs } from "../../../test/fakes/command-line.ts";
import { post, startHouse } from "../../../test/fakes/house.ts";
import { eventually } from "../../../test/harness.ts";
import { systemClock } from "../../clock.ts";
import { createKeychainSource, KEYCHAIN_SERVICE } from "./keychain-source.ts";
import { KeyRing } from "./key-ring.ts";
import { KeyFault } from "./key-source.ts";
import { provider } from "./sample-provider.ts";
import { secretServiceLocked } from "./secret-service-lock.ts";

const { signal } = new AbortController();
const key = "sk-ant-keyring-12345678";
const store = createKeychainSource();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

let passed = 0;
let failed = 0;

async function rule(name: string, check: () => Promise<boolean>): Promise<void> {
  let held = false;
  try {
    held = await check();
  } catch (error) {
    console.log(Bun.inspect(error));
  }
  if (held) passed++;
  else failed++;
  console.log(`(${held ? "pass" : "fail"}) ${name}`);
}

async function loaded(name: string): Promise<string | null> {
  const [key] = await store.load(name, signal);
  return key === undefined ? null : new TextDecoder().decode(key);
}

async function stateOfFault(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "no fault",
    (error: unknown) => (error instanceof KeyFault ? error.state : "another error"),
  );
}

/** What `sanctum keys` and the daemon do: a fresh ring that asks the real keychain. */
async function ringState(): Promise<string> {
  const ring = new KeyRing({ clock: systemClock, sourceOf: () => store });
  ring.configure([provider("anthropic")]);
  await ring.loadAll();
  const state = ring.state("anthropic");
  ring.close();
  return state;
}

async function run(...argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  return await child.stdout.text();
}

async function lock(): Promise<void> {
  const service = ["--dest=org.freedesktop.secrets", "/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock"];
  await run(
    "dbus-send",
    "--session",
    "--print-reply",
    ...service,
    "array:objpath:/org/freedesktop/secrets/aliases/default",
  );
}

await rule("a key that was never stored is missing", async () => (await loaded("anthropic")) === null);
await rule("and the ring says so", async () => (await ringState()) === "missing");
await rule("a stored key is read back", async () => {
  await store.save("anthropic", [bytes(key)]);
  return (await loaded("anthropic")) === key;
});
await rule("the ring holds it", async () => (await ringState()) === "ok");
await rule("it stands where other tools of the desktop find it", async () => {
  return (await run("secret-tool", "lookup", "service", KEYCHAIN_SERVICE, "account", "anthropic")) === key;
});
await rule("each provider has its own", async () => (await loaded("openai")) === null);
await rule("storing again replaces it", async () => {
  await store.save("anthropic", [bytes(`${key}-2`)]);
  return (await loaded("anthropic")) === `${key}-2`;
});
await rule("several keys of a provider keep their order, and fewer replace them", async () => {
  const keys = ["sk-first-1", "sk-second-2", "sk-third-3"].map(bytes);
  await store.save("openai", keys);
  const all = Bun.deepEquals(await store.load("openai", signal), keys);
  await store.save("openai", keys.slice(1));
  const rest = Bun.deepEquals(await store.load("openai", signal), keys.slice(1));
  return all && rest && (await store.remove("openai")) && (await loaded("openai")) === null;
});
await rule("an open keyring is told from a locked one", async () => (await secretServiceLocked()) === false);
await rule("reading does not hold up the event loop", async () => {
  let turns = 0;
  let reading = true;
  const turn = (): void => {
    turns++;
    if (reading) setImmediate(turn);
  };
  setImmediate(turn);
  await Promise.all(Array.from({ length: 20 }, () => loaded("anthropic")));
  reading = false;
  return turns > 20;
});
await rule("a removed key is gone, and removing it again says so", async () => {
  const first = await store.remove("anthropic");
  return first && !(await store.remove("anthropic")) && (await loaded("anthropic")) === null;
});

const bus = Object.fromEntries(
  ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
) as Record<string, string>;
// In the keyring of this test the gateway may store what it likes.
bus["SANCTUM_KEYCHAIN"] = "on";

await rule("the key of the trail's seals and contents is here, and finds an older copy of the whole home", async () => {
  await using house = await startHouse({ env: bus, config: { audit: { content: "full" } } });
  const { gateway } = house;
  await post(gateway, "messages");
  await eventually(() => {
    if (gateway.auditLines().length !== 1) throw new Error("no line yet");
  });
  await gateway.stop();
  const old = `${gateway.home}-old`;
  cpSync(gateway.home, old, { recursive: true });
  await gateway.restart();
  await post(gateway, "messages");
  await eventually(() => {
    if (gateway.auditLines().length !== 2) throw new Error("no line yet");
  });
  await gateway.stop();
  const whole = await runArgs(gateway, ["audit", "verify"], bus);
  const { id } = gateway.auditLines()[0]!;
  const shown = await runArgs(gateway, ["audit", "show", id], bus);
  for (const part of ["logs", "state"]) {
    rmSync(join(gateway.home, part), { recursive: true });
    cpSync(join(old, part), join(gateway.home, part), { recursive: true });
  }
  rmSync(old, { recursive: true });
  const older = await runArgs(gateway, ["audit", "verify"], bus);
  const inFiles = readdirSync(join(gateway.home, "state")).filter((name) => name.endsWith(".key"));
  if (older.code !== 1 || shown.code !== 0) console.log(whole, shown, older);
  return (
    whole.code === 0 &&
    whole.out.includes("the key is in the keychain") &&
    shown.out.includes("--- answer ---") &&
    older.out.includes("the keychain knows of them") &&
    inFiles.length === 0
  );
});

await store.save("anthropic", [bytes(key)]);
await lock();
await rule("a locked keyring is seen as locked", async () => (await secretServiceLocked()) === true);
await rule("a key in a locked keyring is locked, not missing", async () => {
  return (await stateOfFault(store.load("anthropic", signal))) === "locked" && (await ringState()) === "locked";
});
await rule("storing into a locked keyring fails as locked", async () => {
  return (await stateOfFault(store.save("anthropic", [bytes(key)]))) === "locked";
});
await rule("removing from a locked keyring fails as locked", async () => {
  return (await stateOfFault(store.remove("anthropic"))) === "locked";
});

await rule("the running gateway says locked, and serves what needs no key of it", async () => {
  await using house = await startHouse({
    env: bus,
    config: ({ cloud }) => ({ providers: { anthropic: { url: cloud, dialects: ["messages"], key: "keychain" } } }),
  });
  const atHome = await post(house.gateway, "messages");
  const otherKey = await post(house.gateway, "chat");
  await eventually(async () => {
    const { providers } = await house.gateway.stats();
    if (providers["anthropic"]?.key !== "locked") throw new Error(`it says ${providers["anthropic"]?.key}`);
  });
  const { length } = house.cloud.generations;
  return atHome.status === 200 && otherKey.status === 200 && house.local.generations.length === 1 && length === 1;
});

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
