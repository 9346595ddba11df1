import { describe, expect, test } from "bun:test";

import { buildConfig } from "./build.ts";
import { checkConfig } from "./check.ts";
import { Generations } from "./generations.ts";
import type { GenerationsOptions } from "./generations.ts";
import type { Config, Fault } from "./types.ts";

function configOf(text = ""): Config {
  const checked = checkConfig(text, "/c.yaml");
  if ("faults" in checked) throw new Error("the test's configuration is faulty");
  return buildConfig(checked.content, "/c.yaml", { home: "/h", localTimezone: "UTC" });
}

const fault: Fault = { file: "c.yaml", line: 1, column: 1, keyPath: "a", problem: "is wrong", remedy: "mend it" };

class Part implements AsyncDisposable {
  readonly number: number;
  readonly log: string[];
  constructor(number: number, log: string[]) {
    this.number = number;
    this.log = log;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.log.push(`disposed ${this.number}`);
  }
}

interface Bench {
  readonly generations: Generations<Part>;
  readonly log: string[];
  readonly time: { now: number };
  build: (config: Config, number: number) => Part | Promise<Part>;
}

async function bench(text = "", change: Partial<GenerationsOptions<Part>> = {}): Promise<Bench> {
  const log: string[] = [];
  const time = { now: 1_000 };
  const parts: Bench = { log, time, build: (_, number) => new Part(number, log) } as Bench;
  const generations = await Generations.start<Part>(configOf(text), {
    clock: { now: () => time.now, monotonic: () => time.now },
    build: (config, number) => parts.build(config, number),
    onFault: (faults, cause) => void log.push(`fault ${faults.length}${cause === undefined ? "" : " with cause"}`),
    onLoaded: (generation) => void log.push(`loaded ${generation.number}`),
    onRestartNeeded: (keys) => void log.push(`restart needed: ${keys.join(", ")}`),
    onDisposeFailed: (_, number) => void log.push(`dispose failed ${number}`),
    ...change,
  });
  return Object.assign(parts, { generations });
}

describe("a new configuration", () => {
  test("is in force at once, and the old one is disposed when nobody uses it", async () => {
    const { generations, log, time } = await bench();
    expect(generations.current).toMatchObject({ number: 1, loadedAt: 1_000 });
    time.now = 2_000;
    expect(await generations.apply({ config: configOf("timezone: UTC") })).toBe(true);
    expect(generations.current).toMatchObject({ number: 2, loadedAt: 2_000, value: { number: 2 } });
    expect(log).toEqual(["disposed 1", "loaded 2"]);
  });

  test("leaves requests in flight on the one that they began with, until the last has left", async () => {
    const { generations, log } = await bench();
    const one = generations.acquire();
    const two = generations.acquire();
    for (let round = 0; round < 50; round++) await generations.apply({ config: configOf() });
    expect(generations.acquire().number).toBe(51);
    expect([one.number, two.number]).toEqual([1, 1]);
    generations.release(one);
    expect(log).not.toContain("disposed 1");
    generations.release(two);
    expect(log.filter((line) => line === "disposed 1")).toHaveLength(1);
    expect(log.filter((line) => line.startsWith("disposed"))).toHaveLength(50);
  });

  test("is built in turn, however fast they come", async () => {
    const made = await bench();
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const order: number[] = [];
    made.build = async (_, number) => {
      order.push(number);
      await gates[number - 2]?.promise;
      return new Part(number, made.log);
    };
    const first = made.generations.apply({ config: configOf() });
    const second = made.generations.apply({ config: configOf() });
    gates[1]!.resolve();
    await Promise.resolve();
    expect(order.length).toBeLessThan(2);
    gates[0]!.resolve();
    expect(await Promise.all([first, second])).toEqual([true, true]);
    expect(order).toEqual([2, 3]);
    expect(made.generations.current.number).toBe(3);
  });

  test("that listens elsewhere is in force, and asks for a restart until it listens as before", async () => {
    const { generations, log } = await bench("listen: 127.0.0.1:1");
    await generations.apply({ config: configOf("listen: [127.0.0.1:1, 127.0.0.1:2]") });
    expect([generations.restartNeeded, generations.current.number]).toEqual([["listen"], 2]);
    await generations.apply({ config: configOf("listen: 127.0.0.1:1\nhost_names: [a]\naudit: { file: /b }") });
    expect(generations.restartNeeded).toEqual(["host_names", "audit.file"]);
    await generations.apply({ config: configOf("listen: 127.0.0.1:1") });
    expect(generations.restartNeeded).toEqual([]);
    expect(log.filter((line) => line.startsWith("restart"))).toEqual([
      "restart needed: listen",
      "restart needed: host_names, audit.file",
    ]);
  });
});

describe("a faulty configuration", () => {
  test("changes nothing, is told once, and is remembered with the time of its first sight", async () => {
    const { generations, log, time } = await bench();
    for (time.now = 5_000; time.now < 5_003; time.now++) {
      expect(await generations.apply({ faults: [fault] })).toBe(false);
    }
    expect(generations.current.number).toBe(1);
    expect(generations.fault).toEqual({ since: 5_000, faults: [fault] });
    expect(log).toEqual(["fault 1"]);
    await generations.apply({ faults: [fault, { ...fault, line: 2 }] });
    expect(log).toEqual(["fault 1", "fault 2"]);
    expect(generations.fault?.since).toBe(5_000);
  });

  test("is forgotten with the next good one, and told again when it comes back", async () => {
    const { generations, log } = await bench();
    await generations.apply({ faults: [fault] });
    await generations.apply({ config: configOf() });
    expect(generations.fault).toBeNull();
    await generations.apply({ faults: [fault] });
    expect(log).toEqual(["fault 1", "disposed 1", "loaded 2", "fault 1"]);
  });

  test("is also one from which nothing can be built", async () => {
    const made = await bench();
    made.build = () => {
      throw new Error("no such certificate");
    };
    expect(await made.generations.apply({ config: configOf() })).toBe(false);
    expect(made.generations.current.number).toBe(1);
    expect(made.generations.fault?.faults[0]?.problem).toBe("could not be put to use");
    expect(made.log).toEqual(["fault 1 with cause"]);
  });
});

describe("the end", () => {
  test("comes when every user has left every generation", async () => {
    const { generations, log } = await bench();
    const old = generations.acquire();
    await generations.apply({ config: configOf() });
    const current = generations.acquire();
    let over = false;
    const end = generations[Symbol.asyncDispose]().then(() => (over = true));
    expect(await generations.apply({ config: configOf() })).toBe(false);
    generations.release(current);
    await Promise.resolve();
    expect(over).toBe(false);
    generations.release(old);
    await end;
    expect(log.filter((line) => line.startsWith("disposed")).sort()).toEqual(["disposed 1", "disposed 2"]);
    await generations[Symbol.asyncDispose]();
  });

  test("of a generation that does not close properly is told and does no harm", async () => {
    const made = await bench();
    made.build = (_, number) =>
      Object.assign(new Part(number, made.log), {
        [Symbol.asyncDispose]: () => Promise.reject(new Error("stuck")),
      });
    await made.generations.apply({ config: configOf() });
    await made.generations.apply({ config: configOf() });
    await made.generations[Symbol.asyncDispose]();
    expect(made.log.filter((line) => line.startsWith("dispose failed"))).toEqual([
      "dispose failed 2",
      "dispose failed 3",
    ]);
  });
});

test("releasing more often than acquiring is a bug that shows itself", async () => {
  const { generations } = await bench();
  const held = generations.acquire();
  generations.release(held);
  expect(() => generations.release(held)).toThrow("more often");
});
