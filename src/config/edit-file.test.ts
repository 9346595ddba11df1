import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { addAgent } from "./edit-agents.ts";
import { editConfig } from "./edit-file.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-edit-"));
  file = join(folder, "config.yaml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const append = (line: string) => (text: string) => ({ text: `${text}${line}\n` });

describe("an edit", () => {
  test("creates the file 0600 in a folder 0700 where there is none", async () => {
    file = join(folder, "a", "b", "config.yaml");
    expect(await editConfig(file, append("timezone: UTC"))).toEqual({ done: true });
    expect(readFileSync(file, "utf8")).toBe("timezone: UTC\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "a", "b")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, "a", "b"))).toEqual(["config.yaml"]);
  });

  test("is a new file under the old name, with the old mode", async () => {
    writeFileSync(file, "# mine\n");
    chmodSync(file, 0o644);
    const before = statSync(file).ino;
    await editConfig(file, append("timezone: UTC"));
    expect(readFileSync(file, "utf8")).toBe("# mine\ntimezone: UTC\n");
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(statSync(file).ino).not.toBe(before);
  });

  test("through a symbolic link changes the file behind it and leaves the link", async () => {
    mkdirSync(join(folder, "dotfiles"));
    const target = join(folder, "dotfiles", "sanctum.yaml");
    writeFileSync(target, "");
    symlinkSync(target, file);
    await editConfig(file, append("timezone: UTC"));
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(readFileSync(target, "utf8")).toBe("timezone: UTC\n");
  });

  test("of a faulty file, or one that would make it faulty, writes nothing", async () => {
    writeFileSync(file, "timezon: UTC\n");
    expect(await editConfig(file, append("# x"))).toHaveProperty("faults");
    expect(readFileSync(file, "utf8")).toBe("timezon: UTC\n");
    writeFileSync(file, "");
    expect(await editConfig(file, append("bogus: 1"))).toHaveProperty("faults");
    expect(await editConfig(file, () => ({ problem: "no" }))).toEqual({ problem: "no" });
    expect(readFileSync(file, "utf8")).toBe("");
    expect(readdirSync(folder)).toEqual(["config.yaml"]);
  });

  test("that breaks down leaves the file and no lock", async () => {
    writeFileSync(file, "# mine\n");
    const broken = editConfig(file, () => {
      throw new Error("broken");
    });
    await broken.then(
      () => expect.unreachable(),
      (error: unknown) => expect(String(error)).toContain("broken"),
    );
    expect(readFileSync(file, "utf8")).toBe("# mine\n");
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  test("waits for another one, so that neither is lost", async () => {
    writeFileSync(file, "");
    const names = ["a", "b", "c", "d"];
    const script = `
      import { addAgent } from ${JSON.stringify(join(import.meta.dir, "edit-agents.ts"))};
      import { editConfig } from ${JSON.stringify(join(import.meta.dir, "edit-file.ts"))};
      const [file, name, digit] = process.argv.slice(-3);
      const agent = { name, dailyUsd: 1, tokenHash: "sha256:" + digit.repeat(64) };
      const result = await editConfig(file, (text) => addAgent(text, agent));
      process.exit("done" in result ? 0 : 1);`;
    const children = names.map((name, index) =>
      Bun.spawn([process.execPath, "-e", script, file, name, String(index)], { stderr: "inherit" }),
    );
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0, 0]);
    for (const name of names) expect(readFileSync(file, "utf8")).toContain(`  ${name}: {`);
  });

  test("gives up on a lock that stays, and says which file it is", async () => {
    writeFileSync(`${file}.lock`, "");
    const agent = { name: "a", dailyUsd: 1, tokenHash: `sha256:${"1".repeat(64)}` };
    const result = await editConfig(file, (text) => addAgent(text, agent));
    expect("problem" in result && result.problem).toContain(`${file}.lock`);
    expect(existsSync(`${file}.lock`)).toBe(true);
    expect(existsSync(file)).toBe(false);
  });
});
