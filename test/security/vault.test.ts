// The vault is a standard age file: what Debian's `age` makes of it, and what we make of its files.

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import {
  createVaultCipher,
  KeyFault,
  VaultStore,
  vaultKey,
  WrongVaultKey,
  type VaultKey,
} from "../../src/layers/vault/index.ts";
import { needProgram } from "../debian-package.ts";

// Each opening derives a key from a passphrase, which is slow on purpose.
setDefaultTimeout(120_000);

beforeAll(() => needProgram("age", "the test of the vault"));
const root = mkdtempSync(join(tmpdir(), "sanctum-vault-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = (keys: readonly Uint8Array[]): string[] => keys.map((key) => new TextDecoder().decode(key));
const passphrase = (text = "correct horse"): VaultKey => vaultKey("passphrase", bytes(text));
const key = "sk-ant-api03-canary-12345678";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "home-"));
  file = join(folder, "vault.age");
});

function storeIn(): VaultStore {
  return new VaultStore({
    file,
    marksFile: join(folder, "state/vault.json"),
    cipher: createVaultCipher(),
    clock: systemClock,
  });
}

async function faultOf(promise: Promise<unknown>): Promise<KeyFault> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof KeyFault) return error;
  throw new Error("no KeyFault", { cause: error });
}

/** Debian's `age`, which knows nothing of us; a passphrase it only takes from a terminal. */
async function age(argv: string[], typed?: string): Promise<{ code: number; output: Buffer }> {
  const out = join(folder, "age-output");
  if (typed === undefined) {
    const child = Bun.spawn(["age", "-o", out, ...argv], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    const code = await child.exited;
    return { code, output: code === 0 ? readFileSync(out) : Buffer.alloc(0) };
  }
  let answered = 0;
  let shown = "";
  const terminal = new Bun.Terminal({
    data: (self, data) => {
      shown += new TextDecoder().decode(data);
      const asked = shown.match(/passphrase[^\n]*:/gi)?.length ?? 0;
      for (; answered < asked; answered++) self.write(`${typed}\n`);
    },
  });
  const child = Bun.spawn(["age", "-o", out, ...argv], { terminal });
  const code = await child.exited;
  terminal.close();
  return { code, output: code === 0 ? readFileSync(out) : Buffer.alloc(0) };
}

describe("the vault", () => {
  test("is a standard age file: the age program opens it with the same passphrase", async () => {
    const store = storeIn();
    await store.unlock(passphrase());
    await store.save("anthropic", [bytes(key)]);
    const { code, output } = await age(["-d", file], "correct horse");
    expect(code).toBe(0);
    expect(JSON.parse(output.toString())).toEqual({ v: 1, generation: 1, keys: { anthropic: [key] } });
    expect((await age(["-d", file], "wrong horse")).code).not.toBe(0);
  });

  test("that the age program has made is opened", async () => {
    const plain = join(folder, "plain.json");
    writeFileSync(plain, JSON.stringify({ v: 1, generation: 4, keys: { anthropic: [key] } }));
    const { code, output } = await age(["-p", plain], "correct horse");
    expect(code).toBe(0);
    writeFileSync(file, output);
    const store = storeIn();
    await store.unlock(passphrase());
    expect(texts(await store.load("anthropic"))).toEqual([key]);
  });

  test("opens with an age identity instead, both ways, and with no other", async () => {
    const made = async (): Promise<string> => {
      const child = Bun.spawn(["age-keygen"], { stdout: "pipe", stderr: "ignore" });
      return /AGE-SECRET-KEY-1\w+/.exec(await child.stdout.text())![0];
    };
    const [identity, other] = [await made(), await made()];
    const store = storeIn();
    await store.unlock(vaultKey("identity", bytes(identity)));
    await store.save("anthropic", [bytes(key)]);
    expect(store.kind()).toBe("identity");
    const identityFile = join(folder, "identity.txt");
    writeFileSync(identityFile, `# a comment\n${identity}\n`);
    expect((await age(["-d", "-i", identityFile, file])).output.toString()).toContain(key);
    expect(await faultOf(storeIn().unlock(vaultKey("identity", bytes(other))))).toBeInstanceOf(WrongVaultKey);
    expect((await faultOf(storeIn().unlock(vaultKey("identity", bytes("AGE-SECRET-KEY-1NO"))))).reason).toContain(
      "is none",
    );
    expect(await faultOf(storeIn().unlock(passphrase()))).toBeInstanceOf(WrongVaultKey);
  });
});
