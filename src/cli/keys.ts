import { join } from "node:path";
import { Command } from "commander";
import { createAdminClient, NotRunningError } from "../admin/admin-client.ts";
import type { Told } from "../admin/admin-server.ts";
import { systemClock } from "../clock.ts";
import type { KeyVerdict } from "../key-verdict.ts";
import { formatFault } from "../config/fault.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import {
  checkKey,
  createKeychainSource,
  createKeySources,
  createVaultCipher,
  KeyFault,
  KeyRing,
  MAX_KEY_BYTES,
  MAX_KEYS,
  VaultStore,
  type KeyDescription,
  type KeyStore,
} from "../layers/vault/index.ts";
import type { Provider } from "../request.ts";
import { Secret } from "../secret.ts";
import { checkKeyAt } from "../upstream/check-key.ts";
import { Dispatcher } from "../upstream/dispatch.ts";
import { checkEnvironment } from "./check-environment.ts";
import { readHidden, readPiped, standardInput, type KeyInput } from "./hidden-input.ts";
import type { Io } from "./io.ts";
import { testKeys, testsText, type TestedKey } from "./keys-test.ts";
import { openVault } from "./open-vault.ts";
import { readChoice } from "./read-choice.ts";
import { exitConfiguration, exitFailed, exitUsage, Refusal } from "./refusal.ts";
import type { KeyDesk } from "./key-desk.ts";
import { importCommand } from "./keys-import.ts";
import { indexOf, keyAsArgument, rotateCommand } from "./keys-rotate.ts";
import { findVaultKey } from "./vault-key.ts";

/** What the commands touch beside `Io`; tests bring their own. */
export interface KeysParts {
  readonly keychain?: KeyStore;
  readonly vault?: VaultStore;
  readonly input?: KeyInput;
  readonly check?: KeyCheck;
}

/** Asks a provider about a key of its. `key` null: it takes none. */
export type KeyCheck = (provider: Provider, key: Secret | null, signal: AbortSignal) => Promise<KeyVerdict>;

/** The parts of one call. */
interface Desk {
  readonly io: Io;
  readonly keychain: KeyStore;
  readonly vault: VaultStore;
  readonly input: KeyInput;
  readonly check: KeyCheck;
}

const examples = `
Examples:
  sanctum keys set anthropic                       asks for the key, checks it with the provider, stores it
  pass show openai | sanctum keys set openai --stdin
  sanctum keys set openai --add                    one more, for when the others are at a limit
  sanctum keys test                                does each provider still take its key? Costs nothing
  sanctum keys list                                where each key is, and whether it is there
`;

/** `sanctum keys set|list|test|rm|rotate|import|unlock`. A key is read from a prompt or a pipe, never from an argument, and never printed. */
export function keysCommand(io: Io, parts: KeysParts = {}): Command {
  const desk = (): Desk => ({
    io,
    keychain: parts.keychain ?? createKeychainSource(),
    vault: parts.vault ?? vaultIn(io.home),
    input: parts.input ?? standardInput(),
    check: parts.check ?? checkWithProvider(),
  });
  return new Command("keys")
    .description("the providers' keys: they stay in the operating system's keychain, or in an encrypted vault")
    .addHelpText("after", examples)
    .addCommand(
      new Command("set")
        .description("store the key of a provider; asks for it without showing it, and checks it with the provider")
        .argument("<provider>")
        // Taken and refused below: the usual message would not say that the key is now in the shell's history.
        .argument("[surplus...]", "nothing: the key is asked for")
        .option("--stdin", "read the key from standard input instead of asking for it")
        .option("--add", "keep the keys that are there: this one is used when they are at a limit or refused")
        .option("--no-test", "store it without asking the provider about it")
        .action((provider: string, surplus: string[], options: SetFlags) =>
          orExplain(io, () =>
            setKey(desk(), {
              provider,
              surplus,
              stdin: options.stdin === true,
              add: options.add === true,
              test: options.test !== false,
            }),
          ),
        ),
    )
    .addCommand(
      new Command("test")
        .description("ask the provider whether it takes the key that is stored; costs nothing")
        .argument("[provider]", "all that have a key where absent")
        .option("--json", "machine-readable")
        .addHelpText("after", "\nEnds with 0 only where every key that was tested is accepted.\n")
        .action((provider: string | undefined, options: { json?: boolean }) =>
          orExplain(io, () => testStored(desk(), provider, options.json === true)),
        ),
    )
    .addCommand(
      new Command("list")
        .description("where the key of each provider comes from, and whether it is there")
        .option("--json", "machine-readable")
        .action((options: { json?: boolean }) => orExplain(io, () => listKeys(desk(), options.json === true))),
    )
    .addCommand(
      new Command("rm")
        .description("remove the keys of a provider from the keychain or the vault")
        .argument("<provider>")
        .option("--key <number>", "only this one of several: 1 is the one that is used first")
        .action((provider: string, options: { key?: string }) =>
          orExplain(io, () => removeKey(desk(), provider, options.key)),
        ),
    )
    .addCommand(
      rotateCommand(
        () => sharedDesk(desk()),
        (work) => orExplain(io, work),
      ),
    )
    .addCommand(
      importCommand(
        () => sharedDesk(desk()),
        (work) => orExplain(io, work),
      ),
    )
    .addCommand(
      new Command("unlock")
        .description("open the vault of the running gateway; asks for its passphrase")
        .option("--accept-older", "an older copy of vault.age was put back on purpose")
        .action((options: { acceptOlder?: boolean }) =>
          orExplain(io, () => unlockVault(desk(), options.acceptOlder === true)),
        ),
    );
}

function vaultIn(home: string): VaultStore {
  return new VaultStore({
    file: join(home, "vault.age"),
    marksFile: join(home, "state/vault.json"),
    cipher: createVaultCipher(),
    clock: systemClock,
  });
}

async function orExplain(io: Io, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof KeyFault)) throw error;
    io.err(`sanctum: ${error.message}\n`);
    process.exitCode = error instanceof Refusal ? error.exitCode : exitFailed;
  }
}

interface SetFlags {
  readonly stdin?: boolean;
  readonly add?: boolean;
  readonly test?: boolean;
}

interface SetOptions {
  readonly provider: string;
  readonly surplus: readonly string[];
  readonly stdin: boolean;
  readonly add: boolean;
  /** Ask the provider first. */
  readonly test: boolean;
}

async function setKey(desk: Desk, options: SetOptions): Promise<void> {
  const { io } = desk;
  if (options.surplus.length > 0) throw new Refusal(exitUsage, keyAsArgument);
  const config = configOf(io);
  const provider = storedProvider(io, config, options.provider);
  if (options.test) checkEnvironment(io);
  const { key, said } = await readChecked(desk, provider, options);
  try {
    const place = await inStore(desk, config, provider, (store) => put(store, provider.name, key, options.add));
    io.out(`The key of ${provider.name} is ${said}in the ${place}.\n`);
  } finally {
    key.fill(0);
  }
  await tellGateway(desk, provider.name);
}

/** What the commands of other files get of this one. */
function sharedDesk(desk: Desk): KeyDesk {
  const { io, input, vault } = desk;
  return {
    io,
    input,
    config: () => configOf(io),
    providerOf: (config, name) => storedProvider(io, config, name),
    load: async (config, provider) => {
      if (provider.key.from !== "vault") {
        try {
          return await desk.keychain.load(provider.name, new AbortController().signal);
        } catch (error) {
          if (!(error instanceof KeyFault) || !error.absent) throw error;
        }
      }
      // Nobody chooses a passphrase only to see that nothing is there.
      if (!vault.exists) return [];
      await openVault(talkOf(desk, config));
      return await vault.load(provider.name);
    },
    save: (config, provider, keys) =>
      inStore(desk, config, provider, async (store) => {
        if (keys.length > 0) await store.save(provider.name, keys);
        else if (store.place === "keychain" || vault.exists) await store.remove(provider.name);
      }),
    ask: (provider, piped) => readKey(io, input, provider, piped),
    tell: (provider, quiet = false) =>
      tellGateway(quiet ? { ...desk, io: { ...io, out: () => undefined } } : desk, provider),
  };
}

/** The key to store, and what is to be said about it. Throws a Refusal where none is to be stored. */
async function readChecked(
  desk: Desk,
  provider: Provider,
  { stdin, test }: SetOptions,
): Promise<{ readonly key: Uint8Array; readonly said: string }> {
  const { io, input } = desk;
  const { name } = provider;
  for (;;) {
    const key = await readKey(io, input, name, stdin);
    try {
      checkKey(key);
      const verdict = test ? await checkBytes(desk.check, provider, key) : null;
      if (verdict === null) return { key, said: "" };
      if (verdict.result === "accepted") {
        if (verdict.reason !== null) io.err(`Note: ${verdict.reason}.\n`);
        return { key, said: "accepted, and is " };
      }
      if (verdict.result === "unchecked") {
        io.err(`The key could not be checked: ${verdict.reason}. \`sanctum keys test ${name}\` tries again.\n`);
        return { key, said: "" };
      }
      if (stdin) {
        throw new Refusal(
          exitFailed,
          `${name} does not accept this key (${verdict.reason}); nothing was stored. --no-test stores it unseen.`,
        );
      }
      io.err(`${name} does not accept this key (${verdict.reason}).\n`);
      const choice = await readChoice(
        input,
        (text) => io.err(text),
        "[a]nother key, [s]tore it all the same, [Enter] stop: ",
        {
          a: "another key",
          s: "store it",
        },
      );
      if (choice === "s") return { key, said: "not accepted, and is " };
      if (choice === null) throw new Refusal(exitFailed, "nothing was stored");
    } catch (error) {
      key.fill(0);
      throw error;
    }
    key.fill(0);
  }
}

async function checkBytes(check: KeyCheck, provider: Provider, key: Uint8Array): Promise<KeyVerdict> {
  const secret = new Secret(Uint8Array.from(key));
  try {
    return await check(provider, secret, new AbortController().signal);
  } finally {
    secret.wipe();
  }
}

function checkWithProvider(): KeyCheck {
  const dispatcher = new Dispatcher(systemClock);
  return (provider, key, signal) => checkKeyAt(dispatcher, provider, key, signal);
}

async function testStored(desk: Desk, name: string | undefined, json: boolean): Promise<void> {
  const { io, keychain, vault } = desk;
  const config = configOf(io);
  if (name !== undefined && !config.providers.has(name)) throw unknownProvider(config, name);
  checkEnvironment(io);
  const providers = [...config.providers.values()].filter((one) => name === undefined || one.name === name);
  if (vault.exists && providers.some(({ key }) => key.from === "keychain" || key.from === "vault")) {
    await tryToOpen(desk, config, json);
  }
  const tested = await testKeys(providers, createKeySources({ env: io.env, keychain, vault }), desk.check);
  // What nobody has put a key for, and nobody asked about, is no failure.
  const shown = tested.filter(({ provider, result }) => result !== "missing" || isMeant(config, provider, name));
  if (json) io.out(`${JSON.stringify(shown)}\n`);
  else if (shown.length > 0) io.out(testsText(shown, io));
  else io.err("sanctum: no key is stored yet; `sanctum keys set PROVIDER` stores one\n");
  const counted = shown.filter(({ result }) => result !== "passthrough");
  if (counted.length === 0 || counted.some(({ result }) => !passed.has(result))) process.exitCode = exitFailed;
}

const passed: ReadonlySet<TestedKey["result"]> = new Set(["accepted", "answers"]);

function isMeant(config: Config, provider: string, asked: string | undefined): boolean {
  return asked === provider || config.namedProviders.has(provider);
}

async function put(store: KeyStore, provider: string, key: Uint8Array, add: boolean): Promise<void> {
  const there = add ? await store.load(provider, new AbortController().signal) : [];
  try {
    if (there.length >= MAX_KEYS) throw new Refusal(exitFailed, `a provider has ${MAX_KEYS} keys at most`);
    if (there.some((one) => Buffer.from(one).equals(key))) return;
    await store.save(provider, [...there, key]);
  } finally {
    for (const one of there) one.fill(0);
  }
}

/**
 * Does it with the store where the provider's keys lie: the keychain, or the vault where this machine has none or the
 * configuration names it. Returns which one it was.
 */
async function inStore(
  desk: Desk,
  config: Config,
  provider: Provider | undefined,
  work: (store: KeyStore) => Promise<void>,
): Promise<KeyStore["place"]> {
  if (provider?.key.from !== "vault") {
    try {
      await work(desk.keychain);
      return "keychain";
    } catch (error) {
      if (!(error instanceof KeyFault) || !error.absent) throw error;
    }
  }
  await openVault(talkOf(desk, config));
  await work(desk.vault);
  return "vault";
}

function talkOf({ io, vault, input }: Desk, config: Config): Parameters<typeof openVault>[0] {
  return { vault, env: io.env, identityFile: config.vault.identityFile, input, say: (text) => io.err(text) };
}

async function unlockVault(desk: Desk, acceptOlder: boolean): Promise<void> {
  const { io, vault } = desk;
  if (!vault.exists)
    throw new Refusal(exitFailed, `there is no vault (${join(io.home, "vault.age")}): \`sanctum keys set\` makes one`);
  await openVault(talkOf(desk, configOf(io)), acceptOlder);
  await tellGateway(desk, null, acceptOlder);
}

async function readKey(io: Io, input: KeyInput, provider: string, piped: boolean): Promise<Uint8Array> {
  if (piped) return await readPiped(input, MAX_KEY_BYTES);
  if (input.isTTY !== true) {
    throw new Refusal(exitUsage, "standard input is no terminal; pipe the key in with --stdin");
  }
  const key = await readHidden(input, () => io.err(`Key of ${provider} (not shown): `), MAX_KEY_BYTES);
  io.err("\n");
  if (key === null) throw new Refusal(exitFailed, "nothing was stored");
  return key;
}

async function removeKey(desk: Desk, name: string, number: string | undefined): Promise<void> {
  const { io } = desk;
  const config = configOf(io);
  let removed = false;
  if (number !== undefined) return await removeOne(desk, config, name, number);
  // Not only what is configured: the key of a provider that is no longer in the file can be removed too.
  const place = await inStore(desk, config, config.providers.get(name), async (store) => {
    if (store.place === "vault" && !desk.vault.exists) return;
    removed = await store.remove(name);
  });
  if (!removed) throw new Refusal(exitFailed, `there is no key of ${visible(name)} in the ${place}`);
  io.out(`The key of ${visible(name)} is removed.\n`);
  await tellGateway(desk, name);
}

async function removeOne(desk: Desk, config: Config, name: string, number: string): Promise<void> {
  const shared = sharedDesk(desk);
  const provider = storedProvider(desk.io, config, name);
  const keys = await shared.load(config, provider);
  try {
    if (keys.length === 0) throw new Refusal(exitFailed, `there is no key of ${name}`);
    const left = keys.toSpliced(indexOf(number, name, keys.length), 1);
    await shared.save(config, provider, left);
    const still = left.length === 1 ? "one is" : `${left.length} are`;
    desk.io.out(`Key ${number} of ${name} is removed; ${left.length === 0 ? "none is" : still} left.\n`);
  } finally {
    for (const key of keys) key.fill(0);
  }
  await tellGateway(desk, name);
}

async function listKeys(desk: Desk, json: boolean): Promise<void> {
  const { io, keychain, vault } = desk;
  const config = configOf(io);
  const keyed = [...config.providers.values()].some(({ key }) => key.from === "keychain" || key.from === "vault");
  if (vault.exists && keyed) await tryToOpen(desk, config, json);
  const ring = new KeyRing({ clock: systemClock, sourceOf: createKeySources({ env: io.env, keychain, vault }) });
  ring.configure(config.providers.values());
  await ring.loadAll();
  const keys = ring.describe();
  ring.close();
  if (json) io.out(`${JSON.stringify(keys)}\n`);
  else io.out(tableOf(keys));
}

/** By what is given; on a terminal by asking. Where neither is there the list says that the vault is locked. */
async function tryToOpen(desk: Desk, config: Config, json: boolean): Promise<void> {
  const given = findVaultKey(desk.io.env, config.vault.identityFile);
  if (given !== null) await desk.vault.unlock(given);
  else if (desk.input.isTTY === true && !json) await openVault(talkOf(desk, config));
}

function tableOf(keys: readonly KeyDescription[]): string {
  const rows = [
    ["PROVIDER", "SOURCE", "STATE", ""],
    ...keys.map((k) => [k.provider, k.source, k.state, k.reason ?? (k.keys > 1 ? `${k.keys} keys` : "")]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd() + "\n",
    )
    .join("");
}

function configOf(io: Io): Config {
  const loaded = loadConfig(io.configFile, { home: io.home });
  if ("faults" in loaded) throw new Refusal(exitConfiguration, loaded.faults.map(formatFault).join("\n"));
  return loaded.config;
}

/** The provider, if its key is one that this command stores. */
function storedProvider(io: Io, config: Config, name: string): Provider {
  const provider = config.providers.get(name);
  if (provider === undefined) throw unknownProvider(config, name);
  const { from } = provider.key;
  if (from === "keychain" || from === "vault") return provider;
  throw new Refusal(
    exitFailed,
    `the key of ${name} does not come from the keychain: its \`key\` is \`${from}\` in ${io.configFile}`,
  );
}

function unknownProvider({ providers }: Config, name: string): Refusal {
  const names = [...providers.keys()].join(", ");
  return new Refusal(exitFailed, `no provider ${visible(name)} in the configuration; there are: ${names}`);
}

/** Whoever types the key in the wrong place must not see it again on the screen: only what can be a name is shown. */
function visible(name: string): string {
  return /^(?!sk-)[a-z0-9][a-z0-9._-]{0,19}$/.test(name) ? name : "of that name";
}

/**
 * The running gateway opens the vault with what opened it here, and reads the key anew at once. Without a gateway there is
 * nobody to tell. `provider` null: it is told of the vault alone. Returns how many keys of the provider it has then; null where
 * that is not known.
 */
async function tellGateway({ io, vault }: Desk, provider: string | null, acceptOlder = false): Promise<number | null> {
  const admin = createAdminClient(join(io.home, "run/admin.sock"));
  try {
    const key = vault.copyKey();
    if (key !== null) {
      const query = `kind=${key.kind}${acceptOlder ? "&accept_older" : ""}`;
      const told = JSON.parse(await admin.postBytes(`/vault/unlock?${query}`, key.bytes)) as Told;
      key.bytes.fill(0);
      if (!told.ok) throw new Refusal(exitFailed, `the running gateway could not open the vault: ${told.text}`);
    }
    if (provider === null) {
      io.out("The vault of the running gateway is open.\n");
      return null;
    }
    const told = JSON.parse(await admin.post("/keys/refresh", { provider })) as { keys?: number };
    io.out("The running gateway knows.\n");
    return told.keys ?? Infinity;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (error instanceof NotRunningError) {
      if (provider === null)
        throw new Refusal(
          exitFailed,
          "the gateway is not running; it asks for the passphrase itself when it starts on a terminal",
        );
      return null;
    }
    io.err("sanctum: the running gateway could not be told; it finds a new key by itself, or run `sanctum reload`\n");
    return null;
  }
}
