import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCommandSource } from "./command-source.ts";
import type { StartTimer } from "./deadline.ts";
import { KeyFault } from "./key-source.ts";

const env = { PATH: process.env["PATH"], HOME: "/nowhere", ALLOWED: "yes", OPENAI_API_KEY: "must-not-be-seen" };
const never: StartTimer = () => () => undefined;

async function loadAll(argv: string[], signal = new AbortController().signal): Promise<string[]> {
  const keys = await createCommandSource(argv, { env, allow: ["ALLOWED", "ABSENT"], timer: never }).load("x", signal);
  return keys.map((key) => new TextDecoder().decode(key));
}

async function load(argv: string[], signal?: AbortSignal): Promise<string | undefined> {
  const keys = await loadAll(argv, signal);
  expect(keys.length).toBe(1);
  return keys[0];
}

async function faultOf(promise: Promise<unknown>): Promise<KeyFault> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof KeyFault) return error;
  throw new Error("no KeyFault");
}

describe("a key command", () => {
  test("gives its output without the one line break at its end", async () => {
    expect(await load(["printf", "sk-ant-12345678\\n"])).toBe("sk-ant-12345678");
    expect(await load(["printf", "sk-ant-12345678\\r\\n"])).toBe("sk-ant-12345678");
    expect(await load(["printf", "sk-ant-12345678"])).toBe("sk-ant-12345678");
    expect(await load(["printf", "sk-ant-12345678\\n\\n"])).toBe("sk-ant-12345678");
  });

  test("gives a key for each line, in their order, and no more than eight", async () => {
    expect(await loadAll(["printf", "sk-first-1\\r\\nsk-second-2\\nsk-third-3"])).toEqual([
      "sk-first-1",
      "sk-second-2",
      "sk-third-3",
    ]);
    expect(await loadAll(["printf", "sk-first-1\\n\\nsk-third-3"])).toEqual(["sk-first-1", "", "sk-third-3"]);
    expect((await faultOf(loadAll(["seq", "9"]))).reason).toBe("the key command printed more than 8 lines");
  });

  test("is run without a shell", async () => {
    expect(await load(["printf", "%s", "$HOME;`id`&&*"])).toBe("$HOME;`id`&&*");
  });

  test("sees PATH, HOME and what is allowed, and nothing else of the environment", async () => {
    const names = (await loadAll(["env"])).map((line) => line.split("=")[0] ?? "");
    expect(names.filter((name) => name !== "_").toSorted()).toEqual(["ALLOWED", "HOME", "PATH"]);
  });

  test("has no input and no terminal to ask on", async () => {
    expect(await load(["sh", "-c", "cat; (: </dev/tty) 2>/dev/null || printf no-terminal"])).toBe("no-terminal");
  });

  test("shows only its exit code when it fails, whatever it writes", async () => {
    const fault = await faultOf(load(["sh", "-c", "echo sk-secret-on-stdout; echo sk-secret-on-stderr >&2; exit 3"]));
    expect(fault.state).toBe("missing");
    expect(fault.reason).toBe("the key command ended with exit code 3");
    expect(Bun.inspect(fault)).not.toContain("sk-secret");
  });

  test("that does not exist, prints nothing or dies is a missing key with its reason", async () => {
    expect((await faultOf(load(["/no/such/program"]))).reason).toContain("cannot be started");
    expect((await faultOf(load(["true"]))).reason).toBe("the key command printed nothing");
    expect((await faultOf(load(["sh", "-c", "kill -9 $$"]))).reason).toMatch(/signal|137/);
  });

  test("that prints without end is stopped at 8 KiB", async () => {
    expect((await faultOf(load(["yes"]))).reason).toBe("the key command printed more than 8192 bytes");
  });

  test("is ended with all its children after ten seconds", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "command-source-")), "pid");
    const fired = Promise.withResolvers<() => void>();
    const timer: StartTimer = (ms, run) => {
      expect(ms).toBe(10_000);
      fired.resolve(run);
      return () => undefined;
    };
    const script = `sleep 600 & echo $! > ${file}.new; mv ${file}.new ${file}; wait`;
    const loading = createCommandSource(["sh", "-c", script], { env, timer }).load("x", new AbortController().signal);
    const failed = faultOf(loading);
    const expire = await fired.promise;
    const child = await pidIn(file);
    expire();
    expect((await failed).reason).toBe("the key command took longer than 10 s");
    await untilGone(child);
  });

  test("is ended when nobody wants the key any more", async () => {
    const abort = new AbortController();
    const loading = faultOf(load(["sleep", "600"], abort.signal));
    abort.abort();
    expect((await loading).reason).toBe("the key command was given up");
  });
});

async function pidIn(file: string): Promise<number> {
  for (;;) {
    if (await Bun.file(file).exists()) return Number(readFileSync(file, "utf8"));
    await Bun.sleep(5);
  }
}

async function untilGone(pid: number): Promise<void> {
  while (process.platform === "linux" && isRunning(pid)) await Bun.sleep(5);
}

/** A zombie that nobody has collected yet does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
