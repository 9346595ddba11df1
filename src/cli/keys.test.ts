import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyFault, type KeyStore } from "../layers/vault/index.ts";
import { readHidden, readPiped, type KeyInput } from "./hidden-input.ts";
import type { Io } from "./io.ts";
import { keysCommand } from "./keys.ts";

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

async function run(args: string[], input: KeyInput = inputOf([])): Promise<Run> {
  let out = "";
  let err = "";
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    env: {},
    home,
    configFile: join(home, "config.yaml"),
  };
  process.exitCode = 0;
  await keysCommand(io, { keychain: store, input }).parseAsync(args, { from: "user" });
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
    expect([out, exitCode]).toEqual(["The key of anthropic is in the keychain.\n", 0]);
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
