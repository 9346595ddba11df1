import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { KeyFault, type KeyStore } from "../layers/vault/index.ts";
import type { KeyInput } from "./hidden-input.ts";
import { findFiles } from "./import/find-files.ts";
import type { Io } from "./io.ts";
import { keysCommand } from "./keys.ts";

// Put together at run time, so that scanners of this repository find nothing.
const tail = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2Yz3";
const canary = "Ij5Kl6Mn7";
const keyOf = {
  anthropic: `sk-ant-api03-${tail}`,
  openai: `sk-proj-${tail}`,
  openrouter: `sk-or-v1-${tail}`,
  google: `AIza${tail}`,
  groq: `gsk_${tail}`,
  xai: `xai-${tail}`,
  old: `sk-${tail}`,
  login: `sk-ant-oat01-${tail}`,
  admin: `sk-ant-admin01-${tail}`,
  gateway: `sk-sanctum-windu-${tail}abcd`,
  plain: "Qw1Er2Ty3Ui4Op5As6Df7Gh8Jk9Lz0Xc",
};

class FakeStore implements KeyStore {
  readonly place = "keychain";
  readonly keys = new Map<string, string[]>();
  fault: KeyFault | null = null;

  async load(provider: string): Promise<readonly Uint8Array[]> {
    if (this.fault !== null) throw this.fault;
    return (this.keys.get(provider) ?? []).map((key) => new TextEncoder().encode(key));
  }

  async save(provider: string, keys: readonly Uint8Array[]): Promise<void> {
    if (this.fault !== null) throw this.fault;
    this.keys.set(
      provider,
      keys.map((key) => new TextDecoder().decode(key)),
    );
  }

  async remove(provider: string): Promise<boolean> {
    return this.keys.delete(provider);
  }
}

let home = "";
let folder = "";
let store: FakeStore;
let before: typeof process.exitCode;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "import-home-"));
  folder = realpathSync(mkdtempSync(join(tmpdir(), "import-")));
  store = new FakeStore();
  before = process.exitCode;
});

afterEach(() => {
  process.exitCode = before;
  rmSync(home, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

function put(path: string, text: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly exitCode: typeof process.exitCode;
}

/** `typed` null: no terminal. */
async function run(
  args: readonly string[],
  { env = {}, typed = null }: { env?: Record<string, string>; typed?: string | null } = {},
): Promise<Ran> {
  let out = "";
  let err = "";
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    env: { PATH: process.env["PATH"], HOME: home, ...env },
    home,
    configFile: join(home, "config.yaml"),
  };
  async function* bring(): AsyncGenerator<Uint8Array> {
    if (typed !== null) yield new TextEncoder().encode(typed);
  }
  const input: KeyInput = { isTTY: typed !== null, setRawMode: () => undefined, [Symbol.asyncIterator]: bring };
  process.exitCode = 0;
  await keysCommand(io, { keychain: store, input }).parseAsync(["import", ...args], { from: "user" });
  // Whatever it does, no part of a key is shown.
  expect(out + err).not.toContain(canary);
  expect(out + err).not.toContain(keyOf.plain);
  return { out, err, exitCode: process.exitCode };
}

interface Listed {
  readonly keys: readonly {
    readonly provider: string | null;
    readonly vendor: string | null;
    readonly kind: string;
    readonly state: string;
    readonly reason: string | null;
    readonly places: readonly {
      readonly file: string | null;
      readonly line: number | null;
      readonly name: string;
      readonly committed: boolean | null;
    }[];
  }[];
  readonly unread: readonly { readonly file: string; readonly reason: string }[];
  readonly stopped_at: string | null;
}

async function list(env: Record<string, string> = {}): Promise<Listed> {
  return JSON.parse((await run([folder, "--json"], { env })).out) as Listed;
}

/** Vendor and places of each key, as `anthropic .env:1`. */
function brief({ keys }: Listed): string[] {
  return keys.map(({ vendor, places }) =>
    [
      vendor ?? "?",
      ...places.map(({ file, line, name }) => (file === null ? name : `${file.slice(folder.length + 1)}:${line}`)),
    ].join(" "),
  );
}

describe("keys are found", () => {
  test("in files of variables, whatever their spelling, in comments too", async () => {
    put(".env", `# mine\nANTHROPIC_API_KEY=${keyOf.anthropic}\n`);
    put("app/.env.local", `export OPENAI_API_KEY="${keyOf.openai}"\n`);
    put("app/prod.env", `  OPENROUTER_KEY = '${keyOf.openrouter}' # end\n`);
    put(".envrc", `#export GROQ_API_KEY=${keyOf.groq}\n`);
    put(".config/fish/config.fish", `set -gx XAI_API_KEY ${keyOf.xai}\n`);
    put(".config/fish/fish_variables", `SETUVAR --export GEMINI_API_KEY:${keyOf.google}\n`);
    put(".zshrc", `alias x="MISTRAL_API_KEY=${keyOf.plain} mistral"\n`);
    expect(brief(await list()).toSorted()).toEqual([
      "anthropic .env:2",
      "google .config/fish/fish_variables:1",
      "groq .envrc:1",
      "mistral .zshrc:1",
      "openai app/.env.local:1",
      "openrouter app/prod.env:1",
      "xai .config/fish/config.fish:1",
    ]);
  });

  test("in the settings of the tools that keep them", async () => {
    const cases: readonly [string, string, string][] = [
      [".claude/settings.json", `{\n "env": {"ANTHROPIC_API_KEY": "${keyOf.anthropic}"}}`, "anthropic"],
      [".claude.json", `{"primaryApiKey": "${keyOf.anthropic}"}`, "anthropic"],
      [".codex/auth.json", `{"OPENAI_API_KEY": "${keyOf.old}", "tokens": null}`, "openai"],
      [
        ".codex/config.toml",
        `[model_providers.or]\nname = "OpenRouter"\nexperimental_bearer_token = "${keyOf.openrouter}"\n`,
        "openrouter",
      ],
      [".aider.conf.yml", `api-key:\n- gemini=${keyOf.google}\n`, "google"],
      [".continue/config.yaml", `models:\n  - name: M\n    provider: mistral\n    apiKey: ${keyOf.plain}\n`, "mistral"],
      [".continue/config.json", `{"models": [{"provider": "deepseek", "apiKey": "${keyOf.old}"}]}`, "deepseek"],
      [
        "litellm_config.yaml",
        `model_list:\n  - litellm_params:\n      model: mistral/large\n      api_key: ${keyOf.plain}\n`,
        "mistral",
      ],
      [
        ".claude-code-router/config.json",
        `{"Providers": [{"name": "a", "api_base_url": "https://api.deepseek.com/chat/completions", "api_key": "${keyOf.old}"}]}`,
        "deepseek",
      ],
      [".local/share/opencode/auth.json", `{"cerebras": {"type": "api", "key": "${keyOf.plain}"}}`, "cerebras"],
      ["docker-compose.yml", `services:\n  a:\n    environment:\n      - OPENAI_API_KEY=${keyOf.openai}\n`, "openai"],
      [".config/zed/settings.json", `{ // own\n "x": {"openai_api_key": "${keyOf.openai}",},\n}`, "openai"],
      [".config/io.datasette.llm/keys.json", `{"groq": "${keyOf.groq}"}`, "groq"],
      [".mcp.json", `{"mcpServers": {"a": {"env": {"PERPLEXITY_API_KEY": "pplx-${tail}"}}}}`, "perplexity"],
    ];
    for (const [path, text, vendor] of cases) {
      const file = put(path, text);
      const { keys } = await list();
      expect([path, keys.map((key) => [key.vendor, key.places.length])]).toEqual([path, [[vendor, 1]]]);
      rmSync(file);
    }
  });

  test("in a settings file that is broken, line by line", async () => {
    put(".claude/settings.json", `{ "env": { "ANTHROPIC_API_KEY": "${keyOf.anthropic}"\n`);
    put("config.yaml", `a: [\n"openai_api_key": "${keyOf.openai}"\n`);
    expect(brief(await list()).toSorted()).toEqual(["anthropic .claude/settings.json:1", "openai config.yaml:2"]);
  });

  test("once each, with every place, the environment first", async () => {
    put(".env", `A=1\nOPENAI_API_KEY=${keyOf.openai}\nAGAIN=${keyOf.openai}\n`);
    put("b/.env", `KEY=${keyOf.openai}\n`);
    expect(brief(await list({ MY_KEY: keyOf.openai }))).toEqual(["openai MY_KEY .env:2 .env:3 b/.env:1"]);
  });

  test("by their form before their name, and by where they are sent before both names", async () => {
    put("a/.env", `OPENAI_API_KEY=${keyOf.openrouter}\n`);
    put("b/.env", `OPENAI_BASE_URL=https://api.deepseek.com/v1\nOPENAI_API_KEY=${keyOf.old}\n`);
    put("c/.env", `OPENAI_BASE_URL=https://llm.corp.example/v1\nOPENAI_API_KEY=${keyOf.old}c\n`);
    const listed = await list();
    expect(brief(listed)).toEqual(["openrouter a/.env:1", "deepseek b/.env:2", "? c/.env:2"]);
    expect(listed.keys[2]?.reason).toContain("llm.corp.example");
  });

  test("but no other secret, no reference, no placeholder, and no token of this gateway", async () => {
    put(
      ".env",
      [
        `DATABASE_PASSWORD=${keyOf.plain}`,
        `GITHUB_TOKEN=ghp_${tail}`,
        `ANTHROPIC_AUTH_TOKEN=${keyOf.gateway}`,
        "OPENAI_API_KEY=${SECRET_OPENAI_KEY_0123456789}",
        "OPENROUTER_API_KEY=sk-or-v1-your-key-goes-here-0123456789",
        "XAI_API_KEY=xai-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx1",
        `FIREBASE_API_KEY=${keyOf.google}`,
        `AZURE_OPENAI_API_KEY=${keyOf.plain}`,
        "GROQ_API_KEY=op://Private/groq/credential-0123456789",
      ].join("\n"),
    );
    expect(brief(await list())).toEqual([]);
  });

  test("logins and keys of administrators are told and never moved", async () => {
    put(".env", `CLAUDE_CODE_OAUTH_TOKEN=${keyOf.login}\nANTHROPIC_ADMIN_KEY=${keyOf.admin}\n`);
    const { out } = await run([folder, "--yes"]);
    expect(out).toContain("a subscription's login");
    expect(out).toContain("an admin key");
    expect(store.keys.size).toBe(0);
  });
});

describe("the search", () => {
  test("leaves out what others wrote, binary and special files, and what leads out of the folder, and says so", async () => {
    for (const skipped of ["node_modules/a/.env", ".git/config.env", ".venv/.env"])
      put(skipped, `OPENAI_API_KEY=${keyOf.openai}\n`);
    put("bin.env", `\0OPENAI_API_KEY=${keyOf.openai}\n`);
    put("big.env", `OPENAI_API_KEY=${keyOf.openai}\n${"x".repeat(4 * 1024 * 1024)}`);
    const outside = join(home, "outside.env");
    writeFileSync(outside, `OPENAI_API_KEY=${keyOf.openai}\n`);
    symlinkSync(outside, join(folder, "link.env"));
    symlinkSync(home, join(folder, "folder-link"));
    expect(Bun.spawnSync(["mkfifo", join(folder, "pipe.env")]).exitCode).toBe(0);
    const listed = await list();
    expect(listed.keys).toEqual([]);
    expect(listed.unread.map(({ file, reason }) => `${file.slice(folder.length + 1)} ${reason}`).toSorted()).toEqual([
      "big.env is larger than 4 MB",
      "bin.env is a binary file",
      "link.env is a link that leads out of the folder",
      "pipe.env is no regular file",
    ]);
  });

  test("follows a link that stays inside, and tells what it may not read", async () => {
    put("dotfiles/zshrc", `export OPENAI_API_KEY=${keyOf.openai}\n`);
    symlinkSync("dotfiles/zshrc", join(folder, ".zshrc"));
    put("locked.env", "A=1\n");
    chmodSync(join(folder, "locked.env"), 0o000);
    const listed = await list();
    expect(brief(listed)).toEqual(["openai .zshrc:1"]);
    // Root reads everything.
    if (process.getuid?.() !== 0) expect(listed.unread[0]?.reason).toBe("may not be read by you");
  });

  test("ends at its bounds and says which", () => {
    put("a/b/c/.env", "A=1\n");
    const bounds = { entries: 100, files: 10, depth: 8 };
    expect(findFiles(folder, [], bounds)).toMatchObject({ files: [{ format: "lines" }], stoppedAt: null });
    expect(findFiles(folder, [], { ...bounds, depth: 2 }).stoppedAt).toBe("2 folders below each other");
    expect(findFiles(folder, [], { ...bounds, entries: 2 }).stoppedAt).toBe("2 files and folders");
    expect(findFiles(folder, [], { ...bounds, files: 0 }).stoppedAt).toBe("0 files to read");
  });

  test("takes time in proportion to a hostile file's length", async () => {
    for (const [at, unit] of ["a=", "a:", "a b ", '"', "sk-", "set -x ", "/*", '{"a":'].entries()) {
      put(`${at}/.claude/settings.json`, unit.repeat(200_000));
      put(`${at}/.env`, unit.repeat(200_000));
    }
    expect((await list()).keys).toEqual([]);
  });
});

describe("keys are moved", () => {
  test("behind those that are there; the files stay as they are, and what to do about each is said", async () => {
    const text = `OPENAI_API_KEY=${keyOf.openai}\n`;
    const file = put(".env", text);
    put(".claude/settings.json", `{"env": {"ANTHROPIC_API_KEY": "${keyOf.anthropic}"}}`);
    store.keys.set("openai", ["sk-first-12345678"]);
    const { out, exitCode } = await run([folder, "--yes"], { env: { OPENAI_API_KEY: keyOf.openai } });
    expect(exitCode).toBe(0);
    expect(store.keys.get("openai")).toEqual(["sk-first-12345678", keyOf.openai]);
    expect(store.keys.get("anthropic")).toEqual([keyOf.anthropic]);
    expect(readFileSync(file, "utf8")).toBe(text);
    expect(out).toContain("The key of openai is in the keychain now.");
    expect(out).toContain("`unset OPENAI_API_KEY`, and delete the line that sets it");
    expect(out).toMatch(/\.env:1 {2}OPENAI_API_KEY: delete line 1/);
    expect(out).toMatch(/settings\.json:1 {2}env\.ANTHROPIC_API_KEY: delete the value/);
    // Once more: nothing is stored twice.
    expect((await run([folder, "--yes"])).out).toContain("stored already");
    expect(store.keys.get("openai")?.length).toBe(2);
  });

  test("as a person chooses by number, and none where nothing was chosen", async () => {
    put(
      ".env",
      `OPENAI_API_KEY=${keyOf.openai}\nANTHROPIC_API_KEY=${keyOf.anthropic}\nOPENROUTER_API_KEY=${keyOf.openrouter}\n`,
    );
    for (const typed of ["none\n", "no\n"]) expect((await run([folder], { typed })).exitCode).toBe(0);
    expect(store.keys.size).toBe(0);
    expect((await run([folder], { typed: "" })).exitCode).toBe(1);
    await run([folder], { typed: "2, 3\n" });
    expect([...store.keys.keys()]).toEqual(["anthropic", "openrouter"]);
    await run([folder], { typed: "\n" });
    expect(store.keys.size).toBe(3);
  });

  test("by nobody's leave neither with --dry-run, nor with --json alone, nor without a terminal", async () => {
    put(".env", `OPENAI_API_KEY=${keyOf.openai}\n`);
    expect((await run([folder, "--dry-run"])).exitCode).toBe(0);
    await list();
    const { err, exitCode } = await run([folder]);
    expect([err.includes("--yes"), exitCode]).toEqual([true, 2]);
    expect(store.keys.size).toBe(0);
  });

  test("only where the configuration has a provider for them, by name or by address; else it says what to add", async () => {
    put(".env", `GROQ_API_KEY=${keyOf.groq}\nXAI_API_KEY=${keyOf.xai}\n`);
    writeFileSync(
      join(home, "config.yaml"),
      "providers: { grok-house: { url: 'https://api.x.ai/v1', dialects: [chat] } }\n",
      { mode: 0o600 },
    );
    const { out } = await run([folder, "--yes"]);
    expect(out).toContain('groq: { url: "https://api.groq.com/openai/v1", dialects: [chat] }');
    expect([...store.keys]).toEqual([["grok-house", [keyOf.xai]]]);
  });

  test("and a store that is locked, or full, is an exit code of 1 with what to do", async () => {
    put(".env", `OPENAI_API_KEY=${keyOf.openai}\n`);
    store.fault = new KeyFault("locked", "the keychain is locked");
    const locked = await run([folder, "--yes"]);
    expect([locked.err.includes("the keychain is locked"), locked.exitCode]).toEqual([true, 1]);
    store.fault = null;
    store.keys.set(
      "openai",
      Array.from({ length: 8 }, (_, n) => `sk-number-${n}`),
    );
    expect((await run([folder, "--yes"])).exitCode).toBe(1);
    expect(store.keys.get("openai")?.length).toBe(8);
  });

  test("from a single file that is named, whatever it is called, and from none that is not there", async () => {
    const file = put("notes.txt", `my OPENAI_API_KEY=${keyOf.openai}\n`);
    await run([file, "--yes"]);
    expect(store.keys.get("openai")).toEqual([keyOf.openai]);
    expect((await run([join(folder, "gone"), "--yes"])).exitCode).toBe(2);
  });

  test("and a key that git has seen is to be replaced at its provider, also when the file is ignored by now", async () => {
    put(".env", `OPENAI_API_KEY=${keyOf.openai}\n`);
    const git = (...words: string[]): void => {
      const { exitCode } = Bun.spawnSync([
        "git",
        "-C",
        folder,
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.example",
        ...words,
      ]);
      expect(exitCode).toBe(0);
    };
    git("init", "-q");
    expect((await list()).keys[0]?.places[0]?.committed).toBe(false);
    git("add", ".env");
    git("commit", "-qm", "x");
    git("rm", "-q", "--cached", ".env");
    git("commit", "-qm", "y");
    expect((await list()).keys[0]?.places[0]?.committed).toBe(true);
    const { out } = await run([folder, "--yes"]);
    expect(out).toContain(".env is committed");
    expect(out).toContain("https://platform.openai.com/api-keys, then `sanctum keys rotate openai`");
  });
});
