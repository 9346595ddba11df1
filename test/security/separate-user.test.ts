// Promise: a gateway with a user of its own is out of its agents' reach, and `sanctum doctor` says what is not, in this mode
// and in the other. An agent is played by a program that tries everything for real, under another user and under the same.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Diagnosis } from "../../src/cli/doctor.ts";
import { eventually } from "../harness.ts";

setDefaultTimeout(60_000);

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Only root can start programs as somebody else. */
const canSwitch = process.getuid?.() === 0 && Bun.which("setpriv") !== null;
const gatewayUid = canSwitch ? 61_234 : process.getuid!();
const agentUid = 61_235;
const linux = process.platform === "linux";

let folder = "";
let program = "";
let home = "";
let configFile = "";
let daemon: Bun.Subprocess<"ignore", "pipe", "pipe">;

/** Words that run as this user. */
function as(uid: number): string[] {
  return canSwitch ? ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"] : [];
}

function environment(more: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: folder, SANCTUM_HOME: home, ...more };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startDaemon(): Promise<void> {
  // As generous with core dumps as a machine can be.
  const words = [...as(gatewayUid), "sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$0" start', program];
  daemon = Bun.spawn(words, { cwd: home, env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  for await (const bytes of daemon.stdout) if (Buffer.from(bytes).includes("/stats")) return;
  throw new Error(`the gateway did not start: ${await daemon.stderr.text()}`);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-users-"));
  chmodSync(folder, 0o755);
  program = join(folder, "sanctum");
  const build = Bun.spawnSync([process.execPath, join(root, "scripts/build.ts"), program], { cwd: root });
  if (build.exitCode !== 0) throw new Error(build.stderr.toString());
  home = join(folder, "home");
  configFile = join(home, "sanctum-proxy/config.yaml");
  mkdirSync(join(home, "sanctum-proxy"), { recursive: true, mode: 0o700 });
  writeFileSync(configFile, `listen: 127.0.0.1:${await freePort()}\n`, { mode: 0o600 });
  for (const path of [home, join(home, "sanctum-proxy"), configFile]) {
    chmodSync(path, path === configFile ? 0o600 : 0o700);
    if (canSwitch) chownSync(path, gatewayUid, gatewayUid);
  }
  writeFileSync(join(folder, "agent.ts"), agent, { mode: 0o644 });
  writeFileSync(join(folder, "passphrase"), "correct horse battery", { mode: 0o644 });
  const script = 'printf sk-ant-api03-canary-0123456789 | "$0" keys set anthropic --stdin 3<"$1"';
  const set = Bun.spawnSync([...as(gatewayUid), "sh", "-c", script, program, join(folder, "passphrase")], {
    cwd: home,
    env: environment({ SANCTUM_VAULT_PASSPHRASE_FD: "3" }),
  });
  if (set.exitCode !== 0) throw new Error(set.stderr.toString());
  await startDaemon();
});

afterAll(() => {
  daemon?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** What the agent does; each attempt is the real thing. It says of each `possible` or `refused`. */
const agent = `
import { appendFileSync, openSync, readFileSync, readSync } from "node:fs";
import { Database } from "bun:sqlite";
import { dlopen } from "bun:ffi";
const [home, configFile, pid] = [Bun.argv[2], Bun.argv[3], Number(Bun.argv[4])];
const libc = process.platform === "linux"
  ? dlopen("libc.so.6", { ptrace: { args: ["i64", "i32", "usize", "usize"], returns: "i64" } }).symbols : null;
const attempts = {
  "reach.vault": () => readFileSync(home + "/vault.age"),
  "reach.ledger": () => {
    const ledger = new Database(home + "/state/ledger.sqlite", { readwrite: true, create: false });
    ledger.exec("PRAGMA busy_timeout = 0");
    ledger.close();
  },
  "reach.audit": () => appendFileSync(home + "/logs/cloud-proxy-audit.jsonl", ""),
  "reach.config": () => appendFileSync(configFile, "# an agent was here\\n"),
  "reach.admin": async () => {
    const answer = await fetch("http://sanctum/stats", { unix: home + "/run/admin.sock" });
    if (!answer.ok) throw new Error();
  },
  "reach.environ": () => readFileSync("/proc/" + pid + "/environ"),
  "reach.memory": () => {
    const stack = /^([0-9a-f]+)-[0-9a-f]+ .*\\[stack\\]$/m.exec(readFileSync("/proc/" + pid + "/maps", "utf8"));
    readSync(openSync("/proc/" + pid + "/mem", "r"), new Uint8Array(8), 0, 8, Number.parseInt(stack[1], 16));
  },
  // PTRACE_SEIZE, ptrace(2); it does not stop the process.
  "ptrace": () => { if (libc.ptrace(0x4206, pid, 0, 0) !== 0n && Number(libc.ptrace(0x4206, pid, 0, 0)) !== 0) throw new Error(); },
  "reach.signal": () => process.kill(pid, "SIGWINCH"),
};
const outcomes = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try { await attempt(); outcomes[name] = "possible"; } catch { outcomes[name] = "refused"; }
}
console.log(JSON.stringify(outcomes));
process.exit(0);
`;

type Outcomes = Record<string, "possible" | "refused">;

/** What an agent of this user gets. */
function attempt(uid: number): Outcomes {
  const words = [...as(uid), program, join(folder, "agent.ts"), home, configFile, String(daemon.pid)];
  // The one-file program is the runtime too.
  const { stdout, stderr } = Bun.spawnSync(words, { cwd: folder, env: environment({ BUN_BE_BUN: "1" }) });
  if (stdout.length === 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString()) as Outcomes;
}

function doctor(uid: number, ...words: string[]): { code: number; diagnosis: Diagnosis } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...as(uid), program, "doctor", "--json", ...words], {
    cwd: folder,
    env: environment(),
  });
  if (stdout.length === 0) throw new Error(stderr.toString());
  return { code: exitCode, diagnosis: JSON.parse(stdout.toString()) as Diagnosis };
}

/** What doctor says of the same attempts. */
function saidBy({ findings }: Diagnosis): Outcomes {
  const reach = findings.filter(({ check }) => check.startsWith("reach."));
  return Object.fromEntries(reach.map(({ check, level }) => [check, level === "ok" ? "refused" : "possible"]));
}

const everything = ["vault", "ledger", "audit", "config", "admin", "environ", "memory", "signal"].map(
  (one) => `reach.${one}`,
);

describe("an agent of another user", () => {
  test("gets nothing: no vault, no ledger, no trail, no configuration, no socket, no environment, no memory, no trace", () => {
    if (!canSwitch || !linux) return;
    expect(attempt(agentUid)).toEqual({
      ...Object.fromEntries(everything.map((one) => [one, "refused"])),
      ptrace: "refused",
    } as Outcomes);
  });

  test("is told so by doctor, which calls the gateway hardened only where every check of it holds", () => {
    if (!canSwitch || !linux) return;
    const { code, diagnosis } = doctor(agentUid);
    expect(saidBy(diagnosis)).toEqual(Object.fromEntries(everything.map((one) => [one, "refused"])) as Outcomes);
    expect(diagnosis).toMatchObject({ mode: "separate-user", gateway: { uid: gatewayUid, pid: daemon.pid } });
    // Whether this machine swaps, and what listens beside, is the machine's.
    const against = diagnosis.findings.filter(({ level, hardening }) => hardening && level !== "ok");
    expect(against.filter(({ check }) => check !== "memory.swap")).toEqual([]);
    expect(diagnosis.hardened).toBe(against.length === 0);
    expect(code).toBe(diagnosis.ok ? 0 : 1);
    expect(doctor(agentUid, "--require", "hardened").code).toBe(diagnosis.hardened ? 0 : 1);
  });

  test("gets what somebody left open, and doctor names it and says hardened no more", () => {
    if (!canSwitch || !linux) return;
    const opened = [home, join(home, "sanctum-proxy"), join(home, "state"), join(home, "run")];
    try {
      for (const path of opened) chmodSync(path, 0o755);
      chmodSync(configFile, 0o666);
      chmodSync(join(home, "vault.age"), 0o644);
      chmodSync(join(home, "run/admin.sock"), 0o666);
      const got = attempt(agentUid);
      expect(Object.keys(got).filter((one) => got[one] === "possible")).toEqual([
        "reach.vault",
        "reach.config",
        "reach.admin",
      ]);
      const { code, diagnosis } = doctor(agentUid);
      expect([code, diagnosis.hardened, diagnosis.ok]).toEqual([1, false, false]);
      const { ptrace: _, ...asked } = got;
      expect(saidBy(diagnosis)).toEqual(asked);
      const told = diagnosis.findings.filter(({ check }) => check === "files.modes").map(({ remedy }) => remedy);
      expect(told).toContain(`chmod go-w ${configFile}`);
      expect(told).toContain(`chmod go-rwx ${join(home, "vault.age")}`);
    } finally {
      for (const path of opened) chmodSync(path, 0o700);
      chmodSync(configFile, 0o600);
      chmodSync(join(home, "vault.age"), 0o600);
      chmodSync(join(home, "run/admin.sock"), 0o600);
    }
  });
});

describe("an agent of the same user", () => {
  test("gets what doctor says that it gets: files and socket, and not the memory of the running process", () => {
    const got = attempt(gatewayUid);
    const { ptrace, ...asked } = got;
    const { diagnosis } = doctor(gatewayUid);
    if (linux) {
      // Root may trace everything, and the test may be run by root without another user to be.
      if (gatewayUid !== 0)
        expect([got["reach.environ"], got["reach.memory"], ptrace]).toEqual(["refused", "refused", "refused"]);
      expect(saidBy(diagnosis)).toEqual(asked);
    }
    for (const one of ["vault", "ledger", "audit", "config", "admin", "signal"])
      expect(asked[`reach.${one}`]).toBe("possible");
  });

  test("is told so: the mode is named, nothing is called hardened, and who requires it gets exit code 1", () => {
    const { diagnosis } = doctor(gatewayUid);
    expect([diagnosis.mode, diagnosis.hardened]).toEqual(["same-user", false]);
    expect(doctor(gatewayUid, "--require", "hardened").code).toBe(1);
    const mode = diagnosis.findings.find(({ check }) => check === "boundary.mode");
    expect(mode?.remedy).toContain("sanctum service install --user sanctum");
  });
});

/** Files that a core dump can be, below `path`. */
function coresIn(path: string): string[] {
  return readdirSync(path).filter((name) => /^core(?:\.\d+)?$/.test(name));
}

test("a crash leaves no core dump, however generous the machine is with them", async () => {
  const pattern = linux ? readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim() : "";
  if (pattern === "core") {
    // That this machine would leave one is seen on another program.
    const other = join(folder, "other");
    mkdirSync(other, { mode: 0o777 });
    chmodSync(other, 0o777);
    const crash = "ulimit -c unlimited 2>/dev/null && kill -SEGV $$";
    Bun.spawnSync([...as(gatewayUid), "sh", "-c", crash], { cwd: other, env: environment() });
    expect(coresIn(other).length).toBe(1);
  }
  daemon.kill("SIGSEGV");
  await daemon.exited;
  expect(daemon.exitCode).not.toBe(0);
  expect(coresIn(home)).toEqual([]);
  await startDaemon();
  await eventually(() => expect(existsSync(join(home, "run/admin.sock"))).toBe(true));
});
