import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { Io } from "./io.ts";
import { serviceCommand } from "./service.ts";
import { SampleLinux } from "./service/sample-linux.ts";
import { SampleMac } from "./service/sample-mac.ts";
import type { System } from "./service/system.ts";

const unit = "/etc/systemd/system/sanctum.service";
const ownUnit = "/h/x/.config/systemd/user/sanctum.service";
const program = "/opt/sanctum/bin/sanctum";

let linux: SampleLinux;
let out = "";
let err = "";

beforeEach(() => {
  linux = new SampleLinux();
});
afterEach(() => {
  process.exitCode = 0;
});

/** Runs a command line on a machine and gives its exit code. */
async function on(machine: System, ...words: string[]): Promise<number> {
  [out, err] = ["", ""];
  process.exitCode = 0;
  const home = "/h/x/.sanctum";
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    env: {},
    home,
    configFile: `${home}/sanctum-proxy/config.yaml`,
  };
  await serviceCommand(io, { system: machine, program: { kind: "file", path: "/h/x/sanctum" } }).parseAsync(words, {
    from: "user",
  });
  return process.exitCode;
}

describe("as a user of its own", () => {
  test("the user, the program and the unit are made, and it is started; the way on is told", async () => {
    expect([await on(linux, "install", "--user", "sanctum"), err]).toEqual([0, ""]);
    expect(linux.users.get("sanctum")).toContain(":/var/lib/sanctum:/usr/sbin/nologin");
    expect([linux.files.has(program), linux.files.has(`${program}.new`)]).toEqual([true, false]);
    expect(linux.files.get(unit)).toContain("\nUser=sanctum\n");
    expect(linux.ran).toContain("systemctl restart sanctum.service");
    expect(out).toContain(`sudo -H -u sanctum ${program} keys set anthropic`);
    expect(out).toContain("systemd-creds encrypt --name=sanctum-vault-passphrase");
    expect(await on(linux, "status")).toBe(0);
    expect(out).toMatch(/^state +running, process 7$/m);
  });

  test("installing again makes no second user, brings the program into use, and is as good as once", async () => {
    await on(linux, "install", "--user", "sanctum");
    const before = new Map(linux.files);
    linux.ran.length = 0;
    expect(await on(linux, "install", "--user", "sanctum")).toBe(0);
    expect(linux.ran.some((command) => command.startsWith("useradd"))).toBe(false);
    expect(linux.ran).toContain("systemctl restart sanctum.service");
    expect(linux.files).toEqual(before);
  });

  test("nobody but root can, and is told how", async () => {
    linux.uid = 1_000;
    expect(await on(linux, "install", "--user", "sanctum")).toBe(1);
    expect(err).toContain("sudo npx sanctum service install --user");
    expect(linux.ran).toEqual([]);
  });

  test("a machine that systemd does not run is told what to do instead", async () => {
    linux.files.delete("/run/systemd/system");
    expect(await on(linux, "install", "--user", "sanctum")).toBe(1);
    expect(err).toContain("systemd does not run this machine");
    expect(err).toContain("sanctum start");
    expect(linux.ran).toEqual([]);
  });

  test("a person's account is no user of its own, and is left alone", async () => {
    linux.users.set("obi", "obi:x:1000:1000::/somewhere/obi:/bin/bash");
    expect(await on(linux, "install", "--user", "obi")).toBe(1);
    expect(err).toContain("choose another name");
    expect(linux.files.has(unit)).toBe(false);
  });

  test.each(["root", "Obi", "a b", "-x", "../x", "a".repeat(40), ""])("%p is refused as a name", async (name) => {
    expect(await on(linux, "install", `--user=${name}`)).toBe(2);
    expect(linux.ran).toEqual([]);
  });

  test("a unit of that name that somebody else made stays, also when it is to be taken away", async () => {
    linux.files.set(unit, "[Service]\nExecStart=/usr/bin/other\n");
    expect(await on(linux, "install", "--user", "sanctum")).toBe(1);
    expect(await on(linux, "uninstall")).toBe(1);
    expect(linux.files.get(unit)).toContain("/usr/bin/other");
  });

  test("a gateway that does not start is told with what it printed", async () => {
    linux.gateway = "fails";
    expect(await on(linux, "install", "--user", "sanctum")).toBe(1);
    expect(err).toContain("the gateway does not run");
    expect(err).toContain("config.yaml:1:1 lisen: unknown key");
    expect(await on(linux, "status")).toBe(1);
    expect(out).toMatch(/^state +failed$/m);
  });

  test("a command that fails ends it, with the command and its words", async () => {
    linux.run = async (argv) =>
      argv[0] === "useradd"
        ? { code: 10, out: "", err: "useradd: cannot lock /etc/group; try again later.\n" }
        : { code: 2, out: "", err: "" };
    expect(await on(linux, "install", "--user", "sanctum")).toBe(1);
    expect(err).toContain("could not make the user: `useradd --system");
    expect(err).toContain("cannot lock /etc/group");
    expect(linux.files.has(unit)).toBe(false);
  });

  test("a configuration elsewhere is refused, since agents could reach it", async () => {
    [out, err] = ["", ""];
    const io: Io = {
      out: () => undefined,
      err: (text) => void (err += text),
      isTty: false,
      env: {},
      home: "/h/x/.sanctum",
      configFile: "/h/x/my.yaml",
    };
    const command = serviceCommand(io, { system: linux, program: { kind: "file", path: "/h/x/sanctum" } });
    await command.parseAsync(["install", "--user", "sanctum"], { from: "user" });
    expect([process.exitCode, err]).toEqual([
      2,
      expect.stringContaining("/var/lib/sanctum/.sanctum/sanctum-proxy/config.yaml"),
    ]);
  });

  test("is taken away with its program, and its data and user stay for the next time", async () => {
    await on(linux, "install", "--user", "sanctum");
    linux.files.set("/var/lib/sanctum/.sanctum/vault.age", "sealed");
    expect(await on(linux, "uninstall")).toBe(0);
    expect([...linux.files.keys()]).toEqual(["/run/systemd/system", "/var/lib/sanctum/.sanctum/vault.age"]);
    expect(linux.users.has("sanctum")).toBe(true);
    expect(await on(linux, "install", "--user", "sanctum")).toBe(0);
  });

  test("--purge deletes data, sealed passphrase and user too", async () => {
    await on(linux, "install", "--user", "sanctum");
    linux.files.set("/var/lib/sanctum/.sanctum/vault.age", "sealed");
    linux.files.set("/etc/credstore.encrypted/sanctum-vault-passphrase", "sealed");
    expect(await on(linux, "uninstall", "--purge")).toBe(0);
    expect([...linux.files.keys()]).toEqual(["/run/systemd/system"]);
    expect(linux.users.has("sanctum")).toBe(false);
  });

  test("--print is a script that sh understands, with the unit in it, and nothing is done", async () => {
    linux.uid = 1_000;
    expect(await on(linux, "install", "--user", "sanctum", "--print")).toBe(0);
    expect(out).toContain("useradd --system --user-group --home-dir /var/lib/sanctum");
    expect(out).toContain("\nUser=sanctum\n");
    expect(Bun.spawnSync(["sh", "-n"], { stdin: Buffer.from(out) }).exitCode).toBe(0);
    expect(linux.ran).toEqual(["getent passwd sanctum"]);
    expect(linux.files.has(unit)).toBe(false);
  });
});

describe("as the caller", () => {
  beforeEach(() => {
    linux.uid = 1_000;
  });

  test("a unit of the session is written and started, and what that protects is told", async () => {
    expect([await on(linux, "install"), err]).toEqual([0, ""]);
    expect(linux.files.get(ownUnit)).toContain("ExecStart=/h/x/sanctum start");
    expect(linux.ran).toContain("systemctl --user restart sanctum.service");
    expect(out).toContain("the same user as your agents");
    expect(await on(linux, "status", "--json")).toBe(0);
    expect(JSON.parse(out)).toEqual({
      manager: "systemd",
      services: [
        {
          mode: "same-user",
          file: ownUnit,
          user: null,
          home: "/h/x/.sanctum",
          command: "/h/x/sanctum start",
          state: "running",
          enabled: true,
          pid: 7,
        },
      ],
    });
  });

  test("root is told to name a user", async () => {
    linux.uid = 0;
    expect(await on(linux, "install")).toBe(2);
    expect(err).toContain("--user sanctum");
  });

  test("without a session of systemd's it is told what brings one", async () => {
    linux.session = false;
    expect(await on(linux, "install")).toBe(1);
    expect(err).toContain("loginctl enable-linger");
    expect(linux.files.has(ownUnit)).toBe(false);
  });

  test("a gateway that was started by hand is not run over", async () => {
    linux.answering.add("/h/x/.sanctum");
    expect(await on(linux, "install")).toBe(1);
    expect(err).toContain("sanctum stop");
    expect(linux.files.has(ownUnit)).toBe(false);
  });

  test("--purge deletes nothing that does not look like a gateway's home", async () => {
    await on(linux, "install");
    linux.files.set("/h/x/.sanctum/letter.txt", "dear");
    expect(await on(linux, "uninstall", "--purge")).toBe(1);
    expect([linux.files.has("/h/x/.sanctum/letter.txt"), linux.files.has(ownUnit)]).toEqual([true, true]);
    linux.files.set("/h/x/.sanctum/state/ledger.sqlite", "");
    expect(await on(linux, "uninstall", "--purge")).toBe(0);
    expect(linux.exists("/h/x/.sanctum")).toBe(false);
  });

  test("where nothing is installed, status says so with 1, and uninstall fails", async () => {
    expect(await on(linux, "status")).toBe(1);
    expect(out).toContain("No service is installed");
    expect(await on(linux, "uninstall")).toBe(1);
    expect(err).toContain("no service is installed");
  });
});

describe("on a Mac", () => {
  const list = "/Library/LaunchDaemons/local.sanctum-proxy.plist";

  test("the user and its group get a free number, and the daemon is loaded, also while the old one still stops", async () => {
    const mac = new SampleMac();
    mac.stopping = 3;
    expect([await on(mac, "install", "--user", "_sanctum"), err]).toEqual([0, ""]);
    expect(mac.records.get("/Users/_sanctum")).toEqual(
      new Map([
        ["UniqueID", "402"],
        ["PrimaryGroupID", "402"],
        ["NFSHomeDirectory", "/var/lib/_sanctum"],
        ["UserShell", "/usr/bin/false"],
        ["RealName", "Sanctum Cloud Proxy"],
        ["IsHidden", "1"],
      ]),
    );
    expect(mac.files.get(list)).toContain("<string>_sanctum</string>");
    expect(mac.ran).toContain("install -d -m 0700 -o _sanctum -g _sanctum /var/lib/_sanctum");
    expect(out).toContain("keys unlock");
    expect(await on(mac, "install", "--user", "_sanctum")).toBe(0);
    expect(await on(mac, "status")).toBe(0);
    expect(out).toMatch(/^state +running, process 7$/m);
    expect(await on(mac, "uninstall", "--purge")).toBe(0);
    expect([mac.files.has(list), mac.records.has("/Users/_sanctum"), mac.records.has("/Groups/_sanctum")]).toEqual([
      false,
      false,
      false,
    ]);
    expect(await on(mac, "status")).toBe(1);
  });

  test("a service of the caller is an agent of his session", async () => {
    const mac = new SampleMac();
    mac.uid = 501;
    expect(await on(mac, "install")).toBe(0);
    expect(mac.ran.at(-1)).toBe("launchctl bootstrap gui/501 /u/x/Library/LaunchAgents/local.sanctum-proxy.plist");
    expect(await on(mac, "uninstall")).toBe(0);
    expect(mac.files.size).toBe(0);
  });
});

test("another system is told so", async () => {
  const windows = Object.assign(new SampleLinux(), { platform: "win32" as const });
  expect(await on(windows as unknown as System, "install")).toBe(1);
  expect(err).toContain("start it yourself");
});
