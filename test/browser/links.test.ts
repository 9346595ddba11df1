// Promise: off an open loopback address the dashboard is seen by whoever was handed a link, once, and by nobody else; and no
// other page in the same browser gets anything of it.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { createAdminClient } from "../../src/admin/admin-client.ts";
import { systemClock, systemRandom, type Clock } from "../../src/clock.ts";
import { Daemon } from "../../src/daemon/daemon.ts";
import { tokenOf } from "../harness.ts";
import { openBrowser } from "./chromium.ts";
import { shown, visit } from "./visit.ts";

setDefaultTimeout(60_000);

let browser: Browser;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  browser = await openBrowser();
});

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

afterAll(async () => {
  await browser.close();
});

interface Stage {
  readonly url: string;
  readonly home: string;
  /** From here on it is so much later. */
  readonly later: (ms: number) => void;
  /** As the command line has it made. */
  readonly link: () => Promise<string>;
  readonly restart: () => Promise<void>;
}

/** A gateway in this process, whose clock can be put forward. */
async function newStage(access: "token" | "loopback" = "token"): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  const configFile = join(home, "sanctum-proxy/config.yaml");
  mkdirSync(join(home, "sanctum-proxy"), { mode: 0o700 });
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const listen = `127.0.0.1:${probe.port}`;
  await probe.stop(true);
  const config = { listen, stats: { access }, agents: { windu: { daily_usd: 1, tokens: [tokenOf("windu").hash] } } };
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 });
  let ahead = 0;
  const clock: Clock = { now: () => systemClock.now() + ahead, monotonic: () => systemClock.monotonic() + ahead };
  const start = (): Promise<Daemon> =>
    Daemon.start({ home, configFile, clock, random: systemRandom, report: () => undefined });
  let daemon = await start();
  ends.push(() => daemon.stop(0));
  const url = `http://${listen}`;
  return {
    url,
    home,
    later: (ms) => {
      ahead += ms;
    },
    link: async () => {
      const answer = await createAdminClient(join(home, "run/admin.sock")).post("/dashboard/invite");
      return `${url}/dashboard/open?code=${(JSON.parse(answer) as { code: string }).code}`;
    },
    restart: async () => {
      await daemon.stop(0);
      daemon = await start();
    },
  };
}

const turnedAway = /status of 40[13]/;

describe("a link", () => {
  test("opens the page once; its code does not stay in the address bar or in what is read", async () => {
    const { link, url } = await newStage();
    const address = await link();
    await using first = await visit(browser, { url: address });
    await shown(first.page);
    expect(first.page.url()).toBe(`${url}/dashboard`);
    expect(await first.page.evaluate("document.cookie")).toBe("");
    expect(first.complaints).toEqual([]);
    await first.page.reload();
    await shown(first.page);

    await using second = await visit(browser, { url: address, expected: turnedAway });
    await second.page.getByRole("heading", { name: "A link is needed" }).waitFor();
    expect(await second.page.context().cookies()).toEqual([]);
    expect(second.complaints).toEqual([]);
  });

  test("is what `sanctum dashboard --print` prints", async () => {
    const { home, url } = await newStage();
    const child = Bun.spawn(["sh", join(import.meta.dir, "../../bin/sanctum"), "dashboard", "--print"], {
      cwd: home,
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: home, SANCTUM_HOME: home },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [here] = (await new Response(child.stdout).text()).split("\n");
    expect(await child.exited).toBe(0);
    expect(here).toStartWith(`${url}/dashboard/open?code=`);
    await using visited = await visit(browser, { url: here! });
    await shown(visited.page);
    expect(visited.complaints).toEqual([]);
  });

  test("works no more after two minutes", async () => {
    const { link, later } = await newStage();
    const address = await link();
    later(120_000);
    await using visited = await visit(browser, { url: address, expected: turnedAway });
    await visited.page.getByText("older than two minutes").waitFor();
  });

  test("leaves a cookie for the dashboard alone, which no script and no other site can use", async () => {
    const { link } = await newStage();
    await using visited = await visit(browser, { url: await link() });
    await shown(visited.page);
    const cookies = await visited.page.context().cookies();
    expect(cookies).toMatchObject([{ httpOnly: true, sameSite: "Strict", path: "/dashboard" }]);
  });

  test("is good for thirty days, also over a restart of the gateway; then the page says what to do", async () => {
    const { link, later, restart, url } = await newStage();
    const expected = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY|ERR_CONNECTION_RESET|ERR_NETWORK|status of 401/;
    await using visited = await visit(browser, { url: await link(), expected });
    const { page } = visited;
    await shown(page);
    await restart();
    await page.reload();
    await shown(page);
    later(30 * 24 * 3_600_000);
    await restart();
    await page.locator(".state.locked").waitFor();
    await page.getByText("This browser's link has ended").waitFor();
    expect(visited.complaints).toEqual([]);
    const answer = await fetch(`${url}/dashboard/events`);
    expect(answer.status).toBe(401);
  });

  test("can be taken back: sessions end when they are revoked", async () => {
    const { link, home, url } = await newStage();
    await using visited = await visit(browser, { url: await link(), expected: turnedAway });
    await shown(visited.page);
    const answer = await createAdminClient(join(home, "run/admin.sock")).post("/dashboard/revoke");
    expect(JSON.parse(answer)).toEqual({ ended: 1 });
    await visited.page.goto(`${url}/dashboard`);
    await visited.page.getByRole("heading", { name: "A link is needed" }).waitFor();
  });
});

describe("without a link", () => {
  test("nothing is seen where `stats.access` is `token`, but by an agent's token", async () => {
    const { url } = await newStage();
    await using visited = await visit(browser, { url: `${url}/dashboard`, expected: turnedAway });
    await visited.page.getByText("whoever holds a link").waitFor();
    const paths = [
      "/dashboard",
      "/dashboard/events",
      "/dashboard/api/history",
      "/dashboard/api/requests",
      "/dashboard/api/request?seq=1",
    ];
    for (const path of paths) {
      const answer = await fetch(`${url}${path}`);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.text()).not.toContain("windu");
    }
    const { token } = tokenOf("windu");
    const history = await fetch(`${url}/dashboard/api/history`, { headers: { authorization: `Bearer ${token}` } });
    expect(history.status).toBe(200);
  });

  test("a made-up code or cookie opens nothing", async () => {
    const { url } = await newStage();
    for (const code of ["", "x", "A".repeat(43), "A".repeat(5_000)]) {
      const answer = await fetch(`${url}/dashboard/open?code=${code}`, { redirect: "manual" });
      expect([answer.status, answer.headers.get("set-cookie")]).toEqual([403, null]);
    }
    const headers = { cookie: `sanctum_dashboard=${"A".repeat(43)}` };
    expect((await fetch(`${url}/dashboard/api/history`, { headers })).status).toBe(401);
  });
});

describe("another page in the same browser", () => {
  test("reads nothing, embeds nothing and leads nowhere, also with the cookie there", async () => {
    const stage = await newStage("loopback");
    const html = `<!doctype html><title>other</title><script>${intrusion(stage.url)}</script>`;
    const headers = { "content-type": "text/html" };
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(html, { headers }) });
    ends.push(() => other.stop(true));
    await using visited = await visit(browser, { url: await stage.link(), expected: /./ });
    const { page } = visited;
    await shown(page);
    await page.goto(`http://127.0.0.1:${other.port}/`);
    const came = await page.evaluate<{ tried: string[]; inside: string; script: string }>("came");
    // An opaque answer tells a page nothing, not even its status.
    expect(came.tried.filter((one) => !one.endsWith(" no-cors opaque "))).toEqual([]);
    expect(came).toMatchObject({ inside: "closed", script: "refused" });
  });

  test("gets in under no name of its own, to whatever address it leads", async () => {
    const { url } = await newStage("loopback");
    const rebound = await openBrowser(["--host-resolver-rules=MAP evil.example 127.0.0.1"]);
    ends.push(() => rebound.close());
    const page = await rebound.newPage();
    const answer = await page.goto(`http://evil.example:${new URL(url).port}/dashboard`);
    expect(answer!.status()).toBe(421);
    expect(await page.content()).not.toContain("app.js");
  });
});

/** What a page of another origin can try with the gateway at `url`; the promise `came` tells what it got. */
function intrusion(url: string): string {
  return `
    const gateway = ${JSON.stringify(url)};
    const paths = ["/dashboard", "/dashboard/events", "/dashboard/api/requests", "/dashboard/app.js", "/stats"];
    async function read(path, mode) {
      try {
        const answer = await fetch(gateway + path, { mode, credentials: "include" });
        return path + " " + mode + " " + answer.type + " " + (answer.type === "opaque" ? "" : await answer.text());
      } catch {
        return null;
      }
    }
    function ended(element, address) {
      return new Promise((resolve) => {
        element.addEventListener("load", () => resolve("loaded"));
        element.addEventListener("error", () => resolve("refused"));
        element.src = address;
        document.documentElement.append(element);
      });
    }
    globalThis.came = (async () => {
      const all = paths.flatMap((path) => ["cors", "no-cors"].map((mode) => read(path, mode)));
      const tried = (await Promise.all(all)).filter((one) => one !== null);
      const frame = document.createElement("iframe");
      await ended(frame, gateway + "/dashboard");
      const inside = frame.contentDocument === null ? "closed" : frame.contentDocument.body.innerHTML;
      return { tried, inside, script: await ended(document.createElement("script"), gateway + "/dashboard/app.js") };
    })();`;
}
