import { hasSessionBus } from "./secret-service-lock.ts";
import { describe, expect, test } from "bun:test";
import { KeyFault } from "./key-source.ts";
import { createKeychainSource, type Keychain } from "./keychain-source.ts";

const { signal } = new AbortController();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

class FakeKeychain implements Keychain {
  readonly entries = new Map<string, string>();
  fails: string | null = null;
  reads = 0;

  async get({ service, name }: { service: string; name: string }): Promise<string | null> {
    this.reads++;
    this.#check();
    return this.entries.get(`${service}/${name}`) ?? null;
  }

  async set({ service, name, value }: { service: string; name: string; value: string }): Promise<void> {
    this.#check();
    this.entries.set(`${service}/${name}`, value);
  }

  async delete({ service, name }: { service: string; name: string }): Promise<boolean> {
    this.#check();
    return this.entries.delete(`${service}/${name}`);
  }

  #check(): void {
    if (this.fails !== null) throw Object.assign(new Error("platform text"), { code: this.fails });
  }
}

async function faultOf(promise: Promise<unknown>): Promise<KeyFault> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof KeyFault) return error;
  throw new Error("no KeyFault");
}

const unlocked = async (): Promise<boolean | null> => false;

describe("the keychain", () => {
  test("holds each provider's key under the service sanctum-proxy", async () => {
    const keychain = new FakeKeychain();
    const store = createKeychainSource({ keychain, locked: unlocked });
    await store.save("anthropic", [bytes("sk-ant-12345678")]);
    expect([...keychain.entries]).toEqual([["sanctum-proxy/anthropic", "sk-ant-12345678"]]);
    expect(await store.load("anthropic", signal)).toEqual([bytes("sk-ant-12345678")]);
    expect(await store.load("openai", signal)).toEqual([]);
    expect(await store.remove("anthropic")).toBeTrue();
    expect(await store.remove("anthropic")).toBeFalse();
    expect(await store.load("anthropic", signal)).toEqual([]);
  });

  test("holds several keys of a provider in their order, and forgets what is no longer among them", async () => {
    const keychain = new FakeKeychain();
    const store = createKeychainSource({ keychain, locked: unlocked });
    const three = ["sk-first-1", "sk-second-2", "sk-third-3"].map(bytes);
    await store.save("anthropic", three);
    expect([...keychain.entries.keys()]).toEqual(
      ["anthropic", "anthropic.2", "anthropic.3"].map((name) => `sanctum-proxy/${name}`),
    );
    expect(await store.load("anthropic", signal)).toEqual(three);
    await store.save("anthropic", three.slice(2));
    expect([...keychain.entries]).toEqual([["sanctum-proxy/anthropic", "sk-third-3"]]);
    await store.save("anthropic", three);
    await store.remove("anthropic");
    expect(keychain.entries.size).toBe(0);
  });

  test("that is not there is a missing key with a way out, and the platform's text is not shown", async () => {
    const keychain = new FakeKeychain();
    keychain.fails = "ERR_SECRETS_PLATFORM_ERROR";
    const store = createKeychainSource({ keychain, locked: async () => null });
    for (const call of [store.load("x", signal), store.save("x", [bytes("12345678")]), store.remove("x")]) {
      const fault = await faultOf(call);
      expect(fault).toMatchObject({ state: "missing", asked: false, absent: true });
      expect(fault.reason).toContain("`sanctum keys set PROVIDER` makes an encrypted vault");
      expect(fault.message).not.toContain("platform text");
    }
  });

  test("that is locked says so without being asked for the key, so that no dialog appears", async () => {
    const keychain = new FakeKeychain();
    const store = createKeychainSource({ keychain, locked: async () => true });
    expect((await faultOf(store.load("anthropic", signal))).state).toBe("locked");
    expect((await faultOf(store.remove("anthropic"))).state).toBe("locked");
    expect(keychain.reads).toBe(0);
    keychain.fails = "ERR_SECRETS_PLATFORM_ERROR";
    expect((await faultOf(store.save("anthropic", [bytes("12345678")]))).state).toBe("locked");
  });

  test.each([
    ["ERR_SECRETS_INTERACTION_NOT_ALLOWED", false],
    ["ERR_SECRETS_INTERACTION_REQUIRED", false],
    ["ERR_SECRETS_USER_CANCELED", true],
    ["ERR_SECRETS_AUTH_FAILED", true],
    ["ERR_SECRETS_ACCESS_DENIED", true],
  ])("%s is a locked key; asked = %p", async (code, asked) => {
    const keychain = new FakeKeychain();
    keychain.fails = code;
    const store = createKeychainSource({ keychain, locked: async () => null });
    expect(await faultOf(store.load("anthropic", signal))).toMatchObject({ state: "locked", asked });
  });
});

test.each([
  [{}, false],
  [{ DBUS_SESSION_BUS_ADDRESS: "unix:path=/run/user/1000/bus" }, true],
  [{ XDG_RUNTIME_DIR: "/run/user/1000" }, true],
] as const)("a session bus is looked for in %p", (env, there) => {
  expect(hasSessionBus(env)).toBe(there);
});
