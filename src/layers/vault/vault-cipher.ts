// Opens and seals vaults by asking a child process (vault-age.ts). Passphrase and plain text go through its pipes, never
// through an argument, an environment or a file.

import { join } from "node:path";
import { giveInput } from "../../child-input.ts";
import { KeyFault } from "./key-source.ts";
import type { VaultAnswer, VaultAsk, VaultOpener } from "./vault-age.ts";
import type { Secret } from "../../secret.ts";

/** What opens a vault; its bytes are the passphrase, or the identity's text. */
export interface VaultKey {
  readonly kind: "passphrase" | "identity";
  readonly secret: Secret;
}

export interface VaultCipher {
  /** The plain bytes, which the caller owns and wipes. Rejects with a KeyFault; `wrong` is true where the key does not fit. */
  open(file: Uint8Array, key: VaultKey): Promise<Uint8Array>;
  /** An age file. Rejects with a KeyFault. */
  seal(plain: Uint8Array, key: VaultKey): Promise<Uint8Array>;
}

/** The vault is sound, but this passphrase or identity does not open it. */
export class WrongVaultKey extends KeyFault {
  override readonly name = "WrongVaultKey";
  constructor(kind: VaultKey["kind"]) {
    super("locked", `this ${kind} does not open vault.age`);
  }
}

/** Milliseconds. Deriving a key takes a second or two on a slow machine; a loaded one may need more. */
const timeoutMs = 60_000;

/** `command`: how to run `answerVault` in a process of its own. */
export function createVaultCipher(command: readonly string[] = cipherCommand()): VaultCipher {
  return {
    open: async (file, key) => ask(command, { open: Buffer.from(file).toString("base64"), by: openerOf(key) }, key),
    seal: async (plain, key) => ask(command, { seal: Buffer.from(plain).toString("base64"), by: openerOf(key) }, key),
  };
}

async function ask(command: readonly string[], request: VaultAsk, key: VaultKey): Promise<Uint8Array> {
  const input = Buffer.from(JSON.stringify(request));
  const answer = await askChild(command, input).finally(() => input.fill(0));
  if ("bytes" in answer) return Buffer.from(answer.bytes, "base64");
  if (answer.fault === "wrong") throw new WrongVaultKey(key.kind);
  if (answer.fault === "identity") {
    throw new KeyFault("locked", "the identity for vault.age is none: it must be a line `AGE-SECRET-KEY-1…`");
  }
  throw new KeyFault("missing", "vault.age is damaged; restore it from a backup, or move it away");
}

async function askChild(command: readonly string[], input: Uint8Array): Promise<VaultAnswer> {
  try {
    await using child = Bun.spawn([...command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      // Nothing of our surroundings, and no debugging of us, reaches the child. It needs no home, and would otherwise look
      // for one in the list of users, where the user of a container may not be.
      env: { HOME: "/nonexistent" },
      timeout: timeoutMs,
    });
    giveInput(child.stdin, input);
    const output = await child.stdout.text();
    if ((await child.exited) === 0) return JSON.parse(output) as VaultAnswer;
  } catch (cause) {
    throw new KeyFault("locked", "vault.age can't be opened: no process can be started for it", { cause });
  }
  throw new KeyFault("locked", "vault.age can't be opened: the process that was started for it failed");
}

function openerOf({ kind, secret }: VaultKey): VaultOpener {
  return kind === "passphrase" ? { passphrase: secret.reveal() } : { identity: secret.reveal().trim() };
}

/** In a compiled program the files are inside the program, which answers for them by a hidden command. */
function cipherCommand(): readonly string[] {
  if (/^(?:\/\$bunfs|B:\/~BUN)\//.test(Bun.main)) return [process.execPath, "vault-apart"];
  const flags = ["--no-env-file", "--config=/dev/null", "--smol"];
  return [process.execPath, ...flags, join(import.meta.dir, "vault-age.ts")];
}
