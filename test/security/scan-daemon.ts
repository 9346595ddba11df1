// The daemon as `sanctum start` runs it, with two things that the product has not: a keychain of the test's own (a folder
// with a file for each entry, where the system's would be asked), and on SIGUSR2 an image of its heap. An entry `!never`
// is waited for in vain, any other behind a `!` is the code of the error that the system's keychain gives.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runStart } from "../../src/cli/start.ts";
import { heapStrings } from "./heap-strings.ts";

const home = process.env["SANCTUM_HOME"]!;
const keychain = process.env["SCAN_KEYCHAIN"]!;

Object.defineProperty(Bun, "secrets", {
  value: {
    get: async ({ name }: { name: string }): Promise<string | null> => {
      const file = join(keychain, name);
      if (!existsSync(file)) return null;
      const entry = readFileSync(file, "utf8");
      if (entry === "!never") await new Promise(() => undefined);
      if (entry.startsWith("!")) throw Object.assign(new Error("the stand-in says no"), { code: entry.slice(1) });
      return entry;
    },
  },
});

process.on("SIGUSR2", () => {
  writeFileSync(join(process.env["SCAN_HEAP"]!, "heap.txt"), heapStrings());
  process.stdout.write("heap written\n");
});

await runStart({
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isTty: false,
  atTerminal: false,
  env: process.env,
  home,
  configFile: join(home, "sanctum-proxy/config.yaml"),
});
