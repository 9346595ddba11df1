// The trail, the ledger and the statistics of a gateway after thousands of failures.

import type { Io } from "../../src/cli/io.ts";
import { reconcileCommand } from "../../src/cli/reconcile.ts";
import { loadSettings } from "../../src/cli/settings.ts";
import { eventually, faultsOfChain, type AuditLine, type Gateway } from "../harness.ts";

export interface Books {
  /** By the request's id. */
  readonly lines: ReadonlyMap<string, AuditLine>;
  /** What is wrong. */
  readonly told: readonly string[];
}

const patienceMs = 20_000;

/** Waits until the trail has `count` lines. */
export async function checkBooks(gateway: Gateway, count: number): Promise<Books> {
  await eventually(async () => {
    const { in_flight, audit } = await gateway.stats();
    if (in_flight > 0 || audit.entries < count) throw new Error(`${in_flight} in flight, ${audit.entries} of ${count}`);
  }, patienceMs);
  const text = gateway.auditText();
  const lines = text.map((line) => JSON.parse(line) as AuditLine);
  const told = faultsOfChain(text);
  if (lines.length !== count) told.push(`${lines.length} lines of ${count} requests`);
  const { agents, ledger } = await gateway.stats();
  if (ledger.fault !== null || ledger.exceeded > 0) told.push(`ledger: ${JSON.stringify(ledger)}`);
  for (const [name, { held_usd, spent_usd }] of Object.entries(agents)) {
    const usd = lines.filter(({ agent }) => agent === name).reduce((sum, line) => sum + line.usd, 0);
    if (held_usd !== 0) told.push(`${name}: ${held_usd} USD are still held`);
    // Each line is rounded to a millionth.
    if (Math.abs(spent_usd - usd) > count * 0.5e-6) told.push(`${name}: ${spent_usd} USD spent, ${usd} by the trail`);
  }
  await eventually(async () => {
    const report = await reconciled(gateway);
    if (!report.agree || report.ledger.requests_in_progress > 0)
      throw new Error(JSON.stringify(report).slice(0, 2_000));
  }, patienceMs).catch((error: unknown) => told.push(`reconcile: ${String(error)}`));
  return { lines: new Map(lines.map((line) => [line.id, line])), told };
}

interface Report {
  readonly agree: boolean;
  readonly ledger: { readonly requests_in_progress: number };
}

async function reconciled({ home, configFile }: Gateway): Promise<Report> {
  let out = "";
  const io: Io = { out: (text) => void (out += text), err: () => undefined, isTty: false, env: {}, home, configFile };
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  await reconcileCommand(io, { settings: () => loadSettings(io), clock }).parseAsync(["--json"], { from: "user" });
  process.exitCode = 0;
  return JSON.parse(out) as Report;
}
