import { Command } from "commander";
import { checkKey, MAX_KEYS } from "../layers/vault/index.ts";
import type { KeyDesk } from "./key-desk.ts";
import { exitFailed, exitUsage, Refusal } from "./refusal.ts";

const examples = `
Examples:
  sanctum keys rotate anthropic             asks for the new key; the first one goes
  sanctum keys rotate openai --key 2        the second one goes
  pass show new | sanctum keys rotate openai --stdin

Requests in flight finish with the old key, later ones take the new one. Then withdraw the old key at the provider.`;

/**
 * `sanctum keys rotate PROVIDER`: a new key in the place of one that is there. The old one stays behind it until the
 * running gateway has the new one.
 */
export function rotateCommand(desk: () => KeyDesk, run: (work: () => Promise<void>) => Promise<void>): Command {
  return new Command("rotate")
    .description("replace a key by a new one while requests go on; asks for it without showing it")
    .argument("<provider>")
    .argument("[surplus...]", "nothing: the key is asked for")
    .option("--key <number>", "which one to replace, as they are used", "1")
    .option("--stdin", "read the key from standard input instead of asking for it")
    .addHelpText("after", examples)
    .action((provider: string, surplus: string[], options: { key: string; stdin?: boolean }) =>
      run(() => rotate(desk(), provider, surplus, options)),
    );
}

async function rotate(
  desk: KeyDesk,
  name: string,
  surplus: readonly string[],
  options: { key: string; stdin?: boolean },
): Promise<void> {
  if (surplus.length > 0) throw new Refusal(exitUsage, keyAsArgument);
  const config = desk.config();
  const provider = desk.providerOf(config, name);
  const before = await desk.load(config, provider);
  let key: Uint8Array | undefined;
  try {
    if (before.length === 0) throw new Refusal(exitFailed, `${name} has no key yet: \`sanctum keys set ${name}\``);
    const index = indexOf(options.key, name, before.length);
    key = await desk.ask(name, options.stdin === true);
    checkKey(key);
    const fresh = key;
    if (before.some((one) => Buffer.from(one).equals(fresh))) {
      throw new Refusal(exitFailed, `that key of ${name} is stored already; make a new one at the provider`);
    }
    const after = before.with(index, fresh);
    // Until the gateway has the new one, the old one is its next.
    const both = after.toSpliced(index + 1, 0, before[index]!);
    if (both.length <= MAX_KEYS) {
      await desk.save(config, provider, both);
      const taken = await desk.tell(name, true);
      if (taken !== null && taken < both.length) {
        await desk.save(config, provider, before);
        await desk.tell(name, true);
        throw new Refusal(exitFailed, `the running gateway could not take the new key of ${name}; the old one is back`);
      }
    }
    const place = await desk.save(config, provider, after);
    await desk.tell(name);
    desk.io.out(
      `The new key of ${name} is in the ${place}, and the old one is gone. Withdraw it at the provider too.\n`,
    );
  } finally {
    key?.fill(0);
    for (const one of before) one.fill(0);
  }
}

export const keyAsArgument =
  "a key is never given as an argument: others can see it, and it is in your shell's history now. " +
  "Remove it there, and replace the key at the provider. Then run this without it.";

/** The place in the list. Throws a Refusal where there is no such key. */
export function indexOf(number: string, provider: string, keys: number): number {
  // Whoever gives the key itself must not see it again.
  if (!/^[1-9]\d?$/.test(number)) throw new Refusal(exitUsage, "--key takes a number: 1 is the one that is used first");
  if (Number(number) <= keys) return Number(number) - 1;
  throw new Refusal(exitFailed, `${provider} has ${keys === 1 ? "one key" : `${keys} keys`}`);
}
