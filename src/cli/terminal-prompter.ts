import { KeyFault, type KeyQuestion, type OpenableVault, type Prompter } from "../layers/vault/index.ts";
import { readHidden, standardInput, type KeyInput } from "./hidden-input.ts";
import { openVault } from "./open-vault.ts";
import { Refusal } from "./refusal.ts";

const INTERRUPT = 0x03;
/** More than any key; a longer one is then told to be too long. */
const maxBytes = 4_096;
const eraseLine = "\r\u001b[K";

interface Parts {
  /** Writes to the terminal. */
  readonly write: (text: string) => void;
  /** Standard input unless given. */
  readonly input?: (signal: AbortSignal) => KeyInput;
  /** The person has pressed Ctrl-C, which is no signal while a question is open. */
  readonly interrupt: () => void;
}

/** Asks at the terminal where the gateway runs. What the log says meanwhile appears above the question. */
export class TerminalPrompter implements Prompter {
  readonly kind = "terminal";
  readonly #parts: Parts;
  /** What stands on the terminal's last line, unanswered; null: nothing. */
  #open: string | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async askKey({ provider, remark }: KeyQuestion, signal: AbortSignal): Promise<Uint8Array | null> {
    if (remark !== null) this.tell(remark);
    return await this.ask(`Key of ${provider}: `, signal);
  }

  async openVault(vault: OpenableVault, signal: AbortSignal): Promise<boolean> {
    try {
      await openVault({
        vault,
        env: {},
        identityFile: undefined,
        input: this.#input(signal),
        say: (text) => this.#say(text),
      });
      return true;
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof KeyFault)) throw error;
      this.tell(`${error.message}.`);
      return false;
    }
  }

  tell(text: string): void {
    this.#parts.write(`${text}\n`);
  }

  /** A line of the log. */
  log(line: string): void {
    this.#parts.write(this.#open === null ? `${line}\n` : `${eraseLine}${line}\n${this.#open}`);
  }

  /** Null: Ctrl-C, which `interrupt` was told, or the input's end. Rejects where `signal` aborts. */
  async ask(question: string, signal: AbortSignal): Promise<Uint8Array | null> {
    signal.throwIfAborted();
    try {
      return await readHidden(this.#input(signal), () => this.#say(question), maxBytes);
    } finally {
      this.#open = null;
      this.#parts.write("\n");
    }
  }

  /** A text without a line's end is a question. */
  #say(text: string): void {
    const question = text.slice(text.lastIndexOf("\n") + 1);
    this.#open = question === "" ? null : question;
    this.#parts.write(text);
  }

  #input(signal: AbortSignal): KeyInput {
    const input = (this.#parts.input ?? standardInput)(signal);
    const { interrupt } = this.#parts;
    return {
      isTTY: true,
      setRawMode: (raw) => input.setRawMode?.(raw),
      pause: () => input.pause?.(),
      async *[Symbol.asyncIterator]() {
        for await (const chunk of input) {
          if (chunk.includes(INTERRUPT)) interrupt();
          yield chunk;
        }
      },
    };
  }
}
