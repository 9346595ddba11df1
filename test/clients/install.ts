// The clients are large (about a gigabyte with the agents' native programs), so they come only when somebody asks for them.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const clientsFolder = import.meta.dir;

/** Installs what the lock file names, where it is not there yet; no install script of any package runs. */
export async function installClients(): Promise<void> {
  const stamp = join(clientsFolder, "node_modules", ".sanctum-setup");
  const want = String(Bun.hash(readFileSync(join(clientsFolder, "package-lock.json"))));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === want) return;
  console.log("installing the clients (once, about a gigabyte)");
  const child = Bun.spawn(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: clientsFolder,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if ((await child.exited) !== 0) throw new Error("npm ci failed in test/clients");
  writeFileSync(stamp, want);
}

/** The version that is installed, of a package or of an alias in package.json. */
export function versionOf(packageName: string): string {
  const manifest = JSON.parse(
    readFileSync(join(clientsFolder, "node_modules", packageName, "package.json"), "utf8"),
  ) as {
    readonly version: string;
  };
  return manifest.version;
}
