import { statSync } from "node:fs";
import { homedir } from "node:os";
import { relative, resolve } from "node:path";
import { Command } from "commander";
import type { Config } from "../config/types.ts";
import { KeyFault, MAX_KEYS } from "../layers/vault/index.ts";
import type { Provider } from "../request.ts";
import { findFiles, type Search } from "./import/find-files.ts";
import { KeyFinder, type FoundKey, type Place } from "./import/find-keys.ts";
import { gitPlaceOf, type GitPlace } from "./import/git-history.ts";
import { formatOf } from "./import/settings-files.ts";
import type { KeyDesk } from "./key-desk.ts";
import { readLine } from "./read-line.ts";
import { exitFailed, exitUsage, Refusal } from "./refusal.ts";

interface Options {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

type State = "new" | "stored" | "moved" | "blocked" | "failed";

/** A key with what can be done about it. */
interface Row {
  readonly found: FoundKey;
  readonly provider: Provider | null;
  state: State;
  /** Why it is not moved; null where it can be, or was. */
  why: string | null;
}

const examples = `
Examples:
  sanctum keys import .               the environment, and the files under this folder
  sanctum keys import ~ --dry-run     what lies under the home, moving nothing
  sanctum keys import                 the environment alone
  sanctum keys import ~/code --yes    moves all without asking

It reads .env files, shell start files, Compose files and the settings of Claude Code, Codex, aider, Continue, LiteLLM,
opencode and others. It shows where a key lies and never the key, and it changes no file: which lines are to be deleted
is said at the end.`;

/** `sanctum keys import [FOLDER]`: keys that lie around go into the keychain or the vault. */
export function importCommand(desk: () => KeyDesk, run: (work: () => Promise<void>) => Promise<void>): Command {
  return new Command("import")
    .description("find keys in the environment and in files under a folder, and move them in")
    .argument("[folder]", "where to look beside the environment (or one file)")
    .option("--yes", "move all that can be moved, without asking")
    .option("--dry-run", "only show what there is")
    .option("--json", "machine-readable; moves nothing without --yes")
    .addHelpText("after", examples)
    .action((folder: string | undefined, options: Options) => run(() => importKeys(desk(), folder, options)));
}

async function importKeys(desk: KeyDesk, folder: string | undefined, options: Options): Promise<void> {
  const { io, input } = desk;
  const listsOnly = options.dryRun === true || (options.json === true && options.yes !== true);
  if (!listsOnly && options.yes !== true && input.isTTY !== true) {
    throw new Refusal(exitUsage, "nobody can be asked here: give --yes to move all, or --dry-run to see what there is");
  }
  const config = desk.config();
  const from = resolve(io.env["INIT_CWD"] || process.cwd(), folder ?? ".");
  const search = folder === undefined ? nothing : searchOf(from, io.home);
  const finder = new KeyFinder();
  finder.searchEnvironment(io.env);
  const unread = [...search.unread];
  for (const file of search.files) {
    const why = finder.searchFile(file);
    if (why !== null) unread.push(why);
  }
  const rows: Row[] = [];
  for (const found of finder.keys) rows.push(rowOf(desk, config, found));
  await markStored(desk, config, rows);
  const report = { rows, unread, stoppedAt: search.stoppedAt, from: folder === undefined ? null : from };
  if (options.json !== true) showFound(desk, report);
  const chosen = listsOnly ? [] : await choose(desk, rows, options.yes === true);
  await move(desk, config, chosen, options.json === true);
  const git = gitPlaces(rows, io.env);
  if (options.json === true) io.out(`${JSON.stringify(jsonOf(report, git))}\n`);
  else showLeft(desk, report, git);
  if (rows.some(({ state }) => state === "failed")) process.exitCode = exitFailed;
}

const nothing: Search = { files: [], unread: [], stoppedAt: null };

function searchOf(path: string, home: string): Search {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Refusal(exitUsage, `there is no folder ${path}`);
  // A single file is read whatever its name is.
  if (stat.isFile()) return { ...nothing, files: [{ path, format: formatOf(path) ?? "lines" }] };
  if (!stat.isDirectory()) throw new Refusal(exitUsage, `${path} is neither a folder nor a file`);
  // What lies in our own home are not other people's settings.
  return findFiles(path, [home]);
}

function rowOf(desk: KeyDesk, config: Config, found: FoundKey): Row {
  const blocked = (why: string): Row => ({ found, provider: null, state: "blocked", why });
  if (found.kind === "login") {
    return blocked("a subscription's login: its client renews it and keeps it (`sanctum connect claude-code`)");
  }
  if (found.kind === "admin") return blocked("an admin key: it manages an account and answers no request");
  if (found.otherHost !== null)
    return blocked(`it is sent to ${found.otherHost}: \`sanctum keys set PROVIDER\` if you know whose it is`);
  const { vendor } = found;
  if (vendor === null) return blocked("nothing tells whose it is: `sanctum keys set PROVIDER` if you know");
  const name = providerFor(config, vendor.url, vendor.name);
  if (name === null) {
    return blocked(
      `config.yaml has no provider for it; add under \`providers\`:  ${vendor.name}: { url: "${vendor.url}", dialects: [${vendor.dialect}] }`,
    );
  }
  try {
    return { found, provider: desk.providerOf(config, name), state: "new", why: null };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return blocked(error.message);
  }
}

/** By its name, or by its address under another name. */
function providerFor({ providers }: Config, url: string, name: string): string | null {
  if (providers.has(name)) return name;
  const { host } = new URL(url);
  return [...providers.values()].find((provider) => new URL(provider.url).host === host)?.name ?? null;
}

/** Those that are stored already are told as such; where nobody can open the store, all pass for new. */
async function markStored(desk: KeyDesk, config: Config, rows: readonly Row[]): Promise<void> {
  for (const provider of new Set(rows.flatMap((row) => row.provider ?? []))) {
    let stored: readonly Uint8Array[];
    try {
      stored = await desk.load(config, provider);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof KeyFault)) throw error;
      desk.io.err(`sanctum: what is stored of ${provider.name} can't be seen now: ${error.message}\n`);
      continue;
    }
    for (const row of rows) {
      if (row.provider === provider && stored.some((key) => Buffer.from(key).equals(Buffer.from(row.found.key))))
        row.state = "stored";
    }
    for (const key of stored) key.fill(0);
  }
}

async function choose({ io, input }: KeyDesk, rows: readonly Row[], all: boolean): Promise<readonly Row[]> {
  const movable = rows.filter(({ state }) => state === "new");
  if (all || movable.length === 0) return movable;
  for (;;) {
    const answer = await readLine(input, () => io.err("Move which? all, none, or numbers such as 1,3 [all]: "));
    if (answer === null) throw new Refusal(exitFailed, "nothing was moved");
    const words = answer.trim().toLowerCase();
    if (words === "" || words === "all") return movable;
    if (words === "none" || words === "no" || words === "n") return [];
    const numbers = words.split(/[\s,]+/).map(Number);
    const picked = numbers.map((number) => rows[number - 1]);
    if (picked.every((row) => row !== undefined && row.state === "new")) return [...new Set(picked as Row[])];
    io.err("That is not a number of a key that is `new`.\n");
  }
}

/** All of a provider at once, behind those that are there. */
async function move(desk: KeyDesk, config: Config, chosen: readonly Row[], quiet: boolean): Promise<void> {
  for (const provider of new Set(chosen.flatMap((row) => row.provider ?? []))) {
    const own = chosen.filter((row) => row.provider === provider);
    const keys: Uint8Array[] = [];
    try {
      keys.push(...(await desk.load(config, provider)));
      const room = Math.max(0, MAX_KEYS - keys.length);
      for (const row of own.slice(0, room)) keys.push(new TextEncoder().encode(row.found.key));
      if (room > 0) await place(desk, config, provider, keys, own.slice(0, room), quiet);
      for (const row of own.slice(room)) fail(row, `a provider has ${MAX_KEYS} keys at most`);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof KeyFault)) throw error;
      for (const row of own) if (row.state === "new") fail(row, error.message);
      desk.io.err(`sanctum: no key of ${provider.name} was moved: ${error.message}\n`);
    } finally {
      for (const key of keys) key.fill(0);
    }
  }
}

async function place(
  desk: KeyDesk,
  config: Config,
  provider: Provider,
  keys: readonly Uint8Array[],
  rows: readonly Row[],
  quiet: boolean,
): Promise<void> {
  const where = await desk.save(config, provider, keys);
  for (const row of rows) row.state = "moved";
  const what = rows.length === 1 ? "The key" : `${rows.length} keys`;
  if (!quiet) desk.io.out(`${what} of ${provider.name} ${rows.length === 1 ? "is" : "are"} in the ${where} now.\n`);
  await desk.tell(provider.name, quiet);
}

function fail(row: Row, why: string): void {
  row.state = "failed";
  row.why = why;
}

interface Report {
  readonly rows: readonly Row[];
  readonly unread: readonly { readonly path: string; readonly why: string }[];
  readonly stoppedAt: string | null;
  /** Null: only the environment was looked at. */
  readonly from: string | null;
}

const said: Readonly<Record<State, string>> = {
  new: "new",
  stored: "stored already",
  moved: "moved",
  blocked: "not movable",
  failed: "failed",
};

function showFound({ io }: KeyDesk, { rows, unread, stoppedAt, from }: Report): void {
  const where = from === null ? "the environment" : `the environment and ${shown(from)}`;
  for (const { path, why } of unread) io.err(`sanctum: ${shown(path)} ${why}\n`);
  if (stoppedAt !== null) io.err(`sanctum: the search ended at ${stoppedAt}; name a smaller folder to see the rest\n`);
  if (rows.length === 0) io.out(`No provider key in ${where}.\n`);
  else io.out(`${rows.length === 1 ? "One key" : `${rows.length} keys`} in ${where} (never shown):\n\n`);
  rows.forEach((row, index) => {
    const name = row.provider?.name ?? row.found.vendor?.name ?? "?";
    io.out(`${String(index + 1).padStart(3)}  ${name.padEnd(11)} ${said[row.state]}\n`);
    for (const place of row.found.places) io.out(`       ${placeText(place)}\n`);
    if (row.why !== null) io.out(`       ${row.why}\n`);
  });
  if (rows.length > 0) io.out("\n");
  if (from === null) io.out("Files are looked into where you name a folder: `sanctum keys import .`\n");
}

/** What still holds keys that are safe now, and what to do about each. */
function showLeft({ io }: KeyDesk, { rows }: Report, git: ReadonlyMap<string, GitPlace>): void {
  const safe = rows.filter(({ state }) => state === "moved" || state === "stored");
  if (safe.length === 0) return;
  io.out(
    "\nThese places still hold what is stored now. Take it out of them, and lead each program to the gateway (`sanctum connect`):\n",
  );
  for (const { found } of safe) {
    for (const place of found.places) io.out(`  ${placeText(place)}: ${remedy(place)}\n`);
  }
  const burnt = rows.filter(
    ({ found, state }) => state !== "failed" && found.vendor !== null && gitOf(found, git).length > 0,
  );
  if (burnt.length === 0) return;
  io.out("\nWhat git has seen stays in its history, and in every copy of it: replace these keys at the provider.\n");
  for (const { found, provider } of burnt) {
    for (const { path, place } of gitOf(found, git)) {
      const sure =
        place.committed === true
          ? "is committed"
          : "lies in a repository, and git could not tell whether it was ever committed";
      io.out(`  ${shown(path)} ${sure}\n`);
    }
    const name = provider?.name ?? found.vendor!.name;
    io.out(`    a new key: ${found.vendor!.keysPage}, then \`sanctum keys rotate ${name}\`\n`);
  }
}

function remedy({ file, line, name }: Place): string {
  if (file === null) return `\`unset ${name}\`, and delete the line that sets it`;
  if (/auth\.json$|\.claude\.json$/.test(file)) return "log that tool out of the provider, or delete the value";
  return (formatOf(file) ?? "lines") === "lines" ? `delete line ${line}` : "delete the value";
}

function placeText({ file, line, name }: Place): string {
  if (file === null) return `environment  ${name}`;
  return `${shown(file)}:${line}${name === "" ? "" : `  ${printable(name)}`}`;
}

/** Shortest from where the person stands; a name of a file may hold anything, but nothing that a terminal obeys. */
function shown(path: string): string {
  const near = relative(process.env["INIT_CWD"] || process.cwd(), path) || ".";
  const home = path.startsWith(`${homedir()}/`) ? `~/${path.slice(homedir().length + 1)}` : path;
  return printable(near.startsWith("..") ? home : near);
}

function printable(text: string): string {
  return text.replaceAll(/[\p{C}]/gu, "?");
}

function gitPlaces(rows: readonly Row[], env: KeyDesk["io"]["env"]): Map<string, GitPlace> {
  const places = new Map<string, GitPlace>();
  for (const { found } of rows) {
    for (const { file } of found.places) {
      if (file === null || places.has(file)) continue;
      const place = gitPlaceOf(file, env);
      if (place !== null) places.set(file, place);
    }
  }
  return places;
}

function gitOf(
  { places }: FoundKey,
  git: ReadonlyMap<string, GitPlace>,
): { readonly path: string; readonly place: GitPlace }[] {
  const files = new Set(places.flatMap(({ file }) => file ?? []));
  return [...files].flatMap((path) => {
    const place = git.get(path);
    return place === undefined || place.committed === false ? [] : [{ path, place }];
  });
}

function jsonOf({ rows, unread, stoppedAt, from }: Report, git: ReadonlyMap<string, GitPlace>): object {
  return {
    folder: from,
    keys: rows.map(({ found, provider, state, why }) => ({
      provider: provider?.name ?? null,
      vendor: found.vendor?.name ?? null,
      kind: found.kind,
      state,
      reason: why,
      places: found.places.map(({ file, line, name }) => ({
        file,
        line,
        name,
        committed: file === null || !git.has(file) ? false : (git.get(file)!.committed ?? null),
      })),
    })),
    unread: unread.map(({ path, why }) => ({ file: path, reason: why })),
    stopped_at: stoppedAt,
  };
}
