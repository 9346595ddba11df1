import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyFault, type KeyStore } from "../layers/vault/index.ts";
import { readHidden, readPiped, type KeyInput } from "./hidden-input.ts";
import type { Io } from "./io.ts";
import { keysCommand, type KeysParts } from "./keys.ts";

const key = "sk-ant-api03-canary-12345678";
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

class FakeStore implements KeyStore {
  readonly place = "keychain";
  readonly keys = new Map<string, string>();
  fault: KeyFault | null = null;

  async load(provider: string): Promise<readonly Uint8Array[]> {
    if (this.fault !== null) throw this.fault;
    const value = this.keys.get(provider);
    return value === undefined ? [] : value.split(" ").map(bytes);
  }

  async save(provider: string, keys: readonly Uint8Array[]): Promise<void> {
    if (this.fault !== null) throw this.fault;
    this.keys.set(provider, keys.map((key) => new TextDecoder().decode(key)).join(" "));
  }

  async remove(provider: string): Promise<boolean> {
    if (this.fault !== null) throw this.fault;
    return this.keys.delete(provider);
  }
}

/** Standard input that brings these chunks; a terminal when `raw` is watched. */
function inputOf(chunks: string[], raw?: boolean[]): KeyInput {
  async function* bring(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield bytes(chunk);
  }
  const stream = { [Symbol.asyncIterator]: bring };
  return raw === undefined ? stream : { ...stream, isTTY: true, setRawMode: (on) => raw.push(on) };
}

/** Standard input of which each question gets the next chunk. */
function inputInTurn(...chunks: string[]): KeyInput {
  async function* bring(): AsyncGenerator<Uint8Array> {
    for (let next = chunks.shift(); next !== undefined; next = chunks.shift()) yield bytes(next);
  }
  return { [Symbol.asyncIterator]: bring, isTTY: true, setRawMode: () => undefined };
}

interface Run {
  readonly out: string;
  readonly err: string;
  readonly exitCode: number;
}

let home = "";
let store: FakeStore;
let before: typeof process.exitCode;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "keys-"));
  store = new FakeStore();
  before = process.exitCode;
});

afterEach(() => {
  process.exitCode = before ?? 0;
  rmSync(home, { recursive: true, force: true });
});

/** What takes every key unseen: no test may ask a provider outside of this machine. */
const taken: KeysParts = { check: async () => ({ result: "accepted", reason: null }) };

async function run(args: string[], input: KeyInput = inputOf([]), parts: KeysParts = taken, env = {}): Promise<Run> {
  let out = "";
  let err = "";
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    env,
    home,
    configFile: join(home, "config.yaml"),
  };
  process.exitCode = 0;
  await keysCommand(io, { keychain: store, input, ...parts }).parseAsync(args, { from: "user" });
  const { exitCode } = process;
  expect(out + err).not.toContain("canary");
  return { out, err, exitCode };
}

describe("sanctum keys set", () => {
  test("stores what is piped in, without its line break", async () => {
    const { out, exitCode } = await run(
      ["set", "anthropic", "--stdin"],
      inputOf([key.slice(0, 9), `${key.slice(9)}\n`]),
    );
    expect([out, exitCode]).toEqual(["The key of anthropic is accepted, and is in the keychain.\n", 0]);
    expect(store.keys.get("anthropic")).toBe(key);
  });

  test("asks on a terminal without showing what is typed", async () => {
    const raw: boolean[] = [];
    const { err } = await run(["set", "anthropic"], inputOf([key, "\r"], raw));
    expect(err).toBe("Key of anthropic (not shown): \n");
    expect(store.keys.get("anthropic")).toBe(key);
    expect(raw).toEqual([true, false]);
  });

  test("stores nothing when the person gives up", async () => {
    for (const typed of ["\u0003", `${key}\u0003`, "\u0004"]) {
      const { err, exitCode } = await run(["set", "anthropic"], inputOf([typed], []));
      expect([err.includes("nothing was stored"), exitCode, store.keys.size]).toEqual([true, 1, 0]);
    }
  });

  test("does not wait for a key on an input that is neither a terminal nor announced", async () => {
    const { err, exitCode } = await run(["set", "anthropic"], inputOf([key]));
    expect([err, exitCode]).toEqual(["sanctum: standard input is no terminal; pipe the key in with --stdin\n", 2]);
  });

  test("refuses a key as an argument, and does not repeat it", async () => {
    const { err, exitCode } = await run(["set", "anthropic", key]);
    expect(err).toContain("never given as an argument");
    expect([exitCode, store.keys.size]).toEqual([2, 0]);
    await run(["set", key]);
    await run(["rm", key]);
  });

  test("--add keeps the keys that are there, and stores none twice", async () => {
    store.keys.set("anthropic", "sk-first-12345678");
    for (let times = 0; times < 2; times++) {
      expect((await run(["set", "anthropic", "--stdin", "--add"], inputOf([key]))).exitCode).toBe(0);
      expect(store.keys.get("anthropic")).toBe(`sk-first-12345678 ${key}`);
    }
    store.keys.set("anthropic", Array.from({ length: 8 }, (_, n) => `sk-number-${n}`).join(" "));
    const { err, exitCode } = await run(["set", "anthropic", "--stdin", "--add"], inputOf([key]));
    expect([err, exitCode]).toEqual(["sanctum: a provider has 8 keys at most\n", 1]);
    await run(["set", "anthropic", "--stdin"], inputOf([key]));
    expect(store.keys.get("anthropic")).toBe(key);
  });

  test("refuses what cannot be a key", async () => {
    for (const value of ["", "short", "sk with a space", `${key}\n${key}\n`, "k".repeat(10_000)]) {
      const { err, exitCode } = await run(["set", "anthropic", "--stdin"], inputOf([value]));
      expect([err.startsWith("sanctum: "), exitCode, store.keys.size]).toEqual([true, 1, 0]);
    }
  });

  test("refuses providers that are unknown or whose key comes from elsewhere", async () => {
    expect((await run(["set", "nobody", "--stdin"], inputOf([key]))).err).toContain("no provider nobody");
    writeFileSync(
      join(home, "config.yaml"),
      "providers: { vendor: { url: 'https://vendor.example', dialects: [chat], key: { command: [pass, vendor] } } }\n",
      { mode: 0o600 },
    );
    expect((await run(["set", "vendor", "--stdin"], inputOf([key]))).err).toContain("its `key` is `command`");
  });

  test("says what to do where there is no keychain, and ends with 78 on a faulty configuration", async () => {
    store.fault = new KeyFault("missing", "no Secret Service in this session");
    expect(await run(["set", "anthropic", "--stdin"], inputOf([key]))).toEqual({
      out: "",
      err: "sanctum: no Secret Service in this session\n",
      exitCode: 1,
    });
    writeFileSync(join(home, "config.yaml"), "providers: 7\n", { mode: 0o600 });
    expect((await run(["set", "anthropic", "--stdin"], inputOf([key]))).exitCode).toBe(78);
  });

  test("tells the running gateway which key has changed, and nothing else", async () => {
    mkdirSync(join(home, "run"));
    const asked: string[] = [];
    const gateway = Bun.serve({
      unix: join(home, "run/admin.sock"),
      fetch: async (request) => {
        asked.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
        return new Response("{}");
      },
    });
    const { out } = await run(["set", "anthropic", "--stdin"], inputOf([key]));
    await run(["rm", "anthropic"]);
    await gateway.stop(true);
    expect(out).toContain("The running gateway knows.");
    expect(asked).toEqual([
      'POST /keys/refresh {"provider":"anthropic"}',
      'POST /keys/refresh {"provider":"anthropic"}',
    ]);
  });
});

/** A provider that knows one key, and tells everybody else their own. */
function serveProvider(): Disposable & { readonly asked: string[] } {
  const asked: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ headers }) => {
      const shown = headers.get("x-api-key") ?? "";
      asked.push(shown);
      return shown === key
        ? Response.json({ data: [] })
        : Response.json({ error: `no canary: ${shown}` }, { status: 401 });
    },
  });
  const providers = { anthropic: { url: `http://127.0.0.1:${server.port}` }, openai: { key: "passthrough" } };
  writeFileSync(join(home, "config.yaml"), JSON.stringify({ providers }), { mode: 0o600 });
  return { asked, [Symbol.dispose]: () => void server.stop(true) };
}

const wrong = "sk-wrong-canary-12345";
const reallyAsked: KeysParts = {};

describe("a key that is stored is shown to its provider first", () => {
  test("and one that it takes is stored, which is said", async () => {
    using provider = serveProvider();
    const { out } = await run(["set", "anthropic", "--stdin"], inputOf([key]), reallyAsked);
    expect(out).toBe("The key of anthropic is accepted, and is in the keychain.\n");
    expect(provider.asked).toEqual([key]);
    expect(store.keys.get("anthropic")).toBe(key);
  });

  test("one that is piped in and rejected is not stored, unless it was not to be tested", async () => {
    using provider = serveProvider();
    const { err, exitCode } = await run(["set", "anthropic", "--stdin"], inputOf([wrong]), reallyAsked);
    expect([err, exitCode, store.keys.size]).toEqual([
      "sanctum: anthropic does not accept this key (the provider answered 401); nothing was stored. --no-test stores it unseen.\n",
      1,
      0,
    ]);
    await run(["set", "anthropic", "--stdin", "--no-test"], inputOf([wrong]), reallyAsked);
    expect(store.keys.get("anthropic")).toBe(wrong);
    expect(provider.asked).toEqual([wrong]);
  });

  test("one that is typed and rejected leaves the choice to the person", async () => {
    using _provider = serveProvider();
    const again = await run(["set", "anthropic"], inputInTurn(`${wrong}\r`, "xA", `${key}\r`), reallyAsked);
    expect(again.err).toContain("[a]nother key, [s]tore it all the same, [Enter] stop: another key\n");
    expect(store.keys.get("anthropic")).toBe(key);
    const kept = await run(["set", "anthropic"], inputInTurn(`${wrong}\r`, "s"), reallyAsked);
    expect([kept.out, store.keys.get("anthropic")]).toEqual([
      "The key of anthropic is not accepted, and is in the keychain.\n",
      wrong,
    ]);
    store.keys.clear();
    for (const no of ["\r", "\u0003", "\u001b"]) {
      const { exitCode } = await run(["set", "anthropic"], inputInTurn(`${wrong}\r`, no), reallyAsked);
      expect([exitCode, store.keys.size]).toEqual([1, 0]);
    }
  });

  test("and is stored where the provider can't be reached, which is said too", async () => {
    const provider = serveProvider();
    provider[Symbol.dispose]();
    const { out, err, exitCode } = await run(["set", "anthropic", "--stdin"], inputOf([key]), reallyAsked);
    expect(err).toMatch(
      /^The key could not be checked: no connection to 127.* `sanctum keys test anthropic` tries again/,
    );
    expect([out, exitCode]).toEqual(["The key of anthropic is in the keychain.\n", 0]);
  });
});

describe("sanctum keys test", () => {
  test("says of each key whether its provider takes it, and ends with 0 only if all are accepted", async () => {
    using provider = serveProvider();
    store.keys.set("anthropic", key);
    const fine = await run(["test", "anthropic"], inputOf([]), reallyAsked);
    expect(fine).toEqual({ out: "PROVIDER   KEY\nanthropic  accepted\n", err: "", exitCode: 0 });
    store.keys.set("anthropic", `${key} ${wrong}`);
    const { out, exitCode } = await run(["test", "anthropic"], inputOf([]), reallyAsked);
    expect([out, exitCode]).toEqual([
      "PROVIDER           KEY\nanthropic (key 1)  accepted\nanthropic (key 2)  rejected  the provider answered 401\n",
      1,
    ]);
    expect(provider.asked).toEqual([key, key, wrong]);
    const json = await run(["test", "anthropic", "--json"], inputOf([]), reallyAsked);
    expect(JSON.parse(json.out)).toEqual([
      { provider: "anthropic", key: 1, result: "accepted", reason: null },
      { provider: "anthropic", key: 2, result: "rejected", reason: "the provider answered 401" },
    ]);
  });

  test("without a name tests all; a built-in provider that nobody gave a key is no failure, one that is named is", async () => {
    using _provider = serveProvider();
    store.keys.set("anthropic", key);
    const all = await run(["test"], inputOf([]), reallyAsked);
    expect(all.out.split("\n").map((line) => line.slice(0, 22).trimEnd())).toEqual([
      "PROVIDER   KEY",
      "anthropic  accepted",
      "openai     not tested",
      "",
    ]);
    expect(all.exitCode).toBe(0);
    expect((await run(["test", "openrouter"], inputOf([]), reallyAsked)).exitCode).toBe(1);
    store.keys.clear();
    const none = await run(["test"], inputOf([]), reallyAsked);
    expect(none.out).toMatch(/^anthropic +missing +no key is stored; `sanctum keys set anthropic` stores one$/m);
    expect(none.exitCode).toBe(1);
  });

  test("tells a provider that can't be reached, a locked keychain, and a name that is none", async () => {
    const provider = serveProvider();
    provider[Symbol.dispose]();
    store.keys.set("anthropic", key);
    const gone = await run(["test", "anthropic"], inputOf([]), reallyAsked);
    expect(gone.out).toMatch(/^anthropic +not checked +no connection to 127\.0\.0\.1:\d+$/m);
    expect(gone.exitCode).toBe(1);
    store.fault = new KeyFault("locked", "the keyring is locked");
    expect((await run(["test", "anthropic"], inputOf([]), reallyAsked)).out).toContain("locked  the keyring is locked");
    expect((await run(["test", key], inputOf([]), reallyAsked)).exitCode).toBe(1);
  });

  test("asks nobody in an environment that would make the runtime print keys", async () => {
    using provider = serveProvider();
    store.keys.set("anthropic", key);
    const env = { BUN_CONFIG_VERBOSE_FETCH: "curl" };
    const { err, exitCode } = await run(["test"], inputOf([]), reallyAsked, env);
    expect([err.includes("unset BUN_CONFIG_VERBOSE_FETCH"), exitCode, provider.asked]).toEqual([true, 1, []]);
  });
});

test("a proxy of the environment does not get to see a key that is tested", async () => {
  using provider = serveProvider();
  const proxied: string[] = [];
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      proxied.push(url);
      return Response.json({ data: [] });
    },
  });
  const file = join(home, "config.yaml");
  const { providers } = JSON.parse(readFileSync(file, "utf8")) as { providers: { anthropic: object } };
  const config = { providers: { anthropic: { ...providers.anthropic, key: { command: ["cat", join(home, "key")] } } } };
  writeFileSync(join(home, "key"), key);
  writeFileSync(file, JSON.stringify(config));
  const address = `http://127.0.0.1:${proxy.port}`;
  const program = join(import.meta.dir, "../../bin/sanctum");
  const child = Bun.spawn(["sh", program, "keys", "test", "anthropic", "--json", "--config", file], {
    env: { PATH: process.env["PATH"] ?? "", HOME: home, SANCTUM_HOME: home, http_proxy: address, HTTP_PROXY: address },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const out = await child.stdout.text();
  expect(await child.exited).toBe(0);
  await proxy.stop(true);
  expect(JSON.parse(out)).toEqual([{ provider: "anthropic", key: 1, result: "accepted", reason: null }]);
  expect([proxied, provider.asked]).toEqual([[], [key]]);
}, 20_000);

describe("sanctum keys list and rm", () => {
  test("list shows source and state of every provider and no key", async () => {
    store.keys.set("anthropic", key);
    const { out } = await run(["list"]);
    expect(out).toMatch(/^PROVIDER +SOURCE +STATE\n/);
    expect(out).toMatch(/^anthropic +keychain +ok$/m);
    expect(out).toMatch(/^openai +keychain +missing +no key is stored; run `sanctum keys set openai`$/m);
    const json = JSON.parse((await run(["list", "--json"])).out) as unknown;
    expect(json).toContainEqual({ provider: "anthropic", source: "keychain", state: "ok", keys: 1, reason: null });
  });

  test("rm removes the key, and says when there was none", async () => {
    store.keys.set("anthropic", key);
    expect((await run(["rm", "anthropic"])).out).toBe("The key of anthropic is removed.\n");
    expect(await run(["rm", "anthropic"])).toMatchObject({ exitCode: 1, out: "" });
  });
});

describe("one of several keys", () => {
  test("is removed by its number, and never shown", async () => {
    store.keys.set("anthropic", `sk-first-12345678 ${key} sk-third-12345678`);
    expect((await run(["rm", "anthropic", "--key", "2"])).out).toBe("Key 2 of anthropic is removed; 2 are left.\n");
    expect(store.keys.get("anthropic")).toBe("sk-first-12345678 sk-third-12345678");
    expect(await run(["rm", "anthropic", "--key", "3"])).toMatchObject({
      err: "sanctum: anthropic has 2 keys\n",
      exitCode: 1,
    });
    expect((await run(["rm", "anthropic", "--key", key])).exitCode).toBe(2);
    await run(["rm", "anthropic", "--key", "1"]);
    expect((await run(["rm", "anthropic", "--key", "1"])).out).toBe("Key 1 of anthropic is removed; none is left.\n");
    expect(store.keys.size).toBe(0);
  });

  test("is replaced by a new one in its place", async () => {
    store.keys.set("anthropic", "sk-first-12345678 sk-second-12345678");
    const first = await run(["rotate", "anthropic"], inputOf([key, "\r"], []));
    expect(first.out).toContain("The new key of anthropic is in the keychain, and the old one is gone.");
    expect(store.keys.get("anthropic")).toBe(`${key} sk-second-12345678`);
    await run(["rotate", "anthropic", "--key", "2", "--stdin"], inputOf(["sk-other-12345678\n"]));
    expect(store.keys.get("anthropic")).toBe(`${key} sk-other-12345678`);
  });

  test("is not replaced by itself, by no key, by an argument, or where there is none yet", async () => {
    expect((await run(["rotate", "anthropic", "--stdin"], inputOf([key]))).err).toContain("sanctum keys set anthropic");
    store.keys.set("anthropic", key);
    for (const value of [key, "short", ""]) {
      expect((await run(["rotate", "anthropic", "--stdin"], inputOf([value]))).exitCode).toBe(1);
    }
    expect((await run(["rotate", "anthropic", key])).exitCode).toBe(2);
    expect(store.keys.get("anthropic")).toBe(key);
  });

  test("stays where the running gateway could not take the new one", async () => {
    store.keys.set("anthropic", "sk-first-12345678");
    mkdirSync(join(home, "run"));
    const seen: string[] = [];
    const gateway = Bun.serve({
      unix: join(home, "run/admin.sock"),
      fetch: () => {
        seen.push(store.keys.get("anthropic") ?? "");
        return Response.json({ ok: true, keys: 1 });
      },
    });
    const { err, exitCode } = await run(["rotate", "anthropic", "--stdin"], inputOf([key]));
    await gateway.stop(true);
    expect(seen).toEqual([`${key} sk-first-12345678`, "sk-first-12345678"]);
    expect([err.includes("the old one is back"), exitCode]).toEqual([true, 1]);
    expect(store.keys.get("anthropic")).toBe("sk-first-12345678");
  });
});

describe("on a real terminal", () => {
  test("nothing of the key is echoed, the key arrives, and echo is on again afterwards", async () => {
    const script = `
      import { readHidden } from ${JSON.stringify(join(import.meta.dir, "hidden-input.ts"))};
      const key = await readHidden(process.stdin, () => process.stderr.write("Key: "), 100);
      process.stderr.write("length " + key?.length + "\\n");
    `;
    let shown = "";
    const reached = new Map<string, () => void>();
    const until = (text: string): Promise<void> => new Promise((resolve) => reached.set(text, resolve));
    const asked = until("Key: ");
    const terminal = new Bun.Terminal({
      data: (_terminal, data) => {
        shown += new TextDecoder().decode(data);
        for (const [text, resolve] of reached) if (shown.includes(text)) resolve();
      },
    });
    const echoFlags = terminal.localFlags;
    const child = Bun.spawn([process.execPath, "-e", script], { terminal });
    await asked;
    const answered = until("length ");
    terminal.write(key.slice(0, 5));
    terminal.write(`${key.slice(5)}\r`);
    await answered;
    expect(await child.exited).toBe(0);
    expect(terminal.localFlags).toBe(echoFlags);
    terminal.close();
    expect(shown).toContain(`length ${key.length}`);
    for (const part of ["sk-a", "canary", "5678"]) expect(shown).not.toContain(part);
  }, 15_000);
});

describe("hidden input", () => {
  const type = async (...chunks: string[]): Promise<string | null> => {
    const line = await readHidden(inputOf(chunks, []), () => undefined, 20);
    return line === null ? null : new TextDecoder().decode(line);
  };

  test("takes backspace, erase-line, arrows and the marks of a pasted text for what they are", async () => {
    expect(await type("abX\u007fcY\bd\r")).toBe("abcd");
    expect(await type("wrong\u0015right\n")).toBe("right");
    expect(await type("\u001b[200~pasted\u001b[201~", "\u001b[D\u001bOA\r")).toBe("pasted");
    expect(await type("\u001b", "[", "2", "00~split\r")).toBe("split");
    expect(await type("\u007f\u007fa\r")).toBe("a");
  });

  test("ends at the line's end and tells a line that is too long by its length", async () => {
    expect(await type("first\nsecond\n")).toBe("first");
    expect((await type("x".repeat(1_000), "\r"))?.length).toBe(21);
    expect(await type("ended by ctrl-d\u0004")).toBe("ended by ctrl-d");
    expect(await type("closed")).toBeNull();
  });

  test("wipes what it was given", async () => {
    const chunk = bytes(`${key}\r`);
    async function* bring(): AsyncGenerator<Uint8Array> {
      yield chunk;
    }
    await readHidden({ [Symbol.asyncIterator]: bring }, () => undefined, 100);
    expect(chunk.every((byte) => byte === 0)).toBeTrue();
    const piped = bytes(key);
    async function* pipe(): AsyncGenerator<Uint8Array> {
      yield piped;
    }
    expect(await readPiped(pipe(), 100)).toEqual(bytes(key));
    expect(piped.every((byte) => byte === 0)).toBeTrue();
  });

  test("a piped value of any length stays bounded", async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield bytes("k".repeat(65_536));
    }
    expect((await readPiped(endless(), 100)).length).toBeGreaterThan(100);
  });
});
