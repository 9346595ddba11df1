// `npm run dashboard`: makes src/dashboard/built.json from src/dashboard/page. It is kept in the repository, so that the
// gateway starts without a bundler, and the page's libraries are no packages that run with it. A test holds both together.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";

const root = join(import.meta.dir, "..");
const page = join(root, "src/dashboard/page");
const target = join(root, "src/dashboard/built.json");
/** What is inside of the script, under terms that ask for their text to go along. */
const libraries = ["preact", "@preact/signals", "@preact/signals-core", "uplot"];

/** What the file holds. */
export async function buildDashboard(): Promise<string> {
  const script = licences() + (await bundled(join(page, "main.tsx")));
  const style = await bundled(join(page, "style.css"));
  const version = createHash("sha256").update(script).update(style).digest("hex").slice(0, 16);
  return format(JSON.stringify({ version, style, script }), { parser: "json" });
}

async function bundled(entry: string): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  if (outputs.length !== 1) throw new Error(`${entry}: ${outputs.length} files were made of it, not 1`);
  return outputs[0]!.text();
}

function licences(): string {
  const texts = libraries.map((name) => {
    const folder = join(root, "node_modules", name);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
    return `${name} ${version}\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}`;
  });
  return `/*!\nThis script holds:\n\n${texts.join("\n\n").replaceAll("*/", "* /")}\n*/\n`;
}

if (import.meta.main) {
  const text = await buildDashboard();
  writeFileSync(target, text);
  console.log(`src/dashboard/built.json: ${(text.length / 1024).toFixed(0)} KB`);
}
