// The start on a terminal, as a new user meets it: a real pseudo-terminal, a gateway without any key, a cloud that knows one.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FakeProvider } from "../fakes/provider.ts";
import { smallBody } from "../fakes/house.ts";
import { eventually } from "../harness.ts";

setDefaultTimeout(60_000);

const program = fileURLToPath(new URL("../../bin/sanctum", import.meta.url));
const key = "sk-canary-right-12345678";
const passphrase = "canary battery staple";

let home = "";
let cloud: FakeProvider;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "sanctum-terminal-"));
  cloud = await FakeProvider.start({ keys: [key] });
});
afterEach(async () => {
  await cloud[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

interface Session extends AsyncDisposable {
  /** What the terminal shows, without the codes that move its cursor. */
  shown(): string;
  /** Waits until the terminal has shown this, after what was waited for before. */
  until(text: string): Promise<void>;
  type(text: string): void;
  readonly exited: Promise<number>;
  readonly pid: number;
  /** The gateway's address. */
  url(): string;
  readonly terminal: Bun.Terminal;
}

function start(config: object): Session {
  mkdirSync(join(home, "sanctum-proxy"), { recursive: true });
  writeFileSync(join(home, "sanctum-proxy/config.yaml"), JSON.stringify({ listen: "127.0.0.1:0", ...config }), {
    mode: 0o600,
  });
  const decoder = new TextDecoder();
  let text = "";
  let waitedTo = 0;
  const terminal = new Bun.Terminal({
    data: (_terminal, data) => {
      text += decoder.decode(data, { stream: true });
    },
  });
  const child = Bun.spawn(["sh", program, "start"], {
    terminal,
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "", HOME: home, SANCTUM_HOME: home, TERM: "xterm" },
  });
  return {
    terminal,
    pid: child.pid,
    exited: child.exited,
    shown: () => text.replaceAll("\r", "").replaceAll("\u001b[K", ""),
    url: () => /listening on (\S+)/.exec(text)![1]!,
    type: (typed) => void terminal.write(typed),
    until: async (wanted) => {
      await eventually(() => {
        const at = text.indexOf(wanted, waitedTo);
        if (at < 0) throw new Error(`"${wanted}" is not shown:\n${text.slice(waitedTo)}`);
        waitedTo = at + wanted.length;
      }, 30_000);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      terminal.close();
    },
  };
}

const ask = async (session: Session): Promise<number> => {
  const body = smallBody("messages", "claude-sonnet-4-5");
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${session.url()}/v1/messages`, { method: "POST", headers, body });
  await response.text();
  return response.status;
};

describe("on a terminal", () => {
  test("a missing key is asked for unseen, checked, stored in a new vault and used at once; others are served meanwhile", async () => {
    await using session = start({ providers: { anthropic: { url: cloud.url } } });
    await session.until("No key is stored of anthropic.");
    await session.until("Key of anthropic: ");
    // Nobody has a key, no local model is there: an answer all the same.
    expect(await ask(session)).toBe(503);
    session.type("sk-canary-wrong-12345678\r");
    await session.until("anthropic does not accept that key (the provider answered 401).");
    await session.until("Key of anthropic: ");
    session.type(key.slice(0, 7));
    session.type(`${key.slice(7)}\r`);
    await session.until("This machine has no keychain, so keys go into an encrypted file, vault.age.");
    await session.until("Passphrase (not shown): ");
    session.type(`${passphrase}\r`);
    await session.until("Once more: ");
    session.type(`${passphrase}\r`);
    await session.until("The key of anthropic is accepted, stored in the vault, and in use.");
    expect(await ask(session)).toBe(200);
    expect(cloud.generations.map((request) => request.header("x-api-key"))).toEqual([key]);
    expect(session.shown()).not.toMatch(/canary|battery|12345678/);
    // The built-in ones are not asked for by somebody who has a key.
    expect(session.shown()).not.toContain("Key of openai");
    process.kill(session.pid, "SIGTERM");
    expect(await session.exited).toBe(0);

    await using again = start({ providers: { anthropic: { url: cloud.url } } });
    await again.until("The keys are in vault.age.");
    await again.until("Passphrase: ");
    again.type(`${passphrase}\r`);
    await again.until("keys: anthropic: there (vault)");
    expect(await ask(again)).toBe(200);
    process.kill(again.pid, "SIGTERM");
    expect(await again.exited).toBe(0);
    expect(again.shown()).not.toContain("Key of");
  });

  test("a first start asks for the built-in providers, Enter skips each, and what is left is said", async () => {
    await using session = start({});
    await session.until("There is no key for the cloud yet.");
    for (const name of ["anthropic", "openrouter", "openai"]) {
      await session.until(`Key of ${name}: `);
      session.type("\r");
    }
    await session.until("Without a key local models answer");
    process.kill(session.pid, "SIGTERM");
    expect(await session.exited).toBe(0);
  });

  test("the log appears above an open question, which is then asked again", async () => {
    await using session = start({});
    await session.until("Key of anthropic: ");
    writeFileSync(join(home, "sanctum-proxy/config.yaml"), JSON.stringify({ listen: "127.0.0.1:0", timezone: "UTC" }));
    await session.until("configuration 2 is live");
    await session.until("Key of anthropic: ");
    process.kill(session.pid, "SIGTERM");
    expect(await session.exited).toBe(0);
  });

  test("Ctrl-C at a question stops the gateway, a signal does too, and the terminal is as it was", async () => {
    for (const end of [
      (session: Session) => session.type("\u0003"),
      (session: Session) => void process.kill(session.pid, "SIGTERM"),
    ]) {
      await using session = start({});
      const { localFlags } = session.terminal;
      await session.until("Key of anthropic: ");
      session.type("sk-canary");
      end(session);
      await session.until("stopped");
      expect(await session.exited).toBe(0);
      expect(session.terminal.localFlags).toBe(localFlags);
      expect(session.shown()).not.toContain("canary");
      expect(session.shown()).not.toContain("Key of openrouter");
    }
  });
});
