import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { assert, constantFrom, property, string } from "fast-check";
import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needProgram } from "../../../test/debian-package.ts";
import type { SameUser } from "./service-plan.ts";
import { readUnit, systemUnit, unitName, userUnit } from "./systemd-unit.ts";

const linux = process.platform === "linux";
const separate = systemUnit({ mode: "separate-user", user: "sanctum", program: { kind: "file", path: "/x" } });
/** What the best sandbox without an address list reaches; 10 is none. The next one up would be a directive that fell out. */
const worstScore = 1.3;

let folder = "";
beforeAll(() => {
  if (linux) needProgram("systemd-analyze", "the test of the unit's sandbox", "systemd");
  folder = mkdtempSync(join(tmpdir(), "sanctum-unit-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function inFile(name: string, text: string): string {
  const file = join(folder, name, unitName);
  mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(file, text);
  return file;
}

function settings(unit: string): Map<string, string> {
  return new Map([...unit.matchAll(/^([A-Za-z]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

/** Its exposure as `systemd-analyze security` rates it, 0 to 10. */
function score(unit: string, name: string): number {
  const { stdout, stderr } = Bun.spawnSync(["systemd-analyze", "security", "--offline=true", inFile(name, unit)]);
  const told = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout.toString());
  if (told === null) throw new Error(stderr.toString());
  return Number(told[1]);
}

describe("the unit of a user of its own", () => {
  test("is rated 1.3 or better by systemd-analyze security, and worse without its sandbox", () => {
    if (!linux) return;
    expect(score(separate, "whole")).toBeLessThanOrEqual(worstScore);
    expect(score(separate.replaceAll(/^(?:Protect|Private).*\n/gm, ""), "less")).toBeGreaterThan(worstScore);
  });

  test("is understood by systemd without a word", () => {
    if (!linux) return;
    const { stderr } = Bun.spawnSync(["systemd-analyze", "verify", inFile("verified", separate)]);
    // The program is put there by the installation.
    const said = stderr.toString().split("\n");
    expect(said.filter((line) => line !== "" && !line.includes("/opt/sanctum/bin/sanctum is not executable"))).toEqual(
      [],
    );
  });

  test("leaves no image of its memory on a disk: no core dump and no swap", () => {
    const of = settings(separate);
    expect([of.get("LimitCORE"), of.get("MemorySwapMax")]).toEqual(["0", "0"]);
  });

  test("gives a stop longer than running streams may take, and does not try a faulty configuration again", () => {
    const of = settings(separate);
    expect(Number(of.get("TimeoutStopSec"))).toBeGreaterThan(30);
    expect([of.get("KillSignal"), of.get("Restart"), of.get("RestartPreventExitStatus")]).toEqual([
      "SIGTERM",
      "on-failure",
      "78",
    ]);
    expect([of.get("StartLimitBurst"), of.get("StartLimitIntervalSec")]).toEqual(["5", "60"]);
    expect(of.get("ExecReload")).toBe("/bin/kill -HUP $MAINPID");
  });

  test("lets the runtime compile, and talk to the internet, to local sockets and to the list of addresses", () => {
    const of = settings(separate);
    expect(of.has("MemoryDenyWriteExecute")).toBe(false);
    expect(of.get("RestrictAddressFamilies")!.split(" ").sort()).toEqual([
      "AF_INET",
      "AF_INET6",
      "AF_NETLINK",
      "AF_UNIX",
    ]);
  });

  test("names its user, its folder and its vault's passphrase, and is read back", () => {
    expect(separate).toContain("\nStateDirectory=sanctum\nStateDirectoryMode=0700\n");
    expect(separate).toContain("\nLoadCredentialEncrypted=sanctum-vault-passphrase\n");
    expect(readUnit(separate)).toEqual({
      user: "sanctum",
      home: "/var/lib/sanctum/.sanctum",
      command: "/opt/sanctum/bin/sanctum start",
    });
  });
});

function ofHome(home: string, path = "/x"): SameUser {
  return { mode: "same-user", home, configFile: null, program: { kind: "file", path } };
}

describe("the unit of the same user", () => {
  test("starts with the session, limits core dumps, and puts up no sandbox that would break key commands", () => {
    const of = settings(userUnit(ofHome("/home/me/.sanctum")));
    expect([of.get("WantedBy"), of.get("LimitCORE"), of.get("UMask")]).toEqual(["default.target", "0", "0077"]);
    expect([of.has("NoNewPrivileges"), of.has("User")]).toEqual([false, false]);
  });

  test("runs a checkout by its own launcher, with the configuration that was named", () => {
    const program = { kind: "checkout", root: "/home/me/sanctum proxy", bun: "/b" } as const;
    const unit = userUnit({ mode: "same-user", home: "/h", configFile: "/home/me/50 %$.yaml", program });
    expect(settings(unit).get("ExecStart")).toBe(
      '/bin/sh "/home/me/sanctum proxy/bin/sanctum" start --config "/home/me/50 %%$$.yaml"',
    );
  });

  test("is read back whatever the name of the folder is, and systemd reads the same", () => {
    const name = string({ unit: constantFrom(..." abc%$\"'\\;#=é".split("")), maxLength: 12 });
    assert(
      property(name, (text) => {
        expect(readUnit(userUnit(ofHome(`/h${text}x`)))?.home).toBe(`/h${text}x`);
      }),
    );
    if (!linux) return;
    const odd = userUnit(ofHome(`/h a%n"b\\c'd;#`));
    const { stderr } = Bun.spawnSync(["systemd-analyze", "verify", "--user", inFile("odd", odd)]);
    expect(
      stderr
        .toString()
        .split("\n")
        .filter((line) => /Environment|assignment|specifier|quot/i.test(line)),
    ).toEqual([]);
  });
});

test("systemctl enables both where they are wanted", () => {
  if (!linux) return;
  const root = join(folder, "root");
  mkdirSync(join(root, "etc/systemd/system"), { recursive: true });
  writeFileSync(join(root, "etc/systemd/system", unitName), separate);
  const { exitCode } = Bun.spawnSync(["systemctl", `--root=${root}`, "enable", unitName]);
  expect(exitCode).toBe(0);
  const link = join(root, "etc/systemd/system/multi-user.target.wants", unitName);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
});

test("a unit that somebody else wrote is not taken for ours", () => {
  expect(readUnit("[Service]\nUser=sanctum\nEnvironment=SANCTUM_HOME=/x\n")).toBe(null);
});
