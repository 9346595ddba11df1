// What tests of a restart do: ask over the admin socket, find the gateway's processes, and hold books against trail.

import { Database } from "bun:sqlite";
import { expect } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, faultsOfChain, type Gateway } from "../harness.ts";

export async function adminCall(gateway: Gateway, path: string, method = "POST"): Promise<Response> {
  return fetch(`http://sanctum${path}`, {
    method,
    unix: join(gateway.home, "run/admin.sock"),
    keepalive: false,
    timeout: false,
  } as RequestInit);
}

export async function restart(gateway: Gateway): Promise<{ ok: boolean; text: string }> {
  return (await (await adminCall(gateway, "/restart")).json()) as { ok: boolean; text: string };
}

/** The process that has the admin socket's name. */
export async function servingPid(gateway: Gateway): Promise<number> {
  return ((await (await adminCall(gateway, "/process", "GET")).json()) as { pid: number }).pid;
}

/** All living processes of this gateway, by their command line. */
export function pidsOf(gateway: Gateway): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      if (words.includes("start") && words.includes(gateway.configFile)) found.push(Number(name));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

/** Ends what a test's restarts have left, but for the process that the harness started. */
export function endOthers(gateway: Gateway): void {
  for (const pid of pidsOf(gateway)) if (pid !== gateway.pid) process.kill(pid, "SIGKILL");
}

/** Until the process that the outside knows serves, and no other one is left. */
export async function settled(gateway: Gateway): Promise<void> {
  try {
    await eventually(async () => {
      expect(await servingPid(gateway)).toBe(gateway.pid);
      expect(pidsOf(gateway)).toEqual([gateway.pid]);
    }, 30_000);
  } catch (error) {
    throw new Error(`process ${gateway.pid} does not serve alone again:\n${gateway.output()}`, { cause: error });
  }
}

/** The trail holds, no request has two lines, nothing is held, and the ledger says what the lines say. */
export async function expectExact(gateway: Gateway): Promise<void> {
  await eventually(async () => {
    const { agents, in_flight: running } = await gateway.stats();
    const lines = gateway.auditLines();
    expect(faultsOfChain(gateway.auditText())).toEqual([]);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    expect(running).toBe(0);
    const all = Object.values(agents);
    expect(all.reduce((total, { held_usd }) => total + held_usd, 0)).toBe(0);
    const told = lines.reduce((total, { usd }) => total + usd, 0);
    const spent = all.reduce((total, { spent_usd }) => total + spent_usd, 0);
    expect(Math.abs(spent - told)).toBeLessThan((lines.length + 1) * 1e-6);
  }, 10_000);
}

/** Of a gateway that has stopped: how many records of the ledger are open, and how many holds ended without their request. */
export function openRecords(gateway: Gateway): { open: number; unclosed: number; lost: number } {
  const copy = mkdtempSync(join(tmpdir(), "sanctum-restart-"));
  try {
    cpSync(join(gateway.home, "state"), copy, { recursive: true });
    using db = new Database(join(copy, "ledger.sqlite"));
    return db
      .query<{ open: number; unclosed: number; lost: number }, []>(
        `SELECT (SELECT count(*) FROM holds WHERE id NOT IN (SELECT hold FROM ends)) AS open,
           (SELECT count(*) FROM holds WHERE facts IS NOT NULL) AS unclosed,
           (SELECT count(*) FROM ends WHERE ended IN ('crashed', 'expired')) AS lost`,
      )
      .get()!;
  } finally {
    rmSync(copy, { recursive: true });
  }
}
