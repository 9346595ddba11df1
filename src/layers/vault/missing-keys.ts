import type { KeyVerdict } from "../../key-verdict.ts";
import type { KeyReference, Provider } from "../../request.ts";
import { Secret } from "../../secret.ts";
import type { AskedMarks } from "./asked-marks.ts";
import type { KeyRing } from "./key-ring.ts";
import { checkKey, KeyFault, type KeyPlace, type KeyStore } from "./key-source.ts";
import type { OpenableVault, Prompter } from "./prompter.ts";

export interface MissingKeysParts {
  readonly prompter: Prompter;
  readonly keys: Pick<KeyRing, "state" | "refresh" | "settled">;
  readonly storeOf: (reference: KeyReference) => KeyStore | null;
  readonly vault: OpenableVault;
  /** Asks the provider about a key. */
  readonly check: (provider: Provider, key: Secret, signal: AbortSignal) => Promise<KeyVerdict>;
  readonly marks: AskedMarks;
  /** Whether requests may lead to a question at all; looked at each time. */
  readonly mayAsk: () => boolean;
  /** One line for the operational log. */
  readonly report: (line: string) => void;
}

/** What a start knows about the providers. */
export interface StartProviders {
  readonly all: readonly Provider[];
  /** Names that the configuration file speaks of. */
  readonly named: ReadonlySet<string>;
}

/** Wrong answers in a row. */
const tries = 3;

/** Asks a person for keys that are missing, one question at a time, and puts them to use. */
export class MissingKeys {
  readonly #parts: MissingKeysParts;
  readonly #ending = new AbortController();
  /** Providers whose question is in line or open. */
  readonly #inLine = new Set<string>();
  #line: Promise<void> = Promise.resolve();

  constructor(parts: MissingKeysParts) {
    this.#parts = parts;
  }

  /**
   * A key is missing: the person is asked when it is this question's turn, once an hour and provider at most. Returns at
   * once and never throws: nobody waits for a person.
   */
  ask(provider: Provider): void {
    const { name } = provider;
    if (this.#inLine.has(name) || !this.#parts.marks.isDue(name) || !this.#isWanted(provider)) return;
    this.#inLine.add(name);
    this.#line = this.#line.then(() => this.#askMarked(provider)).finally(() => this.#inLine.delete(name));
  }

  /** The start, where nobody sits at a terminal: asks for those that the configuration file speaks of. */
  async askAtStart({ all, named }: StartProviders): Promise<void> {
    await this.#parts.keys.settled();
    for (const provider of all) if (named.has(provider.name)) this.ask(provider);
  }

  /**
   * The start on a terminal: asks for those that the file speaks of; for the built-in ones only as long as no cloud provider
   * has a key, which is how a first start looks. Rejects with what ends the asking: the prompter's own, or the daemon's end.
   */
  async askInTurn({ all, named }: StartProviders): Promise<void> {
    const { keys, prompter } = this.#parts;
    await keys.settled();
    const isNamed = ({ name }: Provider): boolean => named.has(name);
    const ownLack = all.filter((provider) => isNamed(provider) && this.#lacks(provider));
    if (ownLack.length > 0) prompter.tell(`\nNo key is stored of ${namesOf(ownLack)}.\n${howToAnswer}\n`);
    for (const provider of ownLack) await this.#askNow(provider);
    if (all.some((provider) => this.#hasKey(provider))) return;
    const builtIn = all.filter((provider) => !isNamed(provider) && this.#lacks(provider));
    if (builtIn.length === 0) return;
    prompter.tell(`\nThere is no key for the cloud yet.\n${howToAnswer}\n`);
    for (const provider of builtIn) await this.#askNow(provider);
    if (builtIn.every((provider) => this.#lacks(provider))) {
      prompter.tell("\nWithout a key local models answer, where there are any. Later: `sanctum keys set PROVIDER`");
    }
  }

  /** Closes the question that is open; those in line are not asked. */
  close(): void {
    this.#ending.abort();
  }

  #lacks({ name, key }: Provider): boolean {
    return this.#parts.storeOf(key) !== null && this.#parts.keys.state(name) === "missing";
  }

  #isWanted(provider: Provider): boolean {
    return !this.#ending.signal.aborted && this.#parts.mayAsk() && this.#lacks(provider);
  }

  #hasKey({ name, key, local }: Provider): boolean {
    const state = this.#parts.keys.state(name);
    return !local && (key.from === "passthrough" || key.from === "none" || (state !== "missing" && state !== "none"));
  }

  async #askMarked(provider: Provider): Promise<void> {
    const { marks, report, prompter } = this.#parts;
    // The person may have stored it by a command meanwhile.
    if (!this.#isWanted(provider)) return;
    const { name } = provider;
    try {
      // Before the question: who kills the gateway to get rid of it has answered.
      await marks.mark(name).catch(() => report("keys: state/asked.json can't be written; a restart may ask again"));
      report(`keys: the key of ${name} is missing; asking for it on the desktop (${prompter.kind})`);
      const place = await this.#askNow(provider);
      if (place === null) report(`keys: no key of ${name} was given; not asked for again within the hour`);
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      report(
        `keys: the key of ${name} could not be asked for: ${error instanceof KeyFault ? error.reason : "a defect"}`,
      );
    }
  }

  /** Where the key is now; null: none was given. */
  async #askNow(provider: Provider): Promise<KeyPlace | null> {
    const { prompter } = this.#parts;
    const { signal } = this.#ending;
    const { name, url } = provider;
    const { host } = new URL(url);
    let remark: string | null = null;
    for (let left = tries; left > 0; left--) {
      signal.throwIfAborted();
      const typed = await prompter.askKey({ provider: name, host, remark }, signal);
      if (typed === null || typed.length === 0) return null;
      try {
        const answer = await this.#take(provider, host, typed);
        if (!("remark" in answer)) return answer.place;
        ({ remark } = answer);
      } finally {
        typed.fill(0);
      }
    }
    prompter.tell(`${remark}\nNothing was stored; \`sanctum keys set ${name}\` asks again.`);
    return null;
  }

  async #take(
    provider: Provider,
    host: string,
    typed: Uint8Array,
  ): Promise<{ readonly place: KeyPlace | null } | { readonly remark: string }> {
    const { prompter, check, report, keys } = this.#parts;
    const { name } = provider;
    try {
      checkKey(typed);
    } catch (error) {
      if (error instanceof KeyFault) return { remark: "That is no key: it has spaces, or is too short or too long." };
      throw error;
    }
    prompter.tell(`Asking ${host} …`);
    const verdict = await checked(check, provider, typed, this.#ending.signal);
    if (verdict.result === "rejected") return { remark: `${name} does not accept that key (${verdict.reason}).` };
    const place = await this.#store(provider, typed);
    if (place === null) return { place };
    await keys.refresh(name);
    const doubt = verdict.reason === null ? "" : ` (${verdict.reason})`;
    const state = verdict.result === "accepted" ? "accepted" : "not checked";
    prompter.tell(`The key of ${name} is ${state}${doubt}, stored in the ${place}, and in use.`);
    if (prompter.kind !== "terminal")
      report(`keys: the key of ${name} was given, ${state}${doubt}; it is in the ${place}`);
    return { place };
  }

  /** Null: it could not be stored, which the person was told. */
  async #store(provider: Provider, typed: Uint8Array): Promise<KeyPlace | null> {
    const { prompter, report } = this.#parts;
    let why = "nobody opened the vault";
    try {
      const place = await this.#storeIn(provider, typed);
      if (place !== null) return place;
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      why = error.reason;
    }
    prompter.tell(`The key of ${provider.name} is not stored: ${why}.`);
    if (prompter.kind !== "terminal") report(`keys: the key of ${provider.name} could not be stored: ${why}`);
    return null;
  }

  /** Null: it would go into the vault, and the person did not open it. */
  async #storeIn({ name, key }: Provider, typed: Uint8Array): Promise<KeyPlace | null> {
    const { storeOf, vault, prompter } = this.#parts;
    const store = storeOf(key);
    if (store === null) return null;
    try {
      await store.save(name, [typed]);
      return store.place;
    } catch (error) {
      if (!(error instanceof KeyFault) || store.place !== "vault" || !vault.locked) throw error;
    }
    if (!(await prompter.openVault(vault, this.#ending.signal))) return null;
    await store.save(name, [typed]);
    return store.place;
  }
}

const howToAnswer =
  "Type or paste it: it is not shown, is checked with the provider, and is then\n" +
  "stored. Enter alone skips. Requests are served meanwhile.";

function namesOf(providers: readonly Provider[]): string {
  const names = providers.map(({ name }) => name);
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** The check gets bytes of its own, which are wiped whatever happens. */
async function checked(
  check: MissingKeysParts["check"],
  provider: Provider,
  typed: Uint8Array,
  signal: AbortSignal,
): Promise<KeyVerdict> {
  const secret = new Secret(Uint8Array.from(typed));
  try {
    return await check(provider, secret, signal);
  } finally {
    secret.wipe();
  }
}
