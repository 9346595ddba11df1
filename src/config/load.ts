// Reading in three steps: the text with its file's permissions; the check; the build.

import { buildConfig } from "./build.ts";
import type { Surroundings } from "./build.ts";
import { checkConfig } from "./check.ts";
import type { CheckOptions } from "./check.ts";
import { readConfigText } from "./read-file.ts";
import type { ConfigText } from "./read-file.ts";
import type { ConfigFile } from "./schema.ts";
import type { Config, Fault } from "./types.ts";

export interface Environment extends Surroundings, CheckOptions {}

/**
 * The configuration in `file`, or all its faults. A missing or empty file is the default configuration. `source` is a text
 * read before (by `watchConfig`), so that a save in progress can't slip in between. Never throws.
 */
export function loadConfig(
  file: string,
  environment: Environment,
  source: ConfigText = readConfigText(file),
): { config: Config } | { faults: Fault[] } {
  const checked = checkSource(file, source, environment);
  return "faults" in checked ? checked : { config: buildConfig(checked.content, file, environment) };
}

/** The first two steps, which touch nothing: for `sanctum check`. */
export function checkConfigFile(file: string, options: CheckOptions = {}): { exists: boolean; faults: Fault[] } {
  const source = readConfigText(file);
  const checked = checkSource(file, source, options);
  return { exists: source.exists, faults: "faults" in checked ? checked.faults : [] };
}

function checkSource(
  file: string,
  source: ConfigText,
  options: CheckOptions,
): { content: ConfigFile } | { faults: Fault[] } {
  const checked = checkConfig(source.text, file, options);
  if (source.faults.length === 0) return checked;
  return { faults: [...source.faults, ...("faults" in checked ? checked.faults : [])] };
}
