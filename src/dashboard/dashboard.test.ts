import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { StandingClock } from "../layers/audit/sample-facts.ts";
import { DashboardAccess, cookieName } from "./access.ts";
import { createDashboard, dashboardPaths, type DashboardParts } from "./dashboard.ts";
import type { TrailQuery } from "./trail-search.ts";

function newStage(some: Partial<DashboardParts> = {}) {
  let seed = 0;
  const access = new DashboardAccess({
    clock: new StandingClock(0),
    randomBytes: (size) => new Uint8Array(size).fill(++seed),
    load: () => undefined,
    save: () => undefined,
  });
  const asked: TrailQuery[] = [];
  const dashboard = createDashboard({
    access,
    requireToken: (headers) => {
      if (headers.get("authorization") !== "Bearer good") throw new GatewayError("IDENTITY_REQUIRED");
    },
    watch: async function* () {
      yield '{"now":"…"}';
    },
    history: () => ({ reading: false, hours: [], days: [], months: [] }),
    search: async (query) => {
      asked.push(query);
      return { lines: ['{"seq":2}', '{"seq":1}'], next: null, searched: 2, reachedMs: 0 };
    },
    find: async (seq) =>
      seq === 1 ? { line: '{"seq":1}', seq, hash: "sha256:aa", linksBack: null, linksOn: true } : null,
    assets: async () => ({ script: "let page;", style: "body{}", version: "v1" }),
    ...some,
  });
  const get = async (path: string, open = true, headers: Record<string, string> = {}): Promise<Response> =>
    dashboard.answer(path.replace(/\?.*/, ""), new Request(`http://x${path}`, { headers }), open);
  return { access, dashboard, asked, get };
}

async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

const data = dashboardPaths.filter((path) => path === "/dashboard/events" || path.startsWith("/dashboard/api/"));

describe("the page", () => {
  test("runs nothing but its own script, in no frame, and is kept by no cache", async () => {
    const response = await newStage().get("/dashboard");
    const policy = response.headers.get("content-security-policy")!;
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ]) {
      expect(policy.split("; ")).toContain(rule);
    }
    expect(policy).not.toContain("unsafe");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-frame-options")).toBe("DENY");
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  });

  test("names nothing outside of the gateway, and holds no script and no style itself", async () => {
    const html = await (await newStage().get("/dashboard")).text();
    const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]!.slice(0, 11));
    expect([...new Set(addresses)].sort()).toEqual(["/dashboard/", "/stats", "data:image/"]);
    expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]* src=)/);
  });

  test("is told again only when it has changed: its parts have a mark of their version", async () => {
    const { get } = newStage();
    const first = await get("/dashboard/app.js");
    expect([first.status, await first.text(), first.headers.get("etag")]).toEqual([200, "let page;", '"v1"']);
    const again = await get("/dashboard/app.js", true, { "if-none-match": '"v1"' });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    expect((await get("/dashboard/app.css")).headers.get("content-type")).toStartWith("text/css");
  });

  test("is found with a slash behind it, too", async () => {
    const { get } = newStage();
    const page = await get("/dashboard/");
    expect([page.status, await page.text()]).toEqual([200, await (await get("/dashboard")).text()]);
  });
});

describe("who may look", () => {
  test("is everybody where the gateway is open", async () => {
    const { get } = newStage();
    expect((await get("/dashboard")).status).toBe(200);
    for (const path of data) expect(await codeOf(get(`${path}?seq=1`))).toBe("none");
  });

  test("is elsewhere who has a session or a token; everybody else is told how to get in, and nothing more", async () => {
    const { get, access } = newStage();
    const locked = await get("/dashboard", false);
    expect([locked.status, locked.headers.get("www-authenticate")]).toEqual([401, null]);
    expect(await locked.text()).toContain("sanctum dashboard");
    const session = access.redeem(access.invite())!;
    const entries: Record<string, string>[] = [
      { cookie: `${cookieName}=${session}` },
      { authorization: "Bearer good" },
    ];
    for (const path of data) {
      expect([path, await codeOf(get(`${path}?seq=1`, false))]).toEqual([path, "IDENTITY_REQUIRED"]);
      for (const headers of entries) expect(await codeOf(get(`${path}?seq=1`, false, headers))).toBe("none");
    }
    for (const headers of entries) expect((await get("/dashboard", false, headers)).status).toBe(200);
  });

  test("gets in by a link, which leaves the address bar at once and works no second time", async () => {
    const { get, access } = newStage();
    const link = `/dashboard/open?code=${access.invite()}`;
    const first = await get(link, false);
    expect([first.status, first.headers.get("location")]).toEqual([303, "/dashboard"]);
    const cookie = first.headers.get("set-cookie")!.split(";")[0]!;
    expect((await get("/dashboard", false, { cookie })).status).toBe(200);
    const second = await get(link, false);
    expect([second.status, second.headers.get("set-cookie")]).toEqual([403, null]);
    expect(await second.text()).toContain("used already");
  });

  test("a program that only looks whether a link is there does not use it up", async () => {
    const { access, dashboard, get } = newStage();
    const link = `/dashboard/open?code=${access.invite()}`;
    const looked = await dashboard.answer("/dashboard/open", new Request(`http://x${link}`, { method: "HEAD" }), false);
    expect(looked.headers.get("set-cookie")).toBeNull();
    expect((await get(link, false)).status).toBe(303);
  });
});

describe("what the page reads", () => {
  test("is the lines as they stand, with where to go on", async () => {
    const { get, asked } = newStage();
    const response = await get("/dashboard/api/requests?agent=windu&before=9");
    expect(await response.json()).toEqual({
      entries: [{ seq: 2 }, { seq: 1 }],
      next: null,
      searched: 2,
      reached: "1970-01-01T00:00:00.000Z",
    });
    expect(asked).toMatchObject([{ agent: "windu", before: 9 }]);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("is one line with its links; one that is not there is 404", async () => {
    const { get } = newStage();
    const found = await get("/dashboard/api/request?seq=1");
    expect(await found.json()).toEqual({ line: '{"seq":1}', hash: "sha256:aa", links_back: null, links_on: true });
    expect(await codeOf(get("/dashboard/api/request?seq=2"))).toBe("DOOR_PATH");
    expect(await codeOf(get("/dashboard/api/request"))).toBe("REQUEST_INVALID");
  });

  test("is read by two at a time; a few wait for their turn, and the rest is turned away", async () => {
    const gates: (() => void)[] = [];
    let running = 0;
    let most = 0;
    const { get } = newStage({
      search: async () => {
        most = Math.max(most, ++running);
        const { promise, resolve } = Promise.withResolvers<void>();
        gates.push(resolve);
        await promise;
        running--;
        return { lines: [], next: null, searched: 0, reachedMs: null };
      },
    });
    const all = Array.from({ length: 18 }, () => codeOf(get("/dashboard/api/requests")));
    expect(await codeOf(get("/dashboard/api/requests"))).toBe("DOOR_BUSY");
    for (let done = 0; done < 18; done++) {
      while (gates.length === 0) await Promise.resolve();
      gates.shift()!();
    }
    expect(await Promise.all(all)).toEqual(Array(18).fill("none"));
    expect([most, running]).toEqual([2, 0]);
  });

  test("too many watchers are told so", async () => {
    expect(await codeOf(newStage({ watch: () => null }).get("/dashboard/events"))).toBe("DOOR_BUSY");
  });
});
