import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyFault } from "./key-source.ts";
import { createVaultCipher, WrongVaultKey, type VaultCipher, type VaultKey } from "./vault-cipher.ts";
import { VaultStore, vaultKey } from "./vault-store.ts";

// Each opening derives a key from a passphrase, which is slow on purpose.
setDefaultTimeout(60_000);

const root = mkdtempSync(join(tmpdir(), "sanctum-vault-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = (keys: readonly Uint8Array[]): string[] => keys.map((key) => new TextDecoder().decode(key));
const passphrase = (text = "correct horse"): VaultKey => vaultKey("passphrase", bytes(text));
const key = "sk-ant-api03-canary-12345678";

let folder = "";
let now = 0;
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "home-"));
  file = join(folder, "vault.age");
  now = 1_000_000;
});

function storeIn(cipher: VaultCipher = createVaultCipher()): VaultStore {
  const marksFile = join(folder, "state/vault.json");
  return new VaultStore({ file, marksFile, cipher, clock: { now: () => now, monotonic: () => now } });
}

async function faultOf(promise: Promise<unknown>): Promise<KeyFault> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof KeyFault) return error;
  throw new Error("no KeyFault", { cause: error });
}

/** A cipher that counts, and seals by leaving everything as it is: for what is not about cryptography. */
class OpenCipher implements VaultCipher {
  opened = 0;
  gate: Promise<void> = Promise.resolve();
  right = "correct horse";
  readonly plain: Uint8Array[] = [];

  async open(content: Uint8Array, { kind, secret }: VaultKey): Promise<Uint8Array> {
    this.opened++;
    const wrong = secret.reveal() !== this.right;
    await this.gate;
    if (wrong) throw new WrongVaultKey(kind);
    const plain = Uint8Array.from(content);
    this.plain.push(plain);
    return plain;
  }

  async seal(plain: Uint8Array): Promise<Uint8Array> {
    return Uint8Array.from(plain);
  }
}

describe("a vault", () => {
  test("gives back what was stored, in a file of mode 0600 that shows nothing of it", async () => {
    const store = storeIn();
    expect([store.exists, store.kind(), await store.load("anthropic")]).toEqual([false, null, []]);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key), bytes("sk-second-22")]);
    expect([store.exists, store.kind(), statSync(file).mode & 0o777]).toEqual([true, "passphrase", 0o600]);
    expect(readFileSync(file).includes(key) || readFileSync(file).includes("anthropic")).toBeFalse();

    const later = storeIn();
    expect((await faultOf(later.load("anthropic"))).state).toBe("locked");
    await later.unlock(passphrase());
    expect(texts(await later.load("anthropic"))).toEqual([key, "sk-second-22"]);
    expect(readdirSync(folder).toSorted()).toEqual(["state", "vault.age"]);
  });

  test("of which any byte was changed is refused, and none of its text comes out", async () => {
    const store = storeIn();
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    const whole = readFileSync(file);
    // Every part of the format once: version, stanza, header's MAC, nonce, payload, its tag. A passphrase costs a second a try.
    const at = [3, 60, whole.indexOf("\n--- ") + 10, whole.length - 90, whole.length - 1];
    for (const offset of at) {
      const changed = Buffer.from(whole);
      changed[offset]! ^= 0x01;
      writeFileSync(file, changed);
      const fault = await faultOf(storeIn().unlock(passphrase()));
      expect(Bun.inspect(fault)).not.toContain(key);
      rmSync(join(folder, "state/vault.json"), { force: true });
    }
    writeFileSync(file, whole.subarray(0, -1));
    expect((await faultOf(storeIn().unlock(passphrase()))).reason).toContain("damaged");
    writeFileSync(file, "hello");
    expect((await faultOf(storeIn().unlock(passphrase()))).reason).toContain("damaged");
  });
});

describe("a vault's marks", () => {
  test("an older copy in its place is noticed, told, and taken only where it is meant", async () => {
    const cipher = new OpenCipher();
    const store = storeIn(cipher);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes("sk-old-1234")]);
    const old = readFileSync(file);
    await store.save("anthropic", [bytes("sk-new-1234")]);
    writeFileSync(file, old);
    expect((await faultOf(store.load("anthropic"))).reason).toContain("older copy (change 1, the last one was 2)");
    const later = storeIn(cipher);
    expect((await faultOf(later.unlock(passphrase()))).reason).toContain("--accept-older");
    await later.unlock(passphrase(), true);
    expect(texts(await later.load("anthropic"))).toEqual(["sk-old-1234"]);
    await later.save("openai", [bytes("sk-next-1234")]);
    const last = storeIn(cipher);
    await last.unlock(passphrase());
    expect(texts(await last.load("anthropic"))).toEqual(["sk-old-1234"]);
  });

  test("wrong passphrases are slowed down, across processes, and a right one ends that", async () => {
    const cipher = new OpenCipher();
    await storeIn(cipher).unlock(passphrase());
    const first = storeIn(cipher);
    await first.unlock(passphrase());
    await first.save("anthropic", [bytes(key)]);
    for (let tries = 0; tries < 3; tries++) {
      expect(await faultOf(storeIn(cipher).unlock(passphrase("wrong")))).toBeInstanceOf(WrongVaultKey);
    }
    for (const wait of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const early = await faultOf(storeIn(cipher).unlock(passphrase()));
      expect(early.reason).toContain(`the next one is taken in ${wait} s`);
      now += wait * 1_000;
      expect(await faultOf(storeIn(cipher).unlock(passphrase("wrong")))).toBeInstanceOf(WrongVaultKey);
    }
    // A clock that was set back locks nobody out for longer.
    now -= 1_000_000_000;
    expect((await faultOf(storeIn(cipher).unlock(passphrase()))).reason).toContain("in 60 s");
    now += 1_000_060_000;
    await storeIn(cipher).unlock(passphrase());
    expect(await faultOf(storeIn(cipher).unlock(passphrase("wrong")))).toBeInstanceOf(WrongVaultKey);
    await storeIn(cipher).unlock(passphrase());
  });

  test("that are missing or broken keep nobody out", async () => {
    const cipher = new OpenCipher();
    const store = storeIn(cipher);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    for (const text of ["", "{", "[]", '{"generation":"7"}', '{"generation":-1,"wrong":1e99}']) {
      writeFileSync(join(folder, "state/vault.json"), text);
      expect(texts(await store.load("anthropic"))).toEqual([key]);
    }
  });
});

describe("reading a vault", () => {
  test("opens it once for all who ask together, and wipes what it held when the last has taken its keys", async () => {
    const cipher = new OpenCipher();
    const store = storeIn(cipher);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    await store.save("openai", [bytes("sk-proj-33")]);
    cipher.opened = 0;
    const gate = Promise.withResolvers<void>();
    cipher.gate = gate.promise;
    const reading = ["anthropic", "openai", "nobody", "anthropic"].map((name) => store.load(name));
    gate.resolve();
    expect((await Promise.all(reading)).map(texts)).toEqual([[key], ["sk-proj-33"], [], [key]]);
    expect(cipher.opened).toBe(1);
    expect(cipher.plain.every((plain) => plain.every((byte) => byte === 0))).toBeTrue();
  });

  test("spends nothing on a provider that has no key in it, until the file changes", async () => {
    const cipher = new OpenCipher();
    const store = storeIn(cipher);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    await store.load("anthropic");
    cipher.opened = 0;
    for (let times = 0; times < 10; times++) expect(await store.load("openai")).toEqual([]);
    expect(cipher.opened).toBe(0);
    const other = storeIn(cipher);
    await other.unlock(passphrase());
    await other.save("openai", [bytes("sk-proj-33")]);
    expect(texts(await store.load("openai"))).toEqual(["sk-proj-33"]);
  });

  test("a removed key is gone, and the others stay", async () => {
    const store = storeIn(new OpenCipher());
    expect(await store.remove("anthropic")).toBeFalse();
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    await store.save("openai", [bytes("sk-proj-33")]);
    expect(await store.remove("anthropic")).toBeTrue();
    expect(await store.remove("anthropic")).toBeFalse();
    expect([await store.load("anthropic"), texts(await store.load("openai"))]).toEqual([[], ["sk-proj-33"]]);
  });

  test("a change that fails leaves the file as it was, and no two change it at once", async () => {
    const cipher = new OpenCipher();
    const store = storeIn(cipher);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    const before = readFileSync(file);
    const seal = cipher.seal.bind(cipher);
    cipher.seal = () => Promise.reject(new KeyFault("locked", "no process can be started"));
    expect((await faultOf(store.save("openai", [bytes("sk-proj-33")]))).reason).toContain("no process");
    expect(readFileSync(file).equals(before)).toBeTrue();
    const gate = Promise.withResolvers<void>();
    cipher.seal = async (plain) => gate.promise.then(async () => seal(plain));
    const saving = store.save("openai", [bytes("sk-proj-33")]);
    expect((await faultOf(store.save("openai", [bytes("sk-other-44")]))).reason).toContain(
      "another process changes it",
    );
    gate.resolve();
    await saving;
    expect(texts(await store.load("openai"))).toEqual(["sk-proj-33"]);
  });

  test("a wrong key does not take the right one's place, and is wiped", async () => {
    const cipher = new OpenCipher();
    const store = storeIn(cipher);
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    const wrong = passphrase("wrong");
    expect(await faultOf(store.unlock(wrong))).toBeInstanceOf(WrongVaultKey);
    expect([wrong.secret.wiped, texts(await store.load("anthropic"))]).toEqual([true, [key]]);
    store.lock();
    expect((await faultOf(store.load("anthropic"))).reason).toContain("sanctum keys unlock");
  });

  test("what is inside and is no vault is told without being shown", async () => {
    const cipher = new OpenCipher();
    for (const plain of ["", "[]", "null", `{"v":1,"generation":1,"keys":{"a":"${key}"}}`, '{"v":2,"keys":{}}', key]) {
      writeFileSync(file, plain);
      const fault = await faultOf(storeIn(cipher).unlock(passphrase()));
      expect(fault.reason).toStartWith("vault.age can't be used");
      expect(Bun.inspect(fault)).not.toContain("canary-1234");
    }
  });
});
