import { killGroup, readAtMost } from "./child-output.ts";
import { systemTimer, type StartTimer } from "./deadline.ts";
import { dialogCommand, type DialogProgram } from "./dialog-programs.ts";
import { KeyFault } from "./key-source.ts";
import type { KeyQuestion, OpenableVault, Prompter } from "./prompter.ts";
import { WrongVaultKey } from "./vault-cipher.ts";
import { LEAST_PASSPHRASE_BYTES, vaultKey } from "./vault-store.ts";

/** A dialog that nobody answers closes by itself. */
const TIMEOUT_MS = 120_000;
const title = "Sanctum Cloud Proxy";
const tries = 3;

/** What a program needs to show a window in the person's own session. */
const desktopVariables: readonly string[] = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "LC_MESSAGES",
  "TMPDIR",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "XAUTHORITY",
  "XDG_RUNTIME_DIR",
  "XDG_SESSION_TYPE",
  "XDG_CURRENT_DESKTOP",
  "XDG_DATA_DIRS",
  "XDG_CONFIG_HOME",
  "DBUS_SESSION_BUS_ADDRESS",
  "KDE_FULL_SESSION",
  "KDE_SESSION_VERSION",
];

/**
 * Runs `"$@"` beside a watcher that ends the whole group when our end of its input closes, which the kernel does however the
 * gateway ends. The arguments are never read as script.
 */
const watched = 'exec 3<&0; (read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

interface Parts {
  /** The environment to choose from; this process's own unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timer?: StartTimer;
}

/** Asks in a dialog on the desktop. What its program prints is never logged, and its error output is discarded. */
export class DialogPrompter implements Prompter {
  readonly kind: DialogProgram["kind"];
  readonly #program: DialogProgram;
  readonly #env: Record<string, string>;
  readonly #timer: StartTimer;

  constructor(program: DialogProgram, { env = process.env, timer = systemTimer }: Parts = {}) {
    this.kind = program.kind;
    this.#program = program;
    this.#timer = timer;
    this.#env = {};
    for (const name of desktopVariables) {
      const value = env[name];
      if (value !== undefined) this.#env[name] = value;
    }
  }

  async askKey({ provider, host, remark }: KeyQuestion, signal: AbortSignal): Promise<Uint8Array | null> {
    const lead = remark === null ? `The key of ${provider} is missing.` : `${remark} Try another key of ${provider}.`;
    return await this.#show(
      `${lead}\n\nIt is checked with ${host} and then stored, encrypted. Until then other models answer.`,
      signal,
    );
  }

  async openVault(vault: OpenableVault, signal: AbortSignal): Promise<boolean> {
    if (vault.kind() === "identity") return false;
    let remark = "";
    for (let left = tries; left > 0; left--) {
      const passphrase = vault.exists
        ? await this.#show(`${remark}The passphrase of vault.age:`, signal)
        : await this.#choosePassphrase(remark, signal);
      if (passphrase === null) return false;
      if (passphrase === "again") {
        remark = `These two differ, or are shorter than ${LEAST_PASSPHRASE_BYTES} characters.\n\n`;
        continue;
      }
      try {
        await vault.unlock(vaultKey("passphrase", passphrase));
        return true;
      } catch (error) {
        if (!(error instanceof WrongVaultKey)) throw error;
        remark = "That is not it.\n\n";
      }
    }
    return false;
  }

  /** The dialogs themselves say what there is to say. */
  tell(): void {}

  async #choosePassphrase(remark: string, signal: AbortSignal): Promise<Uint8Array | "again" | null> {
    const first = await this.#show(
      `${remark}This machine has no keychain, so keys go into an encrypted file, vault.age.\n\nChoose its passphrase:`,
      signal,
    );
    if (first === null) return null;
    const second = await this.#show("The same passphrase once more:", signal);
    const same = second !== null && Buffer.from(first).equals(second);
    second?.fill(0);
    if (same && first.length >= LEAST_PASSPHRASE_BYTES) return first;
    first.fill(0);
    return second === null ? null : "again";
  }

  /** Null: closed, not answered, or not to be shown. */
  async #show(text: string, signal: AbortSignal): Promise<Uint8Array | null> {
    signal.throwIfAborted();
    const command = dialogCommand(this.#program, { title, text, seconds: TIMEOUT_MS / 1_000 });
    const child = start(["/bin/sh", "-c", watched, "sh", ...command], this.#env);
    const output = child.stdout.getReader();
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      killGroup(child.pid);
      // Whoever left the group may keep the pipe open: it is not waited for.
      output.cancel().catch(() => undefined);
    };
    // Later than the program's own, which closes the window in its own way.
    const cancelTimer = this.#timer(TIMEOUT_MS + 5_000, stop);
    signal.addEventListener("abort", stop, { once: true });
    try {
      const bytes = await readAtMost(output, stop);
      const exitCode = stopped ? null : await child.exited;
      signal.throwIfAborted();
      if (exitCode === 0) return withoutNewline(bytes);
      bytes.fill(0);
      return null;
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", stop);
      killGroup(child.pid);
    }
  }
}

type Child = Bun.Subprocess<"pipe", "pipe", "ignore">;

function start(argv: readonly string[], env: Record<string, string>): Child {
  try {
    // Detached: a process group of its own, which can be ended as a whole.
    return Bun.spawn([...argv], { env, stdin: "pipe", stdout: "pipe", stderr: "ignore", detached: true });
  } catch (cause) {
    throw new KeyFault("missing", "no process can be started for the dialog", { cause });
  }
}

/** All three programs put one line break behind the answer; `bytes` is wiped. */
function withoutNewline(bytes: Uint8Array): Uint8Array {
  const kept = Uint8Array.from(bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes);
  bytes.fill(0);
  return kept;
}
