import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../secret.ts";
import { accountOf, HouseSecret } from "./house-secret.ts";
import { KeyFault, type KeyPlace, type KeyStore } from "./key-source.ts";

/** A store in memory, that may be locked or absent. */
class MemoryStore implements KeyStore {
  readonly place: KeyPlace;
  readonly kept = new Map<string, string>();
  trouble: "locked" | "absent" | null = null;
  exists = true;

  constructor(place: KeyPlace) {
    this.place = place;
  }

  get locked(): boolean {
    return this.trouble === "locked";
  }

  async load(account: string): Promise<readonly Uint8Array[]> {
    this.#complain();
    const value = this.kept.get(account);
    return value === undefined ? [] : [new TextEncoder().encode(value)];
  }

  async save(account: string, keys: readonly Uint8Array[]): Promise<void> {
    this.#complain();
    this.kept.set(account, new TextDecoder().decode(keys[0]));
  }

  async remove(account: string): Promise<boolean> {
    return this.kept.delete(account);
  }

  #complain(): void {
    if (this.trouble === "absent") throw new KeyFault("missing", "there is no keychain", { absent: true });
    if (this.trouble === "locked") throw new KeyFault("locked", `the ${this.place} is locked`);
  }
}

let folder: string;
let keychain: MemoryStore;
let vault: MemoryStore;
const account = accountOf("audit", "/home/x/.sanctum");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-secret-"));
  keychain = new MemoryStore("keychain");
  vault = new MemoryStore("vault");
});
afterEach(() => rmSync(folder, { recursive: true }));

const file = (): string => join(folder, "state", "audit.key");
const secretOf = (): HouseSecret => new HouseSecret({ account, keychain, vault, file: file(), now: () => Date.now() });
const key = Secret.fromString("a-key-of-the-house");

async function found(): Promise<unknown> {
  const loaded = await secretOf().load();
  return loaded.state === "found" ? [loaded.place, loaded.key.reveal()] : loaded;
}

describe("a secret of the gateway is kept", () => {
  test("in the keychain where there is one", async () => {
    expect(await found()).toEqual({ state: "none" });
    expect(await secretOf().save(key)).toBe("keychain");
    expect(await found()).toEqual(["keychain", "a-key-of-the-house"]);
    expect([vault.kept.size, existsSync(file())]).toEqual([0, false]);
  });

  test("else in an open vault", async () => {
    keychain.trouble = "absent";
    expect(await secretOf().save(key)).toBe("vault");
    expect(await found()).toEqual(["vault", "a-key-of-the-house"]);
  });

  test("else in a file of its owner's alone", async () => {
    keychain.trouble = "absent";
    vault.exists = false;
    expect(await found()).toEqual({ state: "none" });
    expect(await secretOf().save(key)).toBe("file");
    expect(await found()).toEqual(["file", "a-key-of-the-house"]);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readFileSync(file(), "utf8")).toBe("a-key-of-the-house\n");
  });

  test("and moves from the file to a better place that has come", async () => {
    keychain.trouble = "absent";
    vault.exists = false;
    await secretOf().save(key);
    vault.exists = true;
    vault.trouble = "locked";
    expect(await found()).toEqual(["file", "a-key-of-the-house"]);
    vault.trouble = null;
    expect(await found()).toEqual(["vault", "a-key-of-the-house"]);
    expect(existsSync(file())).toBe(false);
  });
});

describe("where a place is locked", () => {
  test("a keychain says so, and nothing weaker is used behind its back", async () => {
    keychain.trouble = "locked";
    expect(await found()).toEqual({ state: "locked", why: "the keychain is locked" });
    await expect(secretOf().save(key)).rejects.toThrow("locked");
    expect([vault.kept.size, existsSync(file())]).toEqual([0, false]);
  });

  test("a vault says what opens it", async () => {
    keychain.trouble = "absent";
    vault.trouble = "locked";
    expect(await found()).toMatchObject({ state: "locked", why: expect.stringContaining("sanctum keys unlock") });
    await expect(secretOf().save(key)).rejects.toThrow("locked");
  });
});

test("a note beside it is in the keychain or nowhere", async () => {
  await secretOf().saveNote("24:sha256:ab");
  expect(await secretOf().loadNote()).toBe("24:sha256:ab");
  keychain.trouble = "locked";
  await secretOf().saveNote("25:sha256:ab");
  expect(await secretOf().loadNote()).toBeNull();
  keychain.trouble = "absent";
  await secretOf().saveNote("26:sha256:ab");
  expect([await secretOf().loadNote(), vault.kept.size]).toEqual([null, 0]);
});

test("an empty file is no secret", async () => {
  keychain.trouble = "absent";
  vault.exists = false;
  await secretOf().save(key);
  writeFileSync(file(), "");
  expect(await found()).toEqual({ state: "none" });
});

test("accounts are no provider's, and one for each home", () => {
  expect(account).toStartWith(".audit-");
  expect(accountOf("audit", "/home/me/.sanctum")).not.toBe(account);
});
