// `npm run build`: one executable file, dist/sanctum, that needs nothing beside it.

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const outfile = join(root, "dist/sanctum");
mkdirSync(join(root, "dist"), { recursive: true });

const child = Bun.spawn(
  [
    process.execPath,
    "build",
    join(root, "src/main.ts"),
    "--compile",
    "--minify-syntax",
    "--minify-whitespace",
    // A hostile working directory must not configure the daemon.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    "--compile-exec-argv=--smol",
    `--outfile=${outfile}`,
  ],
  { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
);
const code = await child.exited;
if (code === 0) {
  chmodSync(outfile, 0o755);
  console.log(`dist/sanctum: ${(statSync(outfile).size / 1e6).toFixed(1)} MB`);
}
process.exitCode = code;
