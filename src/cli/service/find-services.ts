// Which services `install` has made on this machine, read from their definitions.

import { join } from "node:path";
import { launchLabel, readPlist } from "./launchd-plist.ts";
import type { InstalledService } from "./service-plan.ts";
import type { System } from "./system.ts";
import { readUnit, unitName } from "./systemd-unit.ts";

/** Where the definition of each mode lies. */
export function definitionFile(
  system: Pick<System, "platform" | "homeFolder" | "env">,
  mode: InstalledService["mode"],
): string {
  if (system.platform === "darwin") {
    const name = `${launchLabel}.plist`;
    return mode === "separate-user"
      ? join("/Library/LaunchDaemons", name)
      : join(system.homeFolder, "Library/LaunchAgents", name);
  }
  if (mode === "separate-user") return join("/etc/systemd/system", unitName);
  // XDG Base Directory Specification.
  const config = system.env["XDG_CONFIG_HOME"] || join(system.homeFolder, ".config");
  return join(config, "systemd/user", unitName);
}

/** The one of this mode; null: there is none. `foreign`: a file of that name that somebody else made. */
export function findService(
  system: Pick<System, "platform" | "homeFolder" | "env" | "read">,
  mode: InstalledService["mode"],
): InstalledService | "foreign" | null {
  const file = definitionFile(system, mode);
  const text = system.read(file);
  if (text === null) return null;
  const found = system.platform === "darwin" ? readPlist(text) : readUnit(text);
  if (found === null || (mode === "separate-user") !== (found.user !== null)) return "foreign";
  return { mode, file, ...found };
}

/** Both, the separate user's first. */
export function findServices(system: Parameters<typeof findService>[0]): InstalledService[] {
  return (["separate-user", "same-user"] as const).flatMap((mode) => {
    const found = findService(system, mode);
    return found === null || found === "foreign" ? [] : [found];
  });
}
