// `sanctum dashboard`: the page in the browser, or a link to it.

import { networkInterfaces } from "node:os";
import { Command } from "commander";
import type { Io } from "./io.ts";
import { exitFailed, Refusal } from "./refusal.ts";
import { adminOf, orFail } from "./remote.ts";

/** What the command touches beside `Io`; tests bring their own. */
export interface DashboardCommandParts {
  /** Shows the address in a browser; false: there is none, or it did not start. */
  readonly open?: (url: string) => Promise<boolean>;
  /** Addresses of this machine in its network. */
  readonly networkAddresses?: () => readonly string[];
}

interface Options {
  readonly print?: boolean;
  readonly revoke?: boolean;
  readonly json?: boolean;
}

interface Link {
  /** With its code, where it has one. */
  readonly url: string;
  /** Works once and for a short time. */
  readonly once: boolean;
}

const help = `
A gateway that shows its numbers to everybody on loopback (\`stats.access: loopback\`) needs no link there. Elsewhere the
link works once and for two minutes; it leaves a cookie in that browser, which is good for thirty days.

Examples:
  sanctum dashboard                 opens the page in the browser of this machine
  sanctum dashboard --print         prints a link for each address, e.g. for a phone
  sanctum dashboard --revoke        ends what links have opened`;

export function dashboardCommand(io: Io, parts: DashboardCommandParts = {}): Command {
  return new Command("dashboard")
    .description("open the dashboard in the browser, or print a link to it")
    .option("--print", "print a link for each address that the gateway listens on; open nothing")
    .option("--revoke", "end all sessions that links have opened")
    .option("--json", "print the links, or what was ended, as JSON")
    .addHelpText("after", help)
    .action((options: Options) =>
      orFail(io, async () => {
        try {
          await (options.revoke === true ? revoke(io, options) : show(io, options, parts));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          io.err(`sanctum: ${error.message}\n`);
          process.exitCode = error.exitCode;
        }
      }),
    );
}

async function revoke(io: Io, { json }: Options): Promise<void> {
  const { ended } = JSON.parse(await adminOf(io).post("/dashboard/revoke")) as { ended: number };
  if (json === true) io.out(`${JSON.stringify({ ended })}\n`);
  else io.out(`${ended} ${ended === 1 ? "session has" : "sessions have"} ended\n`);
}

async function show(io: Io, options: Options, parts: DashboardCommandParts): Promise<void> {
  const addresses = await addressesOf(io, parts);
  const wanted = options.print === true || options.json === true ? addresses : addresses.slice(0, 1);
  const links: Link[] = [];
  for (const { base, open } of wanted) links.push(await linkTo(io, base, open));
  if (options.json === true) {
    io.out(`${JSON.stringify(links, null, 2)}\n`);
    return;
  }
  const first = links[0]!;
  if (options.print !== true && (await (parts.open ?? openInBrowser(io))(first.url))) {
    io.out(`opened ${first.url.replace(/\/open\?.*$/, "")} in the browser\n`);
    return;
  }
  if (options.print !== true) io.err("There is no browser here. Open this in one that can reach the gateway:\n");
  for (const { url } of links) io.out(`${url}\n`);
  if (links.some(({ once }) => once)) io.err("A link with a code works once, for two minutes.\n");
}

interface Address {
  readonly base: string;
  /** Nobody needs a link there. */
  readonly open: boolean;
}

/** Where a browser reaches the gateway, this machine's own address first. Throws a Refusal where there is none. */
async function addressesOf(io: Io, parts: DashboardCommandParts): Promise<Address[]> {
  const admin = adminOf(io);
  const listeners = JSON.parse(await admin.get("/addresses")) as readonly string[];
  const { open } = JSON.parse(await admin.get("/dashboard")) as { open: boolean };
  const found = listeners.filter((listener) => !listener.startsWith("unix:")).flatMap((url) => reachable(url, parts));
  if (found.length === 0) {
    throw new Refusal(
      exitFailed,
      "the gateway listens on a Unix socket alone, which no browser can open; add an address such as 127.0.0.1:4040 to `listen` in config.yaml and restart",
    );
  }
  const isHere = (url: string): boolean => /^https?:\/\/(127\.|\[::1\]|localhost:)/.test(url);
  const sorted = found.toSorted((a, b) => Number(isHere(b.url)) - Number(isHere(a.url)));
  return sorted.map(({ url, loopback }) => ({ base: url, open: open && loopback }));
}

/** What listens on all addresses is reached over each of them; only a loopback listener is open without a link. */
function reachable(url: string, parts: DashboardCommandParts): { url: string; loopback: boolean }[] {
  const wildcard = /^(https?:\/\/)(0\.0\.0\.0|\[::\]):(\d+)$/.exec(url);
  if (wildcard === null) return [{ url, loopback: /^https?:\/\/(127\.|\[::1\]|localhost:)/.test(url) }];
  const [, scheme = "", , port = ""] = wildcard;
  const own = (parts.networkAddresses ?? ipv4Addresses)();
  return ["127.0.0.1", ...own].map((host) => ({ url: `${scheme}${host}:${port}`, loopback: false }));
}

function ipv4Addresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address);
}

async function linkTo(io: Io, base: string, open: boolean): Promise<Link> {
  if (open) return { url: `${base}/dashboard`, once: false };
  const { code } = JSON.parse(await adminOf(io).post("/dashboard/invite")) as { code: string };
  return { url: `${base}/dashboard/open?code=${code}`, once: true };
}

/** The desktop's own way to show an address; null: there is no desktop. */
export function openerOf(
  platform: string,
  env: Readonly<Record<string, string | undefined>>,
  which: (program: string) => string | null,
): readonly string[] | null {
  if (platform === "darwin") return ["open"];
  // `start` takes its first quoted argument for a title.
  if (platform === "win32") return ["rundll32", "url.dll,FileProtocolHandler"];
  if (env["WSL_DISTRO_NAME"] !== undefined && which("wslview") !== null) return ["wslview"];
  const desktop = env["DISPLAY"] !== undefined || env["WAYLAND_DISPLAY"] !== undefined;
  return desktop && which("xdg-open") !== null ? ["xdg-open"] : null;
}

function openInBrowser(io: Io): (url: string) => Promise<boolean> {
  return async (url) => {
    const opener = openerOf(process.platform, io.env, (program) => Bun.which(program));
    if (opener === null) return false;
    try {
      // What a browser prints is nobody's business here.
      const child = Bun.spawn([...opener, url], { stdio: ["ignore", "ignore", "ignore"] });
      return (await child.exited) === 0;
    } catch {
      return false;
    }
  };
}
