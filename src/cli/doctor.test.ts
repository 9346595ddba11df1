import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { doctorCommand, textOf, type Diagnosis } from "./doctor.ts";
import { keychainWith } from "./doctor/sample-scene.ts";
import type { Io } from "./io.ts";
import { SampleLinux } from "./service/sample-linux.ts";

let home = "";
let out = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sanctum-doctor-"));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  process.exitCode = 0;
});

/** Runs it where no gateway runs; its exit code. */
async function doctor(env: Record<string, string>, ...words: string[]): Promise<number> {
  out = "";
  process.exitCode = 0;
  const io: Io = {
    out: (text) => void (out += text),
    err: () => undefined,
    isTty: false,
    env: { ...env, SANCTUM_HOME: home },
    home,
    configFile: join(home, "sanctum-proxy/config.yaml"),
  };
  // A user who is not the one of the home, so that the machine's own state is not what is looked at.
  const system = Object.assign(new SampleLinux(), { uid: process.getuid?.() ?? 0, env });
  const command = doctorCommand(io, { system, keychain: keychainWith({}), keychainLocked: async () => null, now: 0 });
  await command
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parseAsync(words, { from: "user" });
  return process.exitCode;
}

describe("without a gateway that runs", () => {
  test("it tells what it can as JSON, and never says hardened", async () => {
    await doctor({}, "--json");
    const diagnosis = JSON.parse(out) as Diagnosis;
    expect(diagnosis).toMatchObject({
      mode: "same-user",
      hardened: false,
      gateway: { running: false, pid: null, home },
    });
    expect(diagnosis.findings.map(({ check }) => check)).toContain("boundary.mode");
  });

  test("a problem ends it with 1", async () => {
    expect(await doctor({ OPENAI_API_KEY: "sk-secret" }, "--json")).toBe(1);
    expect(out).not.toContain("sk-secret");
  });

  test("so does a requirement that does not hold", async () => {
    expect(await doctor({}, "--require", "hardened", "--json")).toBe(1);
    expect(await doctor({}, "--require", "softened").catch((error: { exitCode: number }) => error.exitCode)).toBe(1);
  });
});

const sample: Diagnosis = {
  ok: false,
  mode: "same-user",
  hardened: false,
  gateway: { running: true, pid: 7, user: "x", uid: 1_000, home: "/h", service: null },
  findings: [
    {
      check: "boundary.mode",
      level: "note",
      found: "It is you.",
      means: "So it is.",
      remedy: "be another",
      hardening: true,
    },
    { check: "reach.vault", level: "note", found: "You can read the vault.", remedy: "be another", hardening: true },
    { check: "reach.memory", level: "ok", found: "You can't read its memory.", hardening: true },
    { check: "keys.environment", level: "problem", found: "A key is there.", remedy: "take it out", hardening: true },
  ],
};

test("for people it is a list under headings, with each remedy once and the verdict at the end", () => {
  expect(textOf(sample, false)).toBe(`Who it is
  note    It is you.
          So it is.
          → be another

What a program that runs as you can do to it
  note    You can read the vault.
  ok      You can't read its memory.

Keys outside of it
  problem A key is there.
          → take it out

Not hardened: it is the same user as your agents. 1 problem, 2 notes.
`);
});

test("hardened is said in one place, and only where it holds", () => {
  expect(textOf({ ...sample, hardened: true, ok: true, mode: "separate-user" }, false)).toContain("\nHardened: ");
  expect(textOf({ ...sample, mode: "separate-user" }, false)).toContain("\nNot hardened: see above");
});
