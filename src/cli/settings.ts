// What reports need of the configuration. They look back: a faulty file must not keep anybody from reading the books.

import { join } from "node:path";
import type { Config } from "../config/types.ts";
import type { Io } from "./io.ts";

export interface Settings {
  /** The configured audit file. */
  readonly auditFile: string;
  /** The zone of the budget's days, an IANA name. */
  readonly timezone: string;
  /** Null: the file has faults, and what stands here is what holds without one. */
  readonly config: Config | null;
}

export async function loadSettings(io: Io): Promise<Settings> {
  const { loadConfig } = await import("../config/load.ts");
  const loaded = loadConfig(io.configFile, { home: io.home });
  if ("config" in loaded) {
    const { config } = loaded;
    return { auditFile: config.audit.file, timezone: config.timezone, config };
  }
  return {
    auditFile: join(io.home, "logs/cloud-proxy-audit.jsonl"),
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    config: null,
  };
}

/** The provider behind a name of the configuration; null: it is none. */
export function aliasedProvider(config: Config | null): (candidate: string) => string | null {
  return (candidate) => config?.models.get(candidate)?.provider ?? null;
}
