// `npm run generate`: writes docs/reference from the source. `npm run generate -- --check` writes nothing and ends with 1
// where a file is not what it would write.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { referencePages } from "./reference/pages.ts";

const folder = join(import.meta.dir, "../docs/reference");
const check = process.argv.includes("--check");

/** What is in the folder now; empty where it does not exist. */
function present(): Map<string, string> {
  if (!existsSync(folder)) return new Map();
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

const made = referencePages();
const there = present();
const changed = [...made].filter(([name, text]) => there.get(name) !== text).map(([name]) => name);
const surplus = [...there.keys()].filter((name) => !made.has(name));

if (!check) mkdirSync(folder, { recursive: true });
for (const name of changed) {
  if (!check) writeFileSync(join(folder, name), made.get(name)!);
  console.log(`docs/reference/${name}: ${check ? "is not what the source says; run `npm run generate`" : "written"}`);
}
for (const name of surplus) console.log(`docs/reference/${name}: is not made by the generator; remove it`);
if (surplus.length > 0 || (check && changed.length > 0)) process.exitCode = 1;
else if (changed.length === 0) console.log("docs/reference is up to date");
