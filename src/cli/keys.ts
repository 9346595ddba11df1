import { join } from "node:path";
import { Command } from "commander";
import { createAdminClient, NotRunningError } from "../admin/admin-client.ts";
import { systemClock } from "../clock.ts";
import { formatFault } from "../config/fault.ts";
import { loadConfig } from "../config/load.ts";
import {
  checkKey,
  createKeychainSource,
  createKeySources,
  KeyFault,
  KeyRing,
  MAX_KEY_BYTES,
  type KeyDescription,
  type KeyStore,
} from "../layers/vault/index.ts";
import type { Provider } from "../request.ts";
import { readHidden, readPiped, type KeyInput } from "./hidden-input.ts";
import type { Io } from "./io.ts";

const exitFailed = 1;
const exitUsage = 2;
const exitConfiguration = 78;

/** What the commands touch beside `Io`; tests bring their own. */
export interface KeysParts {
  readonly store?: KeyStore;
  readonly input?: KeyInput;
}

/** `sanctum keys set|list|rm`. A key is read from a prompt or a pipe, never from an argument, and never printed. */
export function keysCommand(io: Io, parts: KeysParts = {}): Command {
  const store = parts.store ?? createKeychainSource();
  const input = parts.input ?? process.stdin;
  return new Command("keys")
    .description("the providers' keys: they stay in the operating system's keychain")
    .addCommand(
      new Command("set")
        .description("store the key of a provider; asks for it without showing it")
        .argument("<provider>")
        // Taken and refused below: the usual message would not say that the key is now in the shell's history.
        .argument("[surplus...]", "nothing: the key is asked for")
        .option("--stdin", "read the key from standard input instead of asking for it")
        .action((provider: string, surplus: string[], options: { stdin?: boolean }) =>
          orExplain(io, () => setKey(io, store, input, { provider, surplus, stdin: options.stdin === true })),
        ),
    )
    .addCommand(
      new Command("list")
        .description("where the key of each provider comes from, and whether it is there")
        .option("--json", "machine-readable")
        .action((options: { json?: boolean }) => orExplain(io, () => listKeys(io, store, options.json === true))),
    )
    .addCommand(
      new Command("rm")
        .description("remove the key of a provider from the keychain")
        .argument("<provider>")
        .action((provider: string) => orExplain(io, () => removeKey(io, store, provider))),
    );
}

/** A failure that the person can do something about. */
class Refusal extends Error {
  override readonly name = "Refusal";
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
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

interface SetOptions {
  readonly provider: string;
  readonly surplus: readonly string[];
  readonly stdin: boolean;
}

async function setKey(io: Io, store: KeyStore, input: KeyInput, options: SetOptions): Promise<void> {
  if (options.surplus.length > 0) {
    throw new Refusal(
      exitUsage,
      "a key is never given as an argument: others can see it, and it is in your shell's history now. " +
        "Remove it there, and replace the key at the provider. Then run this without it.",
    );
  }
  const provider = keychainProvider(io, options.provider);
  const key = await readKey(io, input, provider.name, options.stdin);
  try {
    checkKey(key);
    await store.save(provider.name, key);
  } finally {
    key.fill(0);
  }
  io.out(`The key of ${provider.name} is in the keychain.\n`);
  await tellGateway(io, provider.name);
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

async function removeKey(io: Io, store: KeyStore, name: string): Promise<void> {
  // Not looked up in the configuration: the key of a provider that is no longer configured can be removed too.
  if (!(await store.remove(name))) throw new Refusal(exitFailed, `there is no key of ${visible(name)} in the keychain`);
  io.out(`The key of ${visible(name)} is removed.\n`);
  await tellGateway(io, name);
}

async function listKeys(io: Io, store: KeyStore, json: boolean): Promise<void> {
  const ring = new KeyRing({ clock: systemClock, sourceOf: createKeySources({ env: io.env, keychain: store }) });
  ring.configure(loadProviders(io));
  await ring.loadAll();
  const keys = ring.describe();
  ring.close();
  if (json) io.out(`${JSON.stringify(keys)}\n`);
  else io.out(tableOf(keys));
}

function tableOf(keys: readonly KeyDescription[]): string {
  const rows = [
    ["PROVIDER", "SOURCE", "STATE", ""],
    ...keys.map((k) => [k.provider, k.source, k.state, k.reason ?? ""]),
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

function loadProviders(io: Io): readonly Provider[] {
  const loaded = loadConfig(io.configFile, { home: io.home });
  if ("faults" in loaded) throw new Refusal(exitConfiguration, loaded.faults.map(formatFault).join("\n"));
  return [...loaded.config.providers.values()];
}

/** The provider, if its key is one that this command stores. */
function keychainProvider(io: Io, name: string): Provider {
  const providers = loadProviders(io);
  const provider = providers.find((p) => p.name === name);
  if (provider === undefined) {
    const names = providers.map((p) => p.name).join(", ");
    throw new Refusal(exitFailed, `no provider ${visible(name)} in the configuration; there are: ${names}`);
  }
  const { from } = provider.key;
  if (from === "keychain") return provider;
  throw new Refusal(
    exitFailed,
    `the key of ${name} does not come from the keychain: its \`key\` is \`${from}\` in ${io.configFile}`,
  );
}

/** Whoever types the key in the wrong place must not see it again on the screen: only what can be a name is shown. */
function visible(name: string): string {
  return /^(?!sk-)[a-z0-9][a-z0-9._-]{0,19}$/.test(name) ? name : "of that name";
}

/** The running gateway reads the key anew at once. Without one there is nobody to tell. */
async function tellGateway(io: Io, provider: string): Promise<void> {
  try {
    await createAdminClient(join(io.home, "run/admin.sock")).post("/keys/refresh", { provider });
    io.out("The running gateway knows.\n");
  } catch (error) {
    if (error instanceof NotRunningError) return;
    io.err("sanctum: the running gateway could not be told; it finds a new key by itself, or run `sanctum reload`\n");
  }
}
