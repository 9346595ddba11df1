import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryReplace } from "./attempts.ts";
import { checkMode, checkProgram, checkRights } from "./boundary-checks.ts";
import { checkFiles } from "./file-checks.ts";
import { findDaemon, listenersOf, parseListeners } from "./kernel.ts";
import { checkEnvironment, checkKeychain, checkLeftovers, checkStartFiles } from "./key-checks.ts";
import { checkAnonymous, checkExposure, checkPort } from "./network-checks.ts";
import { checkPrices } from "./price-check.ts";
import { keychainWith, sampleScene, type Changes } from "./sample-scene.ts";
import { pricesAsOf } from "../../catalogue/index.ts";

const key = "sk-ant-api03-secret";
const bus = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere" };
const separate: Changes = { mode: "separate-user", owner: { uid: 999, name: "sanctum" }, listeners: [] };

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-doctor-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("who it is", () => {
  const levels = (changes: Changes): string[] => checkMode(sampleScene(changes)).map(({ level }) => level);

  test("is a limit where it is the same user, and well where it is another one that runs", () => {
    expect(levels({})).toEqual(["note"]);
    expect(levels({ ...separate, pid: 7 })).toEqual(["ok"]);
    expect(levels({ ...separate, running: false })).toEqual(["note"]);
    expect(levels({ owner: null, running: false })).toEqual(["note"]);
  });

  test("is a problem where it is root", () => {
    expect(levels({ owner: { uid: 0, name: "root" } })).toEqual(["problem"]);
  });

  test("is not judged from root's point of view, nor from its own", () => {
    for (const vantage of ["root", "gateway"] as const) {
      const [finding] = checkMode(sampleScene({ ...separate, vantage }));
      expect([finding!.level, finding!.remedy]).toEqual(["note", expect.stringContaining("without sudo")]);
      expect(checkProgram(sampleScene({ ...separate, vantage }))).toEqual([]);
    }
  });
});

describe("ways to become root", () => {
  async function levelsWith(groups: string, sudo: number): Promise<string[]> {
    const scene = sampleScene(separate);
    const ran: string[] = [];
    const run: typeof scene.system.run = async (argv) => {
      ran.push(argv.join(" "));
      return argv[0] === "id" ? { code: 0, out: `${groups}\n`, err: "" } : { code: sudo, out: "", err: "" };
    };
    const findings = await checkRights({ ...scene, system: Object.assign(scene.system, { run }) });
    return [...findings.map(({ level }) => level), ...ran.filter((command) => command.startsWith("sudo"))];
  }

  test("by a group such as docker, or by sudo without a password, are problems", async () => {
    expect(await levelsWith("x docker", 1)).toEqual(["problem"]);
    expect(await levelsWith("x sudo", 0)).toEqual(["problem", "sudo -n true"]);
  });

  test("are none where sudo asks, and sudo is tried only by those who may use it", async () => {
    expect(await levelsWith("x wheel", 1)).toEqual(["ok", "sudo -n true"]);
    expect(await levelsWith("x users", 0)).toEqual(["ok"]);
  });

  test("do not matter where there is no boundary", async () => {
    expect(await checkRights(sampleScene())).toEqual([]);
  });
});

describe("what runs", () => {
  test("can be replaced by who can write the file, its folder, or what a link on the way leads to", () => {
    const file = join(folder, "a/program");
    mkdirSync(join(folder, "a"));
    writeFileSync(file, "");
    symlinkSync(join(folder, "a"), join(folder, "link"));
    expect(tryReplace(file)).toBe("possible");
    expect(tryReplace(join(folder, "link/program"))).toBe("possible");
    expect(tryReplace(join(folder, "none"))).toBe("absent");
  });
});

describe("its files", () => {
  const home = (): string => join(folder, "home");
  const uid = process.getuid?.() ?? 0;
  function check(): string[] {
    const configFile = join(home(), "sanctum-proxy/config.yaml");
    const scene = sampleScene({ home: home(), configFile, owner: { uid, name: "x" } });
    return checkFiles(scene).map(({ level, found, remedy }) => `${level}: ${remedy ?? found}`);
  }
  beforeEach(() => {
    mkdirSync(join(home(), "sanctum-proxy"), { recursive: true, mode: 0o700 });
    writeFileSync(join(home(), "sanctum-proxy/config.yaml"), "", { mode: 0o600 });
    writeFileSync(join(home(), "vault.age"), "", { mode: 0o600 });
    chmodSync(folder, 0o700);
  });

  test("are well where they are one user's alone", () => {
    expect(check()).toEqual([`ok: Folders and files in ${home()} are x's alone (4 looked at).`]);
  });

  test("are each named with what mends it where others can read or write them", () => {
    chmodSync(home(), 0o750);
    chmodSync(join(home(), "vault.age"), 0o640);
    chmodSync(join(home(), "sanctum-proxy/config.yaml"), 0o664);
    expect(check()).toEqual([
      `problem: chmod go-rwx ${home()}`,
      `problem: chmod go-rwx ${join(home(), "vault.age")}`,
      `problem: chmod go-w ${join(home(), "sanctum-proxy/config.yaml")}`,
    ]);
  });

  test("may be configured by a file that others can read: it holds no secret", () => {
    chmodSync(join(home(), "sanctum-proxy/config.yaml"), 0o644);
    expect(check()).toEqual([expect.stringMatching(/^ok/)]);
  });

  test("are no better than the folders on the way to them", () => {
    chmodSync(folder, 0o777);
    expect(check()).toEqual([`problem: chmod go-w ${folder}`]);
    chmodSync(folder, 0o1777);
    expect(check()).toEqual([expect.stringMatching(/^ok/)]);
  });
});

describe("keys outside of it", () => {
  test("in the environment are a problem, by name and without the value", () => {
    const [finding] = checkEnvironment(sampleScene({ env: { OPENROUTER_API_KEY: key, PATH: "/bin" } }));
    expect([finding!.level, finding!.found]).toEqual(["problem", "Your environment holds OPENROUTER_API_KEY."]);
    expect(JSON.stringify(finding)).not.toContain(key);
  });

  test("are not the gateway's own tokens, nor empty settings", () => {
    const env = { ANTHROPIC_API_KEY: "sk-sanctum-windu-abc", OPENAI_API_KEY: "anonymous", GROQ_API_KEY: "" };
    expect(checkEnvironment(sampleScene({ env })).map(({ level }) => level)).toEqual(["ok"]);
  });

  test.each([
    [".bashrc", `export ANTHROPIC_API_KEY=${key}\n`],
    [".zshenv", `  ANTHROPIC_API_KEY="${key}"\n`],
    [".config/fish/config.fish", `set -gx ANTHROPIC_API_KEY ${key}\n`],
    [".profile", `PATH=$PATH:/x\nexport ANTHROPIC_API_KEY='${key}' # mine\n`],
  ])("are found in %s, and their values are not shown", (name, text) => {
    const findings = checkStartFiles(sampleScene({ files: { [`/h/x/${name}`]: text } }));
    expect(findings.map(({ level, found }) => [level, found])).toEqual([
      ["problem", `/h/x/${name} sets ANTHROPIC_API_KEY.`],
    ]);
    expect(JSON.stringify(findings)).not.toContain(key);
  });

  test.each([
    `# export ANTHROPIC_API_KEY=${key}\n`,
    "export ANTHROPIC_API_KEY=$(pass show anthropic)\n",
    'export ANTHROPIC_API_KEY="$KEY"\n',
    "export ANTHROPIC_API_KEY=sk-sanctum-windu-abc\n",
    "unset ANTHROPIC_API_KEY\n",
    "export ANTHROPIC_API_KEY=\n",
  ])("are not in %p", (text) => {
    const findings = checkStartFiles(sampleScene({ files: { "/h/x/.bashrc": text } }));
    expect(findings.map(({ level }) => level)).toEqual(["ok"]);
  });

  test("in the keychain are a limit of the same user's mode, and a problem beside a user of its own", async () => {
    const keychain = keychainWith({ openai: key });
    const same = await checkKeychain(sampleScene({ env: bus, keychain }));
    expect(same.map(({ level, hardening }) => [level, hardening])).toEqual([["note", true]]);
    const other = await checkKeychain(sampleScene({ ...separate, env: bus, keychain }));
    expect([other[0]!.level, other[0]!.remedy]).toEqual([
      "problem",
      expect.stringContaining("`sanctum keys rm openai`"),
    ]);
    expect(JSON.stringify([same, other])).not.toContain(key);
  });

  test("need an open keychain: a locked one is told, and one that is not there is no fault", async () => {
    const of = async (changes: Changes): Promise<string[]> =>
      (await checkKeychain(sampleScene(changes))).map(({ level, found }) => `${level}: ${found}`);
    expect(await of({ env: bus, keychainLocked: async () => true })).toEqual(["problem: The keychain is locked."]);
    expect(await of({ env: bus, keychain: keychainWith("broken") })).toEqual([
      "ok: There is no keychain in this session.",
    ]);
    expect(await of({})).toEqual(["ok: There is no keychain in this session (no D-Bus)."]);
  });

  test("in a vault of one's own from before are told where the gateway has another user", () => {
    mkdirSync(join(folder, ".sanctum"));
    writeFileSync(join(folder, ".sanctum/vault.age"), "");
    const scene = (changes: Changes): Changes => ({ ...changes, homeFolder: folder });
    expect(checkLeftovers(sampleScene(scene({ ...separate, home: "/var/lib/sanctum/.sanctum" }))).length).toBe(1);
    expect(checkLeftovers(sampleScene(scene({ home: join(folder, ".sanctum") })))).toEqual([]);
  });
});

describe("the port", () => {
  const found = async (changes: Changes): Promise<string[]> =>
    (await checkPort(sampleScene(changes))).map(({ level, found }) => `${level}: ${found}`);
  const stranger = { address: "127.0.0.1", port: 4040, uid: 33 };

  test("is the gateway's alone, or free", async () => {
    expect(await found({})).toEqual(["ok: The port 4040 is the gateway's alone."]);
    expect(await found({ running: false, listeners: [] })).toEqual(["ok: The port 4040 is free."]);
  });

  test("that somebody else has taken is a problem, with his name", async () => {
    const taken = await found({ running: false, listeners: [stranger] });
    expect(taken).toEqual([expect.stringContaining("problem: The port 4040 is taken by a program of 33 (uid 33)")]);
  });

  test("on which somebody listens beside the gateway is a problem", async () => {
    const both = [
      { address: "127.0.0.1", port: 4040, uid: 1_000 },
      { ...stranger, address: "::1" },
    ];
    expect(await found({ listeners: both })).toEqual([
      expect.stringContaining("problem: The port 4040 is also listened on"),
    ]);
  });

  test("is not called the gateway's where the gateway does not listen yet", async () => {
    expect(await found({ listeners: [] })).toEqual([
      expect.stringContaining("note: The gateway runs, but does not listen"),
    ]);
  });

  test("off loopback is told with what protects it", () => {
    const listeners = [{ address: "192.168.1.2", port: 4040, uid: 1_000 }];
    expect(checkExposure(sampleScene({ listeners })).map(({ level }) => level)).toEqual(["note"]);
    expect(checkExposure(sampleScene()).map(({ level }) => level)).toEqual(["ok"]);
  });
});

describe("callers without a token", () => {
  /** A gateway, or something else, that answers with this status. */
  async function levelOf(status: number, headers: Record<string, string>): Promise<string[]> {
    await using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response("{}", { status, headers }),
    });
    const listeners = [{ address: "127.0.0.1", port: server.port!, uid: 1_000 }];
    return (await checkAnonymous(sampleScene({ listeners }))).map(({ level }) => level);
  }

  test("are told where the running gateway lets them in, and only then", async () => {
    expect(await levelOf(200, { "x-sanctum-request-id": "req_1" })).toEqual(["note"]);
    expect(await levelOf(401, { "x-sanctum-request-id": "req_1" })).toEqual(["ok"]);
    expect(await levelOf(200, {})).toEqual([]);
  });
});

describe("what the kernel tells", () => {
  test("of listening sockets is read with address, port and user", () => {
    const four =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
      "   0: 0100007F:0FC8 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 827876 1 0 100 0 0 10 0\n" +
      "   1: 0100007F:9A4C 0100007F:0FC8 01 00000000:00000000 03:00001770 00000000     0        0 0 3 0\n";
    const six =
      "   0: 00000000000000000000000001000000:0FC8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1 1 0 100 0 0 10 0\n";
    expect(parseListeners(four)).toEqual([{ address: "127.0.0.1", port: 4040, uid: 999 }]);
    expect(parseListeners(six)).toEqual([{ address: "::1", port: 4040, uid: 999 }]);
  });

  test("of this machine holds a socket that this test opens, as its user's", async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const listeners = listenersOf();
    await new Promise((resolve) => server.close(resolve));
    if (process.platform !== "linux") return expect(listeners).toBe(null);
    expect(listeners).toContainEqual({ address: "127.0.0.1", port, uid: process.getuid!() });
  });

  test("of processes holds no gateway of a user who runs none", () => {
    expect(findDaemon(64_999)).toBe(null);
  });
});

test("prices are old after 90 days, and that is told", () => {
  const made = Date.parse(pricesAsOf.date);
  const levelAfter = (days: number): string => checkPrices({ now: made + days * 86_400_000 })[0]!.level;
  expect([levelAfter(0), levelAfter(90), levelAfter(91)]).toEqual(["ok", "ok", "note"]);
});
