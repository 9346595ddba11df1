import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { loadConfigApart } from "./load-apart.ts";
import { loadConfig } from "./load.ts";
import { readConfigText } from "./read-file.ts";

const home = { home: "/h", localTimezone: "UTC" };
let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-apart-"));
  file = join(folder, "config.yaml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const good = "agents: { windu: { daily_usd: 1.25 } }\nproviders: { den: { url: http://10.0.0.1/v1, local: true } }\n";
const faulty = "timezon: UTC\nagents: { windu: { daily_usd: .nan } }\n";

describe("loading with the check in another process", () => {
  test("gives what loading in this one gives", async () => {
    for (const text of [good, faulty, "", "a: [", "# ä\n"]) {
      writeFileSync(file, text);
      expect(await loadConfigApart(file, home)).toEqual(loadConfig(file, home));
    }
  });

  test("gives the faults of the file beside those of its text", async () => {
    writeFileSync(file, faulty);
    const source = {
      ...readConfigText(file),
      faults: [{ file, line: 1, column: 1, keyPath: "", problem: "p", remedy: "r" }],
    };
    expect(await loadConfigApart(file, home, source)).toEqual(loadConfig(file, home, source));
  });

  test("needs no process for a file that is empty or missing", async () => {
    const loaded = await loadConfigApart(file, home, undefined, ["/there/is/no/such/program"]);
    expect("config" in loaded && [...loaded.config.agents.keys()]).toEqual(["default"]);
  });

  test.each([
    ["can't be started", ["/there/is/no/such/program"]],
    ["fails", ["/bin/sh", "-c", "exit 3"]],
    ["says nothing", ["/bin/sh", "-c", "exit 0"]],
    ["says something else", ["/bin/sh", "-c", "echo null"]],
    ["says something that is no answer", ["/bin/sh", "-c", "echo '{}'"]],
  ])("is done in this one where the other %s", async (_, command) => {
    for (const text of [good, faulty]) {
      writeFileSync(file, text);
      expect(await loadConfigApart(file, home, undefined, command)).toEqual(loadConfig(file, home));
    }
  });

  test("keeps parser and schema out of this process", async () => {
    writeFileSync(file, good);
    const script = `
      const { loadConfigApart } = await import(${JSON.stringify(join(import.meta.dir, "load-apart.ts"))});
      await import(${JSON.stringify(join(import.meta.dir, "watch.ts"))});
      await import(${JSON.stringify(join(import.meta.dir, "generations.ts"))});
      const loaded = await loadConfigApart(${JSON.stringify(file)}, { home: "/h" });
      const modules = [...Loader.registry.keys()];
      console.log("config" in loaded, modules.some((name) => /node_modules.(yaml|valibot)/.test(name)));`;
    const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
    expect(await child.stdout.text()).toBe("true false\n");
  });
});
