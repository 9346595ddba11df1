// `/dashboard`: a page to look at, and what it reads. Nothing here changes anything but who may look.

import { GatewayError } from "../errors.ts";
import { eventStream, type Watch } from "../server/event-stream.ts";
import type { Pages } from "../server/operations.ts";
import { sessionCookie, type DashboardAccess } from "./access.ts";
import type { HistoryDocument } from "./history.ts";
import { htmlHeaders, lockedPage, shellPage } from "./shell.ts";
import { parseSeq, parseTrailQuery } from "./trail-query.ts";
import type { TrailPage, TrailPlace, TrailQuery } from "./trail-search.ts";

export interface DashboardParts {
  readonly access: DashboardAccess;
  /** Throws IDENTITY_* where the caller has no valid token. */
  readonly requireToken: (headers: Headers) => void;
  /** The page's document now and after each change. */
  readonly watch: Watch;
  readonly history: () => HistoryDocument;
  readonly search: (query: TrailQuery) => Promise<TrailPage>;
  readonly find: (seq: number) => Promise<TrailPlace | null>;
  readonly assets: () => Promise<Assets>;
}

/** What the browser runs, made by `npm run dashboard`. */
export interface Assets {
  readonly script: string;
  readonly style: string;
  /** Of both: a page that was left open over an upgrade loads itself anew. */
  readonly version: string;
}

export const dashboardPaths = [
  "/dashboard",
  "/dashboard/",
  "/dashboard/open",
  "/dashboard/app.js",
  "/dashboard/app.css",
  "/dashboard/events",
  "/dashboard/api/history",
  "/dashboard/api/requests",
  "/dashboard/api/request",
] as const;

const json = { "content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff" };
/** Searches that read at the same time, and such that wait for their turn. */
const MAX_SEARCHES = 2;
const MAX_WAITING = 16;

/** The paths are open to whoever the gateway's `/stats` is open to, to a session of a link, and to an agent's token. */
export function createDashboard(parts: DashboardParts): Pages {
  const turns = new Turns();
  const handlers: Readonly<Record<string, (request: Request) => Response | Promise<Response>>> = {
    "/dashboard/events": (request) => eventStream(parts.watch, request.signal),
    "/dashboard/api/history": () => Response.json(parts.history(), { headers: json }),
    "/dashboard/api/requests": (request) =>
      turns.take(async () => pageOf(await parts.search(parseTrailQuery(queryOf(request))))),
    "/dashboard/api/request": (request) =>
      turns.take(async () => placeOf(await parts.find(parseSeq(queryOf(request).get("seq"))))),
  };
  // What it is made of is no secret, and the page that says "locked" needs its style.
  const assets: Readonly<Record<string, (assets: Assets) => { text: string; type: string }>> = {
    "/dashboard/app.js": ({ script }) => ({ text: script, type: "text/javascript; charset=utf-8" }),
    "/dashboard/app.css": ({ style }) => ({ text: style, type: "text/css; charset=utf-8" }),
  };
  const mayLook = (request: Request, open: boolean): boolean => {
    if (open || parts.access.admits(request.headers)) return true;
    try {
      parts.requireToken(request.headers);
      return true;
    } catch (error) {
      if (error instanceof GatewayError) return false;
      throw error;
    }
  };
  return {
    paths: dashboardPaths,
    streams: ["/dashboard/events"],
    async answer(path, request, open) {
      if (path === "/dashboard/open") return redeem(parts.access, request);
      const asset = assets[path];
      if (asset !== undefined) {
        const loaded = await parts.assets();
        return assetOf(asset(loaded), loaded.version, request);
      }
      if (path === "/dashboard" || path === "/dashboard/") {
        const { version } = await parts.assets();
        if (!mayLook(request, open)) return htmlOf(lockedPage("needed"), 401);
        return htmlOf(shellPage(version), 200);
      }
      if (!mayLook(request, open)) throw new GatewayError("IDENTITY_REQUIRED");
      return handlers[path]!(request);
    },
  };
}

/** The code leaves the address bar with this answer. It is used up by it, whatever becomes of the answer. */
function redeem(access: DashboardAccess, request: Request): Response {
  // A link that is only looked at must stay good.
  if (request.method === "HEAD") return htmlOf("", 200);
  const session = access.redeem(queryOf(request).get("code") ?? "");
  if (session === null) return htmlOf(lockedPage("used"), 403);
  return new Response(null, {
    status: 303,
    headers: {
      location: "/dashboard",
      "set-cookie": sessionCookie(session, request.url.startsWith("https:")),
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    },
  });
}

function htmlOf(text: string, status: number): Response {
  return new Response(text, { status, headers: htmlHeaders });
}

function assetOf({ text, type }: { text: string; type: string }, version: string, request: Request): Response {
  const etag = `"${version}"`;
  const headers = {
    "content-type": type,
    etag,
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
  };
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  return new Response(text, { headers });
}

/** The lines are JSON already. */
function pageOf({ lines, next, searched, reachedMs }: TrailPage): Response {
  const reached = reachedMs === null ? null : new Date(reachedMs).toISOString();
  const rest = JSON.stringify({ next, searched, reached });
  return new Response(`{"entries":[${lines.join(",")}],${rest.slice(1)}`, { headers: json });
}

function placeOf(place: TrailPlace | null): Response {
  if (place === null) throw new GatewayError("DOOR_PATH", { publicMessage: "The trail has no such line (any more)." });
  const { line, hash, linksBack, linksOn } = place;
  return Response.json({ line, hash, links_back: linksBack, links_on: linksOn }, { headers: json });
}

/** Taken apart by hand: the runtime puts any Host into `url`, also one that no URL can have. */
function queryOf({ url }: Request): URLSearchParams {
  const at = url.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : url.slice(at + 1).replace(/#.*$/s, ""));
}

/** So that searches share the disk and the processor with the requests, and do not fill the memory. */
class Turns {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_SEARCHES) {
      if (this.#waiting.length >= MAX_WAITING) throw new GatewayError("DOOR_BUSY");
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    } else this.#running++;
    try {
      return await run();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
