import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

setDefaultTimeout(120_000);

const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = join(root, "dist/sanctum");
/** Where the program is started from: a folder of somebody else, that would like to configure it. */
let hostile: string;
/** Written by the code in that folder, should it ever run. */
let trace: string;

beforeAll(async () => {
  const child = Bun.spawn([process.execPath, join(root, "scripts/build.ts")], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  hostile = mkdtempSync(join(tmpdir(), "sanctum-build-"));
  trace = join(hostile, "trace");
  writeFileSync(join(hostile, "evil.ts"), `require("node:fs").writeFileSync(${JSON.stringify(trace)}, "ran");`);
  writeFileSync(join(hostile, "bunfig.toml"), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n');
  writeFileSync(
    join(hostile, ".env"),
    `NODE_TLS_REJECT_UNAUTHORIZED=0\nBUN_CONFIG_VERBOSE_FETCH=curl\nSANCTUM_HOME=${join(hostile, "captured")}\n`,
  );
  writeFileSync(join(hostile, "package.json"), '{"name":"evil","type":"commonjs"}');
});

afterAll(() => {
  rmSync(hostile, { recursive: true, force: true });
});

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

/** `home`: SANCTUM_HOME of the real environment. */
function run(words: readonly string[], home: string): Child {
  return Bun.spawn([binary, ...words], {
    cwd: hostile,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: home, SANCTUM_HOME: home, TMPDIR: home },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function inHome<T>(use: (home: string) => Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  try {
    return await use(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function outputOf(child: Child): Promise<{ code: number; out: string; err: string }> {
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

describe("the one file that `npm run build` makes, in a folder that would like to configure it", () => {
  test("tells its version", async () => {
    await inHome(async (home) => {
      expect(await outputOf(run(["--version"], home))).toEqual({ code: 0, out: "1.0.0\n", err: "" });
    });
  });

  test("plays the demo, with everything that it needs inside", async () => {
    await inHome(async (home) => {
      const { code, out } = await outputOf(run(["demo"], home));
      expect(code).toBe(0);
      expect(out).toContain("the hash chain verifies");
    });
  });

  test("starts, serves and stops, and reads a configuration with all of its parsers", async () => {
    await inHome(async (home) => {
      mkdirSync(join(home, "sanctum-proxy"), { mode: 0o700 });
      writeFileSync(join(home, "sanctum-proxy/config.yaml"), "listen: 127.0.0.1:0 # free\n", { mode: 0o600 });
      const child = run(["start"], home);
      let out = "";
      for await (const bytes of child.stdout) {
        out += Buffer.from(bytes).toString();
        if (out.includes("/stats")) break;
      }
      const url = /listening on (\S+)/.exec(out)?.[1];
      const health = await fetch(`${url}/healthz`);
      const stats = (await (await fetch(`${url}/stats`)).json()) as { config: object };
      const page = await (await fetch(`${url}/dashboard`)).text();
      const script = await (await fetch(`${url}/dashboard/app.js`)).text();
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
      expect(health.status).toBe(200);
      expect(stats.config).toMatchObject({ generation: 1, fault: null });
      expect(page).toContain("/dashboard/app.js");
      expect(script.length).toBeGreaterThan(50_000);
      expect(out).toContain(join(home, "sanctum-proxy/config.yaml"));
    });
  });

  test("refuses a faulty configuration with 78 and the line of the fault", async () => {
    await inHome(async (home) => {
      const file = join(home, "faulty.yaml");
      writeFileSync(file, "lisen: 127.0.0.1:0\n", { mode: 0o600 });
      const { code, err } = await outputOf(run(["start", "--config", file], home));
      expect(code).toBe(78);
      expect(err).toContain("faulty.yaml:1:1");
    });
  });

  test("has run none of the folder's code and used none of its settings", async () => {
    expect(await Bun.file(trace).exists()).toBe(false);
    expect(await Bun.file(join(hostile, "captured")).exists()).toBe(false);
    expect(await Bun.file(join(hostile, "captured/logs/cloud-proxy-audit.jsonl")).exists()).toBe(false);
  });
});
