import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { serveAdmin, type AdminActions } from "../admin/admin-server.ts";
import type { Io } from "./io.ts";
import { reloadCommand, stopCommand } from "./remote.ts";
import { noHandover } from "../admin/no-handover.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sanctum-remote-"));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  process.exitCode = 0;
});

async function run(
  command: (io: Io) => Command,
  actions?: Partial<AdminActions>,
): Promise<{ out: string; err: string; code: number }> {
  const said = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (said.out += text),
    err: (text) => void (said.err += text),
    isTty: false,
    env: {},
    home,
    configFile: join(home, "config.yaml"),
  };
  const quiet: AdminActions = {
    stats: () => "{}",
    ledger: () => "{}",
    ledgerRequests: () => "[]",
    acceptTrail: () => ({ ok: true, text: "accepted" }),
    addresses: () => [],
    reload: async () => ({ ok: true, text: "configuration 2 is live" }),
    refreshKey: async () => 0,
    lendToken: () => null,
    agents: () => [],
    unlockVault: async () => ({ ok: true, text: "the vault is open" }),
    restart: async () => ({ ok: true, text: "process 2 serves now" }),
    handover: noHandover,
    lendAgain: () => null,
    dashboard: { isOpen: () => true, invite: () => "code", revokeAll: () => 0 },
    stop: () => undefined,
  };
  const admin = actions === undefined ? null : serveAdmin(join(home, "run/admin.sock"), { ...quiet, ...actions });
  process.exitCode = 0;
  await command(io).parseAsync([], { from: "user" });
  await admin?.[Symbol.asyncDispose]();
  return { ...said, code: process.exitCode };
}

test("`reload` says what is live now", async () => {
  expect(await run(reloadCommand, {})).toEqual({ out: "configuration 2 is live\n", err: "", code: 0 });
});

test("`reload` of a faulty file shows every fault and ends with 78", async () => {
  const reload = async (): Promise<{ ok: boolean; text: string }> => ({
    ok: false,
    text: "config.yaml:1:1 a: wrong; right",
  });
  expect(await run(reloadCommand, { reload })).toEqual({ out: "", err: "config.yaml:1:1 a: wrong; right\n", code: 78 });
});

test("`stop` tells the gateway", async () => {
  const told = Promise.withResolvers<void>();
  expect(await run(stopCommand, { stop: () => told.resolve() })).toMatchObject({ out: "stopping\n", code: 0 });
  await told.promise;
});

test("where none runs, each says so in one line and ends with 1", async () => {
  for (const command of [reloadCommand, stopCommand]) {
    const { out, err, code } = await run(command);
    expect([out, code]).toEqual(["", 1]);
    expect(err).toMatch(/^sanctum: The gateway is not running\..*\n$/);
  }
});
