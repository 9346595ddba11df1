import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyFault } from "../layers/vault/index.ts";
import { findVaultKey } from "./vault-key.ts";

const folder = mkdtempSync(join(tmpdir(), "sanctum-vault-key-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const identity = `AGE-SECRET-KEY-1${"Q".repeat(58)}`;

function fileWith(text: string, name = "given"): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function found(env: Record<string, string>, identityFile?: string): [string, string] | null {
  const key = findVaultKey(env, identityFile);
  return key === null ? null : [key.kind, key.secret.reveal()];
}

describe("what opens the vault", () => {
  test("is read from a file descriptor, which is closed, without the line break at its end", () => {
    for (const end of ["", "\n", "\r\n"]) {
      const descriptor = openSync(fileWith(`größe 🗝 with spaces ${end}`), "r");
      expect(found({ SANCTUM_VAULT_PASSPHRASE_FD: String(descriptor) })).toEqual([
        "passphrase",
        "größe 🗝 with spaces ",
      ]);
      expect(() => closeSync(descriptor)).toThrow();
    }
  });

  test("is told where the descriptor is none, or one that the program has for other things", () => {
    for (const text of ["0", "2", "-1", "x", "3.5", "9999"]) {
      expect(() => findVaultKey({ SANCTUM_VAULT_PASSPHRASE_FD: text }, undefined)).toThrow(KeyFault);
    }
  });

  test("is a systemd credential: a passphrase, or an identity", () => {
    const CREDENTIALS_DIRECTORY = join(folder, "credentials");
    mkdirSync(CREDENTIALS_DIRECTORY);
    expect(found({ CREDENTIALS_DIRECTORY })).toBeNull();
    fileWith(`# public key: age1…\n${identity}\n`, "credentials/sanctum-vault-identity");
    expect(found({ CREDENTIALS_DIRECTORY })).toEqual(["identity", identity]);
    fileWith("correct horse\n", "credentials/sanctum-vault-passphrase");
    expect(found({ CREDENTIALS_DIRECTORY })).toEqual(["passphrase", "correct horse"]);
  });

  test("is the identity in the file that the configuration names, as age-keygen writes it", () => {
    const file = fileWith(`# created: 2026-11-28\n# public key: age1…\n${identity}\n`);
    expect(found({}, file)).toEqual(["identity", identity]);
    expect(() => findVaultKey({}, join(folder, "nowhere"))).toThrow(/vault\.identity: .*nowhere can't be read/);
    expect(found({})).toBeNull();
  });
});
