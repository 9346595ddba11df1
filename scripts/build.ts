// `npm run build`: one executable file, dist/sanctum, that needs nothing beside it. Another place may be named:
// `sh bin/bun scripts/build.ts FILE`.

import { chmodSync, mkdirSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = join(import.meta.dir, "..");
const outfile = resolve(process.argv[2] ?? join(root, "dist/sanctum"));
mkdirSync(dirname(outfile), { recursive: true });

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
  console.log(`${relative(root, outfile)}: ${(statSync(outfile).size / 1e6).toFixed(1)} MB`);
}
process.exitCode = code;
