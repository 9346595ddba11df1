import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveAdmin } from "../admin/admin-server.ts";
import { connectCommand } from "./connect.ts";
import type { Io } from "./io.ts";
import { noHandover } from "../admin/no-handover.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sanctum-connect-"));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  process.exitCode = 0;
});

async function run(...words: readonly string[]): Promise<{ out: string; err: string; code: number }> {
  const said = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    isTty: false,
    env: {},
    home,
    configFile: join(home, "config.yaml"),
  };
  process.exitCode = 0;
  await connectCommand(io).parseAsync([...words], { from: "user" });
  return { ...said, code: process.exitCode };
}

describe("how to connect a client", () => {
  test("is told for each one that is known, at the usual address where no gateway runs", async () => {
    const { out, code } = await run();
    for (const name of ["Claude Code", "Codex", "OpenAI SDKs", "Anthropic SDKs", "Open WebUI", "n8n"])
      expect(out).toContain(name);
    expect(out).toContain("ANTHROPIC_BASE_URL=http://127.0.0.1:4040\n");
    expect(out).toContain("OPENAI_BASE_URL=http://127.0.0.1:4040/v1\n");
    expect(out).toContain("anonymous");
    expect(code).toBe(0);
  });

  test("for Claude Code is told with its own login too, whose credential stays in its own header", async () => {
    const { out } = await run("claude-code");
    expect(out).toContain("ANTHROPIC_AUTH_TOKEN=TOKEN");
    expect(out).toContain('ANTHROPIC_CUSTOM_HEADERS="x-sanctum-token: TOKEN"');
    expect(out).toContain("unset ANTHROPIC_AUTH_TOKEN");
    expect(out).not.toContain("codex");
  });

  test("is told for the one that is named, and no other", async () => {
    const { out } = await run("codex");
    expect(out).toContain('base_url = "http://127.0.0.1:4040/v1"');
    expect(out).toContain('wire_api = "responses"');
    expect(out).not.toContain("ANTHROPIC_BASE_URL");
  });

  async function besideGateway(addresses: readonly string[]): ReturnType<typeof run> {
    await using _ = serveAdmin(join(home, "run/admin.sock"), {
      stats: () => "{}",
      addresses: () => addresses,
      ledger: () => "{}",
      ledgerRequests: () => "[]",
      acceptTrail: () => ({ ok: true, text: "accepted" }),
      reload: async () => ({ ok: true, text: "" }),
      refreshKey: async () => 0,
      lendToken: () => null,
      agents: () => [],
      unlockVault: async () => ({ ok: true, text: "the vault is open" }),
      restart: async () => ({ ok: true, text: "process 2 serves now" }),
      handover: noHandover,
      lendAgain: () => null,
      dashboard: { isOpen: () => true, invite: () => "code", revokeAll: () => 0 },
      stop: () => undefined,
    });
    return await run("claude-code");
  }

  test("names the address of the gateway that runs", async () => {
    const { out } = await besideGateway(["unix:/run/x.sock", "http://10.10.10.1:9000"]);
    expect(out).toContain("ANTHROPIC_BASE_URL=http://10.10.10.1:9000\n");
  });

  test("says what to add where the gateway listens on a Unix socket alone, and how to use that", async () => {
    const { out, err, code } = await besideGateway(["unix:/run/x.sock"]);
    expect(out).toBe("curl --unix-socket /run/x.sock -H 'authorization: Bearer TOKEN' http://localhost/v1/models\n");
    expect(err).toContain("Add a TCP address beside it in config.yaml, such as 127.0.0.1:4040, and restart.");
    expect(code).toBe(1);
  });

  test("is a matter of usage where the client is unknown: exit code 2, and the names that are known", async () => {
    const { out, err, code } = await run("emacs");
    expect([out, code]).toEqual(["", 2]);
    expect(err).toContain('unknown client "emacs"');
    expect(err).toContain("claude-code");
  });
});
