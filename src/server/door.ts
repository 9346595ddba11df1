// Who may knock: a web page in the user's browser and a name that was rebound to this address are turned away before
// anything else is looked at.

import { GatewayError } from "../errors.ts";

export interface Door {
  /** Throws DOOR_HOST or DOOR_ORIGIN. */
  check(headers: Headers): void;
}

/**
 * `authorities` are the addresses that are listened on, as `host:port`, lower case; null for a Unix socket, which has no
 * name, so that every Host is right. `names` are the configured host names, which are accepted with any port, since a
 * reverse proxy or port mapping may stand in front.
 */
export function createDoor(authorities: readonly string[] | null, names: readonly string[]): Door {
  const hosts = new Set<string>();
  for (const authority of authorities ?? []) {
    const port = authority.slice(authority.lastIndexOf(":") + 1);
    hosts.add(authority).add(authority.slice(0, authority.lastIndexOf(":")));
    hosts.add(`localhost:${port}`).add("localhost");
  }
  const named = new Set(names.map((name) => name.toLowerCase()));
  const isOurs = (host: string): boolean => hosts.has(host) || named.has(host.replace(/:\d{1,5}$/, ""));

  return {
    check(headers) {
      // Repeated Host headers arrive joined by a comma, which no name contains.
      const host = headers.get("host")?.toLowerCase();
      if (authorities !== null && (host === undefined || !isOurs(host))) throw new GatewayError("DOOR_HOST");
      const origin = headers.get("origin");
      if (origin !== null && !isOurs(origin.toLowerCase().replace(/^https?:\/\//, "")))
        throw new GatewayError("DOOR_ORIGIN");
      const site = headers.get("sec-fetch-site");
      if (site !== null && site !== "none" && site !== "same-origin") throw new GatewayError("DOOR_ORIGIN");
      // Node's fetch says `cors` by itself; only a page can say `no-cors`.
      if (headers.get("sec-fetch-mode") === "no-cors") throw new GatewayError("DOOR_ORIGIN");
    },
  };
}
