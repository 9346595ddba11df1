import { existsSync, linkSync, renameSync, rmSync } from "node:fs";

/**
 * Stops a server whose Unix socket's name is another process's by now, and keeps the name: the runtime removes it. Undefined:
 * there is nothing to keep.
 */
export async function keepingName(path: string | undefined, stop: () => Promise<void>): Promise<void> {
  if (path === undefined || !existsSync(path)) return stop();
  const kept = `${path}.kept`;
  rmSync(kept, { force: true });
  linkSync(path, kept);
  const stopped = stop();
  renameSync(kept, path);
  // Where the name was not removed both names are the same file, and the rename did nothing (rename(2)).
  rmSync(kept, { force: true });
  return stopped;
}
