import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { memoryFiles } from "../../test/fakes/memory-files.ts";
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
    ["answers and then fails", ["/bin/sh", "-c", `echo '{"content":{}}'; exit 1`]],
    ["says nothing", ["/bin/sh", "-c", "exit 0"]],
    ["says something else", ["/bin/sh", "-c", "echo null"]],
    ["says something that is no answer", ["/bin/sh", "-c", "echo '{}'"]],
  ])("is done in this one where the other %s", async (_, command) => {
    for (const text of [good, faulty]) {
      writeFileSync(file, text);
      expect(await loadConfigApart(file, home, undefined, command)).toEqual(loadConfig(file, home));
    }
  });

  test("leaves no copy of the file open", async () => {
    writeFileSync(file, good);
    const before = memoryFiles();
    await loadConfigApart(file, home);
    expect(memoryFiles()).toEqual(before);
  });

  test("keeps parser and schema out of this process", () => {
    for (const entry of ["load-apart.ts", "watch.ts", "generations.ts", "../cli/agents.ts", "../cli/check.ts"]) {
      const reached = packagesOf(join(import.meta.dir, entry));
      expect([entry, reached.has("yaml") || reached.has("valibot")]).toEqual([entry, false]);
    }
    expect([...packagesOf(join(import.meta.dir, "load.ts"))]).toEqual(expect.arrayContaining(["yaml", "valibot"]));
  });
});

/** What is imported as soon as `entry` is, directly or not. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set([entry]);
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  for (const module of seen) {
    for (const { kind, path } of transpiler.scanImports(readFileSync(module, "utf8"))) {
      if (kind !== "import-statement") continue;
      if (path.startsWith(".")) seen.add(join(dirname(module), path));
      else packages.add(path);
    }
  }
  return packages;
}
