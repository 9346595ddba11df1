// Whether a file is in the history of a git repository: a key that was committed stays there, whatever is deleted now.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

export interface GitPlace {
  /** The folder that holds `.git`. */
  readonly repository: string;
  /** Undefined: git could not tell. */
  readonly committed: boolean | undefined;
}

const patienceMs = 5_000;

/** Null: it lies in no repository. */
export function gitPlaceOf(file: string, env: Readonly<Record<string, string | undefined>>): GitPlace | null {
  const repository = repositoryOf(dirname(file));
  return repository === null ? null : { repository, committed: wasCommitted(repository, file, env) };
}

function repositoryOf(folder: string): string | null {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (dirname(at) === at) return null;
  }
}

/**
 * `rev-list` reads commits and runs nothing that a repository's own settings name (pagers, filters, signature checks, file
 * monitors), and may fetch nothing either.
 */
function wasCommitted(
  repository: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): boolean | undefined {
  try {
    const { exitCode, stdout } = Bun.spawnSync(
      ["git", "-c", "core.fsmonitor=false", "-C", repository, "rev-list", "--all", "--max-count=1", "--", file],
      {
        env: {
          PATH: env["PATH"] ?? "",
          HOME: env["HOME"] ?? "",
          GIT_NO_LAZY_FETCH: "1",
          GIT_ALLOW_PROTOCOL: "none",
          GIT_OPTIONAL_LOCKS: "0",
        },
        stdin: "ignore",
        stderr: "ignore",
        timeout: patienceMs,
      },
    );
    return exitCode === 0 ? stdout.length > 0 : undefined;
  } catch {
    // There is no git here.
    return undefined;
  }
}
