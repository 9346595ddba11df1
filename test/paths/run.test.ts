// `sanctum run AGENT -- COMMAND`: the command has a token of its own, which lives exactly as long as the command.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { merge, smallBody, startHouse, type House } from "../fakes/house.ts";
import { eventually } from "../harness.ts";

setDefaultTimeout(30_000);

const program = fileURLToPath(new URL("../../bin/sanctum", import.meta.url));

let house: House;
const ends: (() => void)[] = [];

beforeAll(async () => {
  house = await startHouse({ config: { identity: { anonymous: "never" } } });
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

interface Options {
  readonly env?: Readonly<Record<string, string>>;
  readonly home?: string;
}

interface Started {
  readonly pid: number;
  readonly exited: Promise<number>;
  readonly signal: () => NodeJS.Signals | number | null;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** All that came on standard output and on standard error so far. */
  readonly said: { out: string; err: string };
  readonly type: (text: string) => void;
  readonly closeInput: () => void;
  /** Resolves when both outputs are at their end. */
  readonly read: Promise<unknown>;
}

/** `sanctum run …words`, with pipes. */
function sanctumRun(words: readonly string[], { env, home }: Options = {}): Started {
  const child = Bun.spawn(["sh", program, "run", ...words], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", SANCTUM_HOME: home ?? house.gateway.home, ...env },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  ends.push(() => child.kill("SIGKILL"));
  const said = { out: "", err: "" };
  const collect = async (stream: ReadableStream<Uint8Array>, key: "out" | "err"): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) said[key] += decoder.decode(bytes, { stream: true });
  };
  return {
    pid: child.pid,
    exited: child.exited,
    signal: () => child.signalCode,
    kill: (signal) => child.kill(signal),
    said,
    type: (text) => {
      void child.stdin.write(text);
      void child.stdin.flush();
    },
    closeInput: () => void child.stdin.end(),
    read: Promise.all([collect(child.stdout, "out"), collect(child.stderr, "err")]),
  };
}

/** A command that tells its process id and its token, and lives until its input ends; a signal in `traps` is told. */
function living(...traps: readonly string[]): string[] {
  const lines = traps.map((name) => `trap 'echo got-${name}' ${name}`);
  // A shell that waits for a child hears signals at once; the child reads until the input ends.
  const wait = "exec 3<&0; cat <&3 >/dev/null & child=$!; while kill -0 $child 2>/dev/null; do wait $child; done";
  return ["sh", "-c", [...lines, 'echo "$$ $SANCTUM_TOKEN"', wait, "exit 5"].join("\n")];
}

async function tokenIn(run: Started): Promise<{ pid: number; token: string }> {
  const line = await eventually(
    () => /^(\d+) (sk-sanctum-\S+)\n/m.exec(run.said.out) ?? Promise.reject(new Error(run.said.err)),
  );
  return { pid: Number(line[1]), token: line[2]! };
}

async function statusWith(token: string, from: House = house): Promise<number> {
  const response = await fetch(`${from.gateway.url}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: smallBody("messages", "claude-sonnet-4-5"),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Everything in the house's home, as one text. */
function allFiles(folder: string): string {
  return readdirSync(folder, { withFileTypes: true })
    .map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return allFiles(path);
      return statSync(path).isFile() ? readFileSync(path, "latin1") : "";
    })
    .join("\n");
}

describe("the command's token", () => {
  test("is the agent's while the command runs, for what the environment says, and unknown when it has ended", async () => {
    const run = sanctumRun(["windu", "--", ...living()]);
    const { token } = await tokenIn(run);
    expect(token).toStartWith("sk-sanctum-windu-");
    expect(await statusWith(token)).toBe(200);
    expect(await house.gateway.auditLine(() => true)).toMatchObject({ agent: "windu", auth: "token", status: 200 });
    run.closeInput();
    expect(await run.exited).toBe(5);
    await eventually(async () => expect(await statusWith(token)).toBe(401));
  });

  test("is in no file of the gateway and in nothing that it prints", async () => {
    const run = sanctumRun(["windu", "--", ...living()]);
    const { token } = await tokenIn(run);
    expect(await statusWith(token)).toBe(200);
    const hash = new Bun.CryptoHasher("sha256").update(token).digest("hex");
    for (const text of [allFiles(house.gateway.home), house.gateway.output()]) {
      expect(text.includes(token)).toBe(false);
      expect(text.includes(hash)).toBe(false);
    }
  });

  test("is another one for each command, and the end of one is not the end of the other", async () => {
    const [first, second] = [sanctumRun(["windu", "--", ...living()]), sanctumRun(["mothma", "--", ...living()])];
    const tokens = await Promise.all([tokenIn(first), tokenIn(second)]);
    first.closeInput();
    await first.exited;
    await eventually(async () => expect(await statusWith(tokens[0].token)).toBe(401));
    expect(await statusWith(tokens[1].token)).toBe(200);
  });

  test("ends when `sanctum run` is killed with SIGKILL, although the command lives on", async () => {
    const run = sanctumRun(["windu", "--", ...living()]);
    const { pid, token } = await tokenIn(run);
    expect(await statusWith(token)).toBe(200);
    run.kill("SIGKILL");
    await run.exited;
    await eventually(async () => expect(await statusWith(token)).toBe(401));
    expect(process.kill(pid, 0)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  test("outlives a reload, and ends for good with its agent, which is told", async () => {
    const run = sanctumRun(["windu", "--", ...living()]);
    const { token } = await tokenIn(run);
    const generation = async (): Promise<number> => (await house.gateway.stats()).config.generation;
    const write = async (config: object): Promise<void> => {
      const before = await generation();
      house.gateway.writeConfig(config);
      await eventually(async () => expect(await generation()).toBeGreaterThan(before));
    };
    await write(merge(house.config, { agents: { jocasta: { daily_usd: 1 } } }));
    expect(await statusWith(token)).toBe(200);
    const { windu: _, ...others } = house.config["agents"] as Record<string, unknown>;
    await write({ ...house.config, agents: others });
    expect(await statusWith(token)).toBe(401);
    await eventually(() => expect(run.said.err).toContain("sanctum: there is no agent windu any more: the token"));
    await write(house.config);
    expect(await statusWith(token)).toBe(401);
    run.closeInput();
    expect(await run.exited).toBe(5);
  });

  test("ends with the gateway, which is told, and is unknown to the next one; the command goes on", async () => {
    await using own = await startHouse();
    const run = sanctumRun(["windu", "--", ...living()], { home: own.gateway.home });
    const { token } = await tokenIn(run);
    expect(await statusWith(token, own)).toBe(200);
    await own.gateway.restart();
    await eventually(() => expect(run.said.err).toContain("sanctum: the gateway has stopped: the token"));
    expect(await statusWith(token, own)).toBe(401);
    run.closeInput();
    expect(await run.exited).toBe(5);
  });
});

describe("the command itself", () => {
  test("has the caller's own input, output and error output, and its arguments as they are", async () => {
    const shown = sanctumRun(["windu", "--", "printf", "%s\\n", "--config", "x y", "--json", "--", "*"]);
    expect(await shown.exited).toBe(0);
    await shown.read;
    expect(shown.said).toEqual({ out: "--config\nx y\n--json\n--\n*\n", err: "" });
    const piped = sanctumRun(["windu", "--", "sh", "-c", "cat; echo oops >&2"]);
    piped.type("through\n");
    piped.closeInput();
    await piped.read;
    expect(piped.said).toEqual({ out: "through\n", err: "oops\n" });
  });

  test("gives its exit code, and its end by a signal", async () => {
    for (const code of [0, 1, 42, 255]) {
      expect(await sanctumRun(["windu", "--", "sh", "-c", `exit ${code}`]).exited).toBe(code);
    }
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      const run = sanctumRun(["windu", "--", "sh", "-c", `kill -${signal.slice(3)} $$`]);
      await run.exited;
      expect(run.signal()).toBe(signal);
    }
    expect(await sanctumRun(["windu", "--", "sh", "-c", "kill -KILL $$"]).exited).toBe(128 + 9);
  });

  test("gets the signals that are sent to `sanctum run`", async () => {
    const names = ["TERM", "HUP", "USR1", "USR2", "INT", "QUIT"];
    const run = sanctumRun(["windu", "--", ...living(...names)]);
    await tokenIn(run);
    for (const name of names) {
      run.kill(`SIG${name}` as NodeJS.Signals);
      await eventually(() => expect(run.said.out).toContain(`got-${name}\n`));
    }
    run.closeInput();
    expect(await run.exited).toBe(5);
  });

  test("gets a terminal's Ctrl-C once", async () => {
    let shown = "";
    // A second signal would be told before the echo that is typed after it.
    const script =
      'trap \'echo got-INT\' INT; echo ready; while :; do read line && echo "line-$line"; [ "$line" = end ] && exit 3; done';
    const child = Bun.spawn(["sh", program, "run", "windu", "--", "sh", "-c", script], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", SANCTUM_HOME: house.gateway.home },
      terminal: {
        data: (_terminal, bytes) => {
          shown += new TextDecoder().decode(bytes);
        },
      },
    });
    ends.push(() => child.kill("SIGKILL"));
    await eventually(() => expect(shown).toContain("ready"));
    child.terminal?.write("\x03");
    await eventually(() => expect(shown).toContain("got-INT"));
    child.terminal?.write("next\n");
    await eventually(() => expect(shown).toContain("line-next"));
    child.terminal?.write("end\n");
    expect(await child.exited).toBe(3);
    expect(shown.split("got-INT").length - 1).toBe(1);
  });

  test("has no real key of its caller, who is told so", async () => {
    const env = { ANTHROPIC_API_KEY: "real-key-1", GEMINI_API_KEY: "real-key-2", CLAUDE_CODE_USE_BEDROCK: "1" };
    const run = sanctumRun(["windu", "--", "env"], { env });
    expect(await run.exited).toBe(0);
    await run.read;
    expect(run.said.out).not.toContain("real-key");
    expect(run.said.out).not.toContain("CLAUDE_CODE_USE_BEDROCK");
    expect(run.said.out).toContain(`ANTHROPIC_BASE_URL=${house.gateway.url}\n`);
    expect(run.said.err).toBe(
      "sanctum: replaced for this command: ANTHROPIC_API_KEY\n" +
        "sanctum: taken out for this command: CLAUDE_CODE_USE_BEDROCK, GEMINI_API_KEY\n",
    );
  });
});

describe("what can't be run is told with what to do", () => {
  const cases: readonly [string, readonly string[], number, string][] = [
    [
      "an unknown agent",
      ["yoda", "--", "true"],
      1,
      "there is no agent yoda; known: windu, mothma, default. Add one with",
    ],
    ["no command", ["windu"], 2, "no command; write it after --: sanctum run windu -- claude"],
    ["nothing", [], 2, "missing required argument 'agent'"],
    ["an option before --", ["windu", "--model", "x"], 2, "unknown option '--model'"],
    [
      "a command that is not there",
      ["windu", "--", "no-such-command"],
      127,
      "no-such-command: there is no such command",
    ],
    ["a command that is no program", ["windu", "--", "/etc/passwd"], 126, "/etc/passwd: can't be executed"],
    ["a socket that is not listened on", ["--unix", "windu", "--", "true"], 1, "the gateway listens on no Unix socket"],
  ];
  for (const [name, words, code, text] of cases) {
    test(name, async () => {
      const run = sanctumRun(words);
      expect(await run.exited).toBe(code);
      await run.read;
      expect(run.said.out).toBe("");
      expect(run.said.err).toContain(text);
    });
  }

  test("no gateway", async () => {
    const run = sanctumRun(["windu", "--", "true"], { home: "/nonexistent" });
    expect(await run.exited).toBe(1);
    await run.read;
    expect(run.said.err).toBe("sanctum: The gateway is not running. Start it with `sanctum start`.\n");
  });
});
