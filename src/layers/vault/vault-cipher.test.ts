import { expect, setDefaultTimeout, test } from "bun:test";
import { memoryFiles } from "../../../test/fakes/memory-files.ts";
import { Secret } from "../../secret.ts";
import { createVaultCipher, WrongVaultKey, type VaultKey } from "./vault-cipher.ts";

// Deriving a key is meant to take its time.
setDefaultTimeout(120_000);

const keyOf = (text: string): VaultKey => ({ kind: "passphrase", secret: Secret.fromString(text) });

test("what was sealed is opened by its passphrase alone, and no file in memory keeps passphrase or plain text", async () => {
  const cipher = createVaultCipher();
  const before = memoryFiles();
  const sealed = await cipher.seal(Buffer.from("the plain text"), keyOf("right"));
  expect(Buffer.from(await cipher.open(sealed, keyOf("right"))).toString()).toBe("the plain text");
  await expect(cipher.open(sealed, keyOf("wrong"))).rejects.toBeInstanceOf(WrongVaultKey);
  expect(memoryFiles()).toEqual(before);
});
