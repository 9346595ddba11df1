import { describe, expect, test } from "bun:test";
import { BucketShelf } from "./bucket-shelf.ts";
import { ManualClock } from "./manual-clock.ts";

/** What is on disk, and a machine whose clocks both run. */
class Machine {
  readonly clock = new ManualClock();
  readonly disk = new Map<string, string>();
  bootedMs = 0;
  saves = 0;

  start(): BucketShelf {
    return new BucketShelf({
      clock: this.clock,
      sinceBootMs: () => this.clock.monotonic() - this.bootedMs,
      saved: new Map(this.disk),
      save: (key, json) => {
        this.saves++;
        this.disk.set(key, json);
      },
    });
  }
}

/** Takes as many as there are, as requests would; then the process is killed. */
function spend(shelf: BucketShelf, limit: number): number {
  const bucket = shelf.bucket("provider:p:requests", limit);
  let taken = 0;
  while (bucket.take(1, machineNow(shelf)) === 0) {
    shelf.taken("provider:p:requests", bucket);
    taken++;
  }
  return taken;
}

const clocks = new WeakMap<BucketShelf, ManualClock>();
function machineNow(shelf: BucketShelf): number {
  return clocks.get(shelf)!.monotonic();
}

function started(machine: Machine): BucketShelf {
  const shelf = machine.start();
  clocks.set(shelf, machine.clock);
  return shelf;
}

describe("what was taken of a limit", () => {
  test("F6: fifty restarts give no more than rate times time and one burst", () => {
    for (const limit of [5, 60, 1_000]) {
      const machine = new Machine();
      let taken = 0;
      for (let restart = 0; restart < 50; restart++) {
        taken += spend(started(machine), limit);
        machine.clock.advance(700);
      }
      expect(taken).toBeLessThanOrEqual(limit + (limit * 50 * 700) / 60_000);
      expect(taken).toBeGreaterThanOrEqual(limit);
    }
  });

  test("is known after an orderly end to the last one", () => {
    const machine = new Machine();
    const shelf = started(machine);
    const bucket = shelf.bucket("provider:p:requests", 100);
    for (let i = 0; i < 37; i++) {
      bucket.take(1, machine.clock.monotonic());
      shelf.taken("provider:p:requests", bucket);
    }
    shelf.saveAll();
    expect(started(machine).bucket("provider:p:requests", 100).peek(machine.clock.monotonic())).toBe(63);
  });

  test("costs a tenth more at most where the process was killed", () => {
    const machine = new Machine();
    const shelf = started(machine);
    const bucket = shelf.bucket("provider:p:requests", 100);
    for (let i = 0; i < 37; i++) {
      bucket.take(1, machine.clock.monotonic());
      shelf.taken("provider:p:requests", bucket);
    }
    const after = started(machine).bucket("provider:p:requests", 100).peek(machine.clock.monotonic());
    expect(after).toBeLessThanOrEqual(63);
    expect(after).toBeGreaterThanOrEqual(53);
    expect(machine.saves).toBeLessThanOrEqual(6);
  });

  test("comes back with the time that certainly passed, whatever the wall clock was set to", () => {
    const restarted = (act: (machine: Machine) => void): number => {
      const machine = new Machine();
      const shelf = started(machine);
      const bucket = shelf.bucket("provider:p:requests", 60);
      bucket.take(60, machine.clock.monotonic());
      shelf.taken("provider:p:requests", bucket);
      shelf.saveAll();
      act(machine);
      return started(machine).bucket("provider:p:requests", 60).peek(machine.clock.monotonic());
    };
    expect(restarted((m) => m.clock.advance(10_000))).toBe(10);
    expect(restarted((m) => m.clock.jump(86_400_000))).toBe(0);
    expect(restarted((m) => m.clock.jump(-86_400_000))).toBe(0);
    const reboot = (m: Machine): void => {
      m.clock.advance(30_000);
      m.bootedMs = m.clock.monotonic() - 4_000;
    };
    expect(restarted(reboot)).toBe(4);
  });

  test("stays taken where the limit is another one after the restart", () => {
    const machine = new Machine();
    const shelf = started(machine);
    const bucket = shelf.bucket("agent:windu", 60);
    bucket.take(50, machine.clock.monotonic());
    shelf.taken("agent:windu", bucket);
    shelf.saveAll();
    expect(started(machine).bucket("agent:windu", 100).peek(machine.clock.monotonic())).toBe(50);
  });

  test("is full where nothing was saved, or what was saved is not readable", () => {
    const machine = new Machine();
    machine.disk.set("bucket:agent:a", '{"limit":10}');
    machine.disk.set("bucket:agent:b", "null");
    for (const name of ["agent:a", "agent:b", "agent:c"]) {
      expect(started(machine).bucket(name, 10).peek(machine.clock.monotonic())).toBe(10);
    }
  });

  test("survives a limit that a reload takes away and another brings back", () => {
    const machine = new Machine();
    const shelf = started(machine);
    spend(shelf, 10);
    expect(shelf.bucket("provider:p:requests", 10).peek(machine.clock.monotonic())).toBeLessThanOrEqual(0);
  });
});
