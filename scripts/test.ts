// `npm test`: format, lint, types, then all tests. Last line: `N passed, N failed`. A skipped test counts as failed.
// `npm test -- NAME…` runs only the test files whose path holds one of the names.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const names = process.argv.slice(2);
/** Ends a test that hangs; the usual five seconds also end sound ones on a busy machine. */
const patienceMs = 60_000;
let passed = 0;
let failed = 0;

async function run(title: string, command: readonly string[], env: Record<string, string> = {}): Promise<number> {
  console.log(`\n=== ${title}`);
  const child = Bun.spawn([...command], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return child.exited;
}

async function check(title: string, command: readonly string[]): Promise<void> {
  if ((await run(title, command)) === 0) passed++;
  else {
    failed++;
    console.log(`FAILED: ${title}`);
  }
}

/** Counts from the JUnit report, which names skipped tests too. */
function count(report: string): { tests: number; failures: number; skipped: number } {
  const head = /<testsuites[^>]*>/.exec(report)?.[0] ?? "";
  const read = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? "0");
  return { tests: read("tests"), failures: read("failures"), skipped: read("skipped") };
}

async function tests(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  const outfile = join(folder, "report.xml");
  const reporter = ["--reporter=junit", `--reporter-outfile=${outfile}`];
  const command = [process.execPath, "test", `--timeout=${patienceMs}`, ...reporter, ...names];
  const code = await run("tests", command, { NO_COLOR: "1" });
  const result = existsSync(outfile) ? count(readFileSync(outfile, "utf8")) : { tests: 0, failures: 0, skipped: 0 };
  rmSync(folder, { recursive: true, force: true });
  const bad = result.failures + result.skipped;
  passed += result.tests - bad;
  failed += bad;
  if (result.skipped > 0) console.log(`FAILED: ${result.skipped} tests were skipped`);
  // A runner that dies (or finds no test) must not look like success.
  if ((code !== 0 && bad === 0) || result.tests === 0) {
    failed++;
    console.log(`FAILED: the test runner ended with ${code} after ${result.tests} tests`);
  }
}

/** A script with a set-up of its own; its last line is `N passed, N failed`. */
async function script(title: string, command: readonly string[]): Promise<void> {
  console.log(`\n=== ${title}`);
  const child = Bun.spawn([...command], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const output = await new Response(child.stdout).text();
  console.log(output.trimEnd());
  const line = /(\d+) passed, (\d+) failed\s*$/.exec(output.trimEnd());
  if (line === null || (await child.exited) !== 0) failed += Math.max(1, Number(line?.[2] ?? 0));
  else failed += Number(line[2]);
  passed += Number(line?.[1] ?? 0);
}

const bin = (name: string): string => join(root, "node_modules/.bin", name);
if (names.length === 0) {
  await check("format", ["node", bin("prettier"), "--check", "--log-level=warn", "."]);
  await check("lint", ["node", bin("oxlint"), "--type-aware", "--deny-warnings"]);
  await check("types", ["node", bin("tsc"), "--noEmit"]);
  // What runs in a browser has other types.
  await check("types of the dashboard's page", ["node", bin("tsc"), "-p", "src/dashboard/page"]);
}
await tests();
if (names.length === 0 || names.some((name) => "keychain".includes(name))) {
  await script("keychain (a real Secret Service)", ["sh", "test/keychain.sh"]);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
