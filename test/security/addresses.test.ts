// Promise: the gateway listens where it was told, nobody else answers in its name, and its socket is its user's alone.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { baseConfig, merge, post, smallBody, startHouse, type House } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { eventually, refusedStart, tokenOf } from "../harness.ts";

setDefaultTimeout(30_000);

const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
const hasIpv6 = interfaces.some(({ address }) => address === "::1");
const windu = { authorization: `Bearer ${tokenOf("windu").token}` };

async function statusAt(origin: string): Promise<number | "refused"> {
  return fetch(`${origin}/healthz`).then(
    (response) => response.status,
    () => "refused" as const,
  );
}

function portOf(house: House): string {
  return new URL(house.gateway.url).port;
}

describe("a gateway that listens on loopback", () => {
  test("is not reached by any address of the machine that others can see", async () => {
    await using house = await startHouse();
    const seen = interfaces.filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0);
    for (const { address, family } of seen) {
      const host = family === "IPv6" ? `[${address}]` : address;
      expect([host, await statusAt(`http://${host}:${portOf(house)}`)]).toEqual([host, "refused"]);
    }
    expect(await statusAt(house.gateway.url)).toBe(200);
  });

  test("answers under both addresses that `localhost` can mean, and tells of the one that was asked for", async () => {
    if (!hasIpv6) return;
    await using house = await startHouse();
    for (const host of ["127.0.0.1", "[::1]", "localhost"])
      expect([host, await statusAt(`http://${host}:${portOf(house)}`)]).toEqual([host, 200]);
    expect(house.gateway.output().match(/listening on/g)).toHaveLength(1);
  });

  test.if(hasIpv6).each([
    ["127.0.0.1", "::1"],
    ["[::1]", "127.0.0.1"],
    ["localhost", "::1"],
    ["localhost", "127.0.0.1"],
  ])("on %s does not start where another program has its port on %s", async (host, taken) => {
    using squatter = Bun.listen({ hostname: taken, port: 0, socket: { data: () => undefined } });
    const { code, output } = await refusedStart({ config: { listen: `${host}:${squatter.port}` } });
    expect(code).toBe(1);
    expect(output).toContain(String(squatter.port));
    expect(output).toMatch(/taken by another program|in use/);
  });

  test.if(hasIpv6)("may name both addresses itself", async () => {
    await using house = await startHouse();
    const port = portOf(house);
    await house.gateway.stop();
    house.gateway.writeConfig(merge(house.config, { listen: [`127.0.0.1:${port}`, `[::1]:${port}`] }));
    await house.gateway.restart();
    for (const host of ["127.0.0.1", "[::1]"]) expect(await statusAt(`http://${host}:${port}`)).toBe(200);
  });
});

describe("a gateway that listens on a Unix socket alone", () => {
  const program = fileURLToPath(new URL("../../bin/sanctum", import.meta.url));
  let folder: string;
  let socketPath: string;
  let cloud: FakeProvider;
  let local: FakeProvider;
  const children: Bun.Subprocess[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "sanctum-socket-"));
    socketPath = join(folder, "gateway.sock");
    [cloud, local] = await Promise.all([FakeProvider.start(), FakeProvider.start({ local: true })]);
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.kill("SIGKILL");
      await child.exited;
    }
    await Promise.all([cloud[Symbol.asyncDispose](), local[Symbol.asyncDispose]()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const env = (): Record<string, string> => ({
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: folder,
    SANCTUM_HOME: join(folder, "home"),
  });

  interface Daemon {
    readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
    readonly output: () => string;
  }

  async function started(overlay: object = {}, umask = "000"): Promise<Daemon> {
    const config = merge(baseConfig(cloud.url, local.url), { listen: `unix:${socketPath}`, ...overlay });
    const file = join(folder, "config.yaml");
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
    chmodSync(file, 0o600);
    const line = `umask ${umask}; exec sh "$0" start --config "$1"`;
    const child = Bun.spawn(["sh", "-c", line, program, file], {
      env: env(),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    children.push(child);
    let text = "";
    const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
      for await (const bytes of stream) text += new TextDecoder().decode(bytes);
    };
    void collect(child.stdout);
    void collect(child.stderr);
    await eventually(() => {
      if (!text.includes("See who spends what") && child.exitCode === null) throw new Error(`not started:\n${text}`);
    }, 20_000);
    return { child, output: () => text };
  }

  async function ask(headers: Record<string, string> = {}, path = "/v1/messages"): Promise<Response> {
    return fetch(`http://any.host.example${path}`, {
      method: path === "/v1/messages" ? "POST" : "GET",
      headers: { "content-type": "application/json", ...headers },
      ...(path === "/v1/messages" ? { body: smallBody("messages", "claude-sonnet-4-5") } : {}),
      unix: socketPath,
    } as RequestInit);
  }

  async function sanctum(...words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
    const child = Bun.spawn(["sh", program, ...words], { env: env(), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, out, err };
  }

  test("has a socket of mode 0600, whatever the umask is, which another user can't open", async () => {
    await started();
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect((await ask(windu)).status).toBe(200);
    if (process.getuid?.() !== 0 || Bun.which("setpriv") === null || Bun.which("curl") === null) return;
    // As another user, with the right token and a way to the socket: the kernel refuses.
    chmodSync(folder, 0o755);
    const other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "--unix-socket"];
    const header = `authorization: ${windu.authorization}`;
    const { exitCode, stderr } = Bun.spawnSync([...other, socketPath, "-H", header, "http://localhost/v1/models"]);
    // 7: could not connect.
    expect([exitCode, stderr.toString()]).toEqual([7, expect.stringContaining("connect")]);
  });

  test("takes its callers for this machine's: without a token they are `default`, or nobody, as the configuration says", async () => {
    const daemon = await started();
    expect((await ask()).status).toBe(200);
    expect((await ask(windu)).status).toBe(200);
    expect((await ask({ "x-api-key": tokenOf("sidious").token })).status).toBe(401);
    expect((await ask({ ...windu, "x-sanctum-agent": "mothma" })).status).toBe(401);
    const stats = (await (await ask({}, "/stats")).json()) as { agents: Record<string, { requests: number }> };
    expect([stats.agents["default"]?.requests, stats.agents["windu"]?.requests]).toEqual([1, 1]);
    daemon.child.kill("SIGTERM");
    expect(await daemon.child.exited).toBe(0);
    expect(existsSync(socketPath)).toBe(false);
    await started({ identity: { anonymous: "never" } });
    expect((await ask()).status).toBe(401);
    expect((await ask(windu)).status).toBe(200);
  });

  test("turns web pages away that reach it through a forwarded port", async () => {
    await started();
    const pages: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-mode": "no-cors" },
    ];
    for (const page of pages)
      for (const path of ["/v1/messages", "/stats"]) expect((await ask({ ...windu, ...page }, path)).status).toBe(403);
    expect(cloud.requests.length).toBe(0);
  });

  test("takes the place of a socket that a killed gateway left, and not of one that is in use or of a file", async () => {
    const first = await started();
    first.child.kill("SIGKILL");
    await first.child.exited;
    expect(existsSync(socketPath)).toBe(true);
    await started();
    expect((await ask(windu)).status).toBe(200);
    const second = await refusedStart({ config: { listen: `unix:${socketPath}` } });
    expect([second.code, second.output]).toEqual([1, expect.stringContaining("address already in use")]);
    expect((await ask(windu)).status).toBe(200);
    const file = join(folder, "notes.txt");
    writeFileSync(file, "mine");
    expect((await refusedStart({ config: { listen: `unix:${file}` } })).code).toBe(1);
    expect(statSync(file).size).toBe(4);
  });

  test("is told to people and to programs by its path, and no client is given a URL that is none", async () => {
    const { output } = await started();
    expect(output()).toContain(`listening on unix:${socketPath}\n`);
    expect(output()).toContain(`curl --unix-socket ${socketPath}`);
    expect(output()).not.toContain("BASE_URL");
    const status = await sanctum("status");
    expect([status.code, status.err]).toEqual([0, ""]);
    expect((await sanctum("stats", "--json")).code).toBe(0);
    const connect = await sanctum("connect", "claude-code");
    expect([connect.code, connect.out]).toEqual([1, expect.stringContaining(`curl --unix-socket ${socketPath}`)]);
    const refused = await sanctum("run", "windu", "--", "env");
    expect([refused.code, refused.out]).toEqual([1, ""]);
    expect(refused.err).toContain("add 127.0.0.1:4040 to `listen`");
    const run = await sanctum("run", "--unix", "windu", "--", "sh", "-c", "echo $SANCTUM_SOCKET; env | grep -c BASE");
    expect(run.out).toBe(`${socketPath}\n0\n`);
  });

  test.if(Bun.which("curl") !== null)("serves curl under a token of `sanctum run --unix`", async () => {
    await started({ identity: { anonymous: "never" } });
    const body = smallBody("messages", "claude-sonnet-4-5");
    const line = `curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$SANCTUM_SOCKET" http://localhost/v1/messages \
      -H "authorization: Bearer $SANCTUM_TOKEN" -H 'content-type: application/json' -d '${body}'`;
    expect(await sanctum("run", "--unix", "windu", "--", "sh", "-c", line)).toEqual({ code: 0, out: "200", err: "" });
    expect(cloud.requests.length).toBe(1);
  });
});

test("a gateway on a port and a socket serves both, and tells clients the port", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-both-"));
  const socketPath = join(folder, "s.sock");
  {
    await using house = await startHouse({ config: { listen: [`unix:${socketPath}`, "127.0.0.1:0"] } });
    expect((await post(house.gateway, "messages", { headers: windu })).status).toBe(200);
    const over = await fetch("http://localhost/healthz", { unix: socketPath } as RequestInit);
    expect(over.status).toBe(200);
    expect(house.gateway.output()).toContain(`ANTHROPIC_BASE_URL=${house.gateway.url} `);
  }
  rmSync(folder, { recursive: true, force: true });
});
