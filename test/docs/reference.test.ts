// The reference says what the source does.

import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { buildConfig } from "../../src/config/build.ts";
import { checkConfig } from "../../src/config/check.ts";
import { toJsonSchema } from "../../src/config/json-schema.ts";
import { errorCodes, type ErrorCode } from "../../src/errors.ts";
import { configNotes } from "../../scripts/reference/config-notes.ts";
import { neverRaised } from "../../scripts/reference/errors-page.ts";
import { referencePages } from "../../scripts/reference/pages.ts";
import { repositoryFiles, root, textOf } from "./repository-files.ts";

const folder = "docs/reference";

describe("docs/reference", () => {
  test("holds what `npm run generate` makes, and nothing else", () => {
    const made = referencePages();
    expect(readdirSync(join(root, folder)).sort()).toEqual([...made.keys()].sort());
    for (const [name, text] of made) expect([name, textOf(`${folder}/${name}`)]).toEqual([name, text]);
  });

  test("is checked by `generate -- --check`, which writes nothing", async () => {
    const command = [process.execPath, join(root, "scripts/generate.ts"), "--check"];
    const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    expect(await new Response(child.stdout).text()).toBe("docs/reference is up to date\n");
    expect(await child.exited).toBe(0);
  });
});

describe("the page of the configuration", () => {
  const page = textOf(`${folder}/configuration.md`);

  test("names every key of the schema", () => {
    const names = keyNames(toJsonSchema());
    expect(names.size).toBeGreaterThan(60);
    for (const name of names) expect(page).toMatch(new RegExp(`\\| \`(?:[^\`|]*\\.)?${name}\` \\|`));
  });

  const written = Object.entries(configNotes).flatMap(([path, { yaml }]) => (yaml === undefined ? [] : [[path, yaml]]));
  test.each(written)("%s: %s is the same as leaving it out", (path, yaml) => {
    expect(configWith(path, yaml)).toEqual(configWith(path, undefined));
  });

  test("says that a key has no effect as long as nothing outside the configuration looks at it, and no longer", () => {
    const source = sourceFiles().filter((path) => !path.startsWith("src/config/"));
    const used = (pattern: RegExp): boolean => source.some((path) => pattern.test(textOf(path)));
    const inForce: Readonly<Record<string, boolean>> = {
      "providers.NAME.key": used(/(?:===|case) "vault"/),
      "routes[].when.intent": !/\bintent: null\b/.test(textOf("src/layers/routing/understand.ts")),
      "stream.takeover": used(/\btakeover\b/),
      "audit.content": used(/\baudit\.content\b/),
    };
    const pending = Object.entries(configNotes).flatMap(([path, note]) => (note.pending === undefined ? [] : [path]));
    expect(pending.sort()).toEqual(
      Object.keys(inForce)
        .filter((path) => !inForce[path])
        .sort(),
    );
  });

  test("tells of defaults that depend on something what holds", () => {
    const config = built(
      `agents: { yoda: }\nproviders: { far: { url: "https://far.example" }, near: { url: "http://127.0.0.1:9", local: true } }`,
    );
    const { first_byte, first_content, idle } = timeoutsTold();
    expect(first_byte).toEqual([
      config.providers.get("far")!.timeouts.firstByteMs,
      config.providers.get("near")!.timeouts.firstByteMs,
    ]);
    expect(first_content).toEqual([
      config.providers.get("far")!.timeouts.firstContentMs,
      config.providers.get("near")!.timeouts.firstContentMs,
    ]);
    expect(idle).toEqual([config.providers.get("far")!.timeouts.idleMs, config.providers.get("near")!.timeouts.idleMs]);
    expect(config.providers.get("far")).toMatchObject({ key: { from: "keychain" }, dialects: ["chat"] });
    expect(config.providers.get("near")).toMatchObject({ key: { from: "none" } });
    expect(configNotes["agents.NAME.daily_usd"]!.says).toStartWith(
      `\`${config.agents.get("yoda")!.caps.daily / 1e9}\``,
    );
  });
});

describe("the page of the errors", () => {
  test("has every code once, with what to do", () => {
    const page = textOf(`${folder}/errors.md`);
    for (const code of Object.keys(errorCodes)) expect(page.split(`\n| \`${code}\` |`)).toHaveLength(2);
  });

  test("says of exactly those codes that nobody raises them", () => {
    const source = sourceFiles()
      .filter((path) => path !== "src/errors.ts")
      .map(textOf)
      .join("\n");
    const codes = Object.keys(errorCodes) as ErrorCode[];
    const unraised = codes.filter((code) => !new RegExp(`(?:GatewayError\\(|\\? )"${code}"|: "${code}"`).test(source));
    expect(unraised).toEqual([...neverRaised]);
  });
});

test("the example of the audit trail is a chain that a person can follow by hand", () => {
  const lines = /```json\n(.*?)```/s
    .exec(textOf(`${folder}/audit.md`))![1]!
    .trimEnd()
    .split("\n");
  const heads = lines.map((line) => `sha256:${createHash("sha256").update(line).digest("hex")}`);
  expect(lines.map((line) => (JSON.parse(line) as { prev: string }).prev)).toEqual([
    `sha256:${"0".repeat(64)}`,
    ...heads.slice(0, -1),
  ]);
});

/** What runs. */
function sourceFiles(): readonly string[] {
  return repositoryFiles().filter((path) => /^src\/.*\.ts$/.test(path) && !path.endsWith(".test.ts"));
}

type Node = Readonly<Record<string, unknown>>;

/** Names of keys, wherever they are in the schema. */
function keyNames(node: unknown): Set<string> {
  if (typeof node !== "object" || node === null) return new Set();
  const own = Object.keys(((node as Node)["properties"] ?? {}) as Node);
  return new Set([...own, ...Object.values(node).flatMap((child) => [...keyNames(child)])]);
}

/** Enough of a file that every key has its place in it. */
const base = {
  agents: { NAME: {} },
  providers: { NAME: { url: "https://far.example", timeouts: {}, limits: {}, retry: {} } },
  models: { ALIAS: { provider: "NAME", model: "m" } },
  routes: [{ use: ["ALIAS"] }],
  audit: { rotate: {}, content_files: {} },
  identity: {},
  keys: {},
  stats: {},
  stream: {},
  stop: {},
  overload: {},
  attempts: {},
};

function configWith(path: string, yaml: string | undefined): unknown {
  const file = structuredClone(base) as Record<string, unknown>;
  // Nothing but its own absence may be between the two.
  if (!path.includes(".")) delete file[path];
  const steps = path.split(/\.|(?=\[\])/);
  let place: Record<string, unknown> = file;
  for (const step of steps.slice(0, -1)) place = (step === "[]" ? place["0"] : place[step]) as Record<string, unknown>;
  if (yaml !== undefined) place[steps.at(-1)!] = Bun.YAML.parse(yaml);
  return built(JSON.stringify(file).replaceAll("NAME", "name"));
}

function built(text: string): ReturnType<typeof buildConfig> {
  const checked = checkConfig(text, "c.yaml");
  if ("faults" in checked) throw new Error(JSON.stringify(checked.faults));
  return buildConfig(checked.content, "/c.yaml", { home: "/home", localTimezone: "Europe/Berlin" });
}

/** Cloud and local milliseconds of each time-out, as the notes tell them in seconds. */
function timeoutsTold(): Record<string, number[]> {
  const told = Object.entries(configNotes).filter(([path]) => path.startsWith("providers.NAME.timeouts."));
  return Object.fromEntries(
    told.map(([path, { says }]) => [
      path.split(".").at(-1)!,
      [...(says ?? "").matchAll(/(\d+)s/g)].map((m) => Number(m[1]) * 1_000),
    ]),
  );
}
