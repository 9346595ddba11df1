import { cleanEnvironment, dangersIn, maxRequests, reexecuteClean } from "./environment.ts";
import type { Io } from "./io.ts";
import { exitFailed, Refusal } from "./refusal.ts";

/**
 * For commands that send a key: by the rules of the gateway. Throws a Refusal where the environment would make the runtime
 * show it. Where the environment names a proxy, which the runtime would send the key through, the process replaces itself
 * without it; so this comes before anything is read.
 */
export function checkEnvironment(io: Io): void {
  const dangers = dangersIn(io.env);
  if (dangers.length > 0) throw new Refusal(exitFailed, dangers.join("\nsanctum: "));
  // The limit of `fetch` alone is no reason: a command has a few calls at most.
  const { changed } = cleanEnvironment({ ...io.env, BUN_CONFIG_MAX_HTTP_REQUESTS: maxRequests });
  if (changed) reexecuteClean(() => undefined);
}
