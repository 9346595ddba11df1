import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { eventually, refusedStart, startGateway } from "./harness.ts";

setDefaultTimeout(30_000);

const config = { listen: "127.0.0.1:0", timezone: "UTC" };

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function rejection(work: Promise<unknown>): Promise<string> {
  return work.then(() => "no error", String);
}

test("starts a gateway that answers, and leaves neither a process nor a folder behind", async () => {
  let pid = 0;
  let home = "";
  {
    await using gateway = await startGateway({ config });
    ({ pid, home } = gateway);
    expect((await gateway.stats()).config.generation).toBe(1);
    expect(gateway.auditLines()).toEqual([]);
    expect(statSync(gateway.configFile).mode & 0o777).toBe(0o600);
    expect(isRunning(pid)).toBe(true);
  }
  expect(isRunning(pid)).toBe(false);
  expect(existsSync(home)).toBe(false);
});

test("a SIGTERM ends it with 0, and it can be started again on the same home", async () => {
  await using gateway = await startGateway({ config });
  expect(await gateway.stop()).toBe(0);
  expect(await rejection(gateway.stats())).not.toBe("no error");
  await gateway.restart();
  expect((await gateway.stats()).in_flight).toBe(0);
  await gateway.kill9();
  await gateway.restart();
  expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
});

test("a gateway that does not start is an error that shows its output", async () => {
  expect(await rejection(startGateway({ config: "no_such_key: 1\n" }))).toContain("no_such_key");
  expect(await refusedStart({ config: "no_such_key: 1\n" })).toMatchObject({ code: 78 });
});

test("a gateway that ends by itself is an error at the end of its test, with its output", async () => {
  const gateway = await startGateway({ config });
  process.kill(gateway.pid, "SIGKILL");
  await eventually(() => expect(isRunning(gateway.pid)).toBe(false));
  const error = await eventually(async () => {
    const text = await rejection(gateway[Symbol.asyncDispose]());
    expect(text).not.toBe("no error");
    return text;
  });
  expect(error).toContain("ended by itself (SIGKILL)");
  expect(error).toContain("listening on");
});

test("waiting for a condition ends with the condition's own error when the time is up", async () => {
  let looks = 0;
  await eventually(() => expect(++looks).toBe(3));
  const never = eventually(() => expect("this").toBe("that"), 30);
  expect(await rejection(never)).toContain("this");
});
