import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveAdmin, type AdminActions } from "../admin/admin-server.ts";
import { dashboardCommand, openerOf, type DashboardCommandParts } from "./dashboard.ts";
import type { Io } from "./io.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
  process.exitCode = 0;
});

interface Ran {
  readonly out: string;
  readonly err: string;
  readonly code: number;
  readonly opened: readonly string[];
}

/** `addresses`: none runs where absent. */
async function run(
  words: readonly string[],
  addresses?: readonly string[],
  { open = true, browser = true, network = [] as readonly string[] } = {},
): Promise<Ran> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-cli-"));
  mkdirSync(join(home, "run"));
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  if (addresses !== undefined) {
    let codes = 0;
    const server = serveAdmin(join(home, "run/admin.sock"), {
      addresses: () => addresses,
      dashboard: { isOpen: () => open, invite: () => `code-${++codes}`, revokeAll: () => 3 },
    } as Partial<AdminActions> as AdminActions);
    ends.push(() => server[Symbol.asyncDispose]());
  }
  const seen = { out: "", err: "" };
  const io: Io = {
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    isTty: false,
    env: {},
    home,
    configFile: join(home, "c.yaml"),
  };
  const opened: string[] = [];
  const parts: DashboardCommandParts = {
    open: async (url) => {
      if (browser) opened.push(url);
      return browser;
    },
    networkAddresses: () => network,
  };
  process.exitCode = 0;
  await dashboardCommand(io, parts)
    .exitOverride()
    .parseAsync([...words], { from: "user" });
  return { ...seen, code: Number(process.exitCode), opened };
}

const here = "http://127.0.0.1:4040";

describe("sanctum dashboard", () => {
  test("opens the page as it is where everybody on loopback may look", async () => {
    const { out, opened, code } = await run([], [here]);
    expect([opened, out, code]).toEqual([[`${here}/dashboard`], `opened ${here}/dashboard in the browser\n`, 0]);
  });

  test("opens it by a link elsewhere, and does not print the code", async () => {
    const { out, err, opened } = await run([], [here], { open: false });
    expect(opened).toEqual([`${here}/dashboard/open?code=code-1`]);
    expect(out + err).not.toContain("code-1");
  });

  test("prints the link where there is no browser", async () => {
    const { out, err, code } = await run([], [here], { open: false, browser: false });
    expect([out, code]).toEqual([`${here}/dashboard/open?code=code-1\n`, 0]);
    expect(err).toContain("no browser here");
    expect(err).toContain("once, for two minutes");
  });

  test("--print opens nothing and has a link for each address, this machine's first", async () => {
    const { out, opened } = await run(["--print"], ["https://10.0.0.5:4040", "unix:/run/s.sock", here]);
    expect(opened).toEqual([]);
    expect(out).toBe(`${here}/dashboard\nhttps://10.0.0.5:4040/dashboard/open?code=code-1\n`);
  });

  test("a listener on all addresses is reached over each, and is open on none", async () => {
    const { out } = await run(["--print"], ["http://0.0.0.0:4040"], { network: ["192.168.1.7"] });
    expect(out).toBe(`${here}/dashboard/open?code=code-1\nhttp://192.168.1.7:4040/dashboard/open?code=code-2\n`);
  });

  test("--json is the links, and whether each works once", async () => {
    const { out } = await run(["--json"], [here, "http://10.0.0.5:4040"]);
    expect(JSON.parse(out)).toEqual([
      { url: `${here}/dashboard`, once: false },
      { url: "http://10.0.0.5:4040/dashboard/open?code=code-1", once: true },
    ]);
  });

  test("--revoke ends what links have opened", async () => {
    expect((await run(["--revoke"], [here])).out).toBe("3 sessions have ended\n");
    expect(JSON.parse((await run(["--revoke", "--json"], [here])).out)).toEqual({ ended: 3 });
  });

  test("says what to do where no browser can get in, or nothing runs", async () => {
    const socket = await run([], ["unix:/run/s.sock"]);
    expect([socket.code, socket.out]).toEqual([1, ""]);
    expect(socket.err).toContain("`listen`");
    const nothing = await run([]);
    expect([nothing.code, nothing.err]).toEqual([1, expect.stringContaining("sanctum start")]);
  });
});

test("a browser is opened by the desktop's own program, and only where there is a desktop", () => {
  const has =
    (...names: string[]) =>
    (program: string) =>
      names.includes(program) ? program : null;
  expect(openerOf("darwin", {}, has())).toEqual(["open"]);
  expect(openerOf("linux", { DISPLAY: ":0" }, has("xdg-open"))).toEqual(["xdg-open"]);
  expect(openerOf("linux", { WAYLAND_DISPLAY: "wayland-0" }, has("xdg-open"))).toEqual(["xdg-open"]);
  expect(openerOf("linux", {}, has("xdg-open"))).toBeNull();
  expect(openerOf("linux", { DISPLAY: ":0" }, has())).toBeNull();
  expect(openerOf("linux", { WSL_DISTRO_NAME: "Debian" }, has("wslview"))).toEqual(["wslview"]);
});
