import { describe, expect, test } from "bun:test";
import { RoomLine } from "./room-line.ts";

/** A line whose patience ends when the test says so. */
function lineOf(): { line: RoomLine; tire: () => void } {
  const tired: (() => void)[] = [];
  const wait = async (_: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      tired.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  return { line: new RoomLine({ patienceMs: 1, wait }), tire: () => tired.splice(0).forEach((end) => end()) };
}

/** So many units to be had; each turn takes some. */
class Room {
  left: number;
  unspent = Infinity;
  readonly served: string[] = [];
  readonly #line: RoomLine;

  constructor(line: RoomLine, left: number) {
    this.#line = line;
    this.left = left;
  }

  async ask(name: string, units: number, agent = "windu", signal = new AbortController().signal): Promise<boolean> {
    const take = (): string | null => {
      if (units > this.left) return null;
      this.left -= units;
      this.served.push(name);
      return name;
    };
    return (await this.#line.take({ agent, signal, take, worthWaiting: () => units <= this.unspent })) !== null;
  }

  give(units: number): void {
    this.left += units;
    this.#line.moved("windu");
  }
}

describe("who lacks money that is only held", () => {
  test("waits, and is served in the order in which they came, also before a later one that would fit at once", async () => {
    const { line } = lineOf();
    const room = new Room(line, 3);
    const asked = [room.ask("first", 5), room.ask("second", 2), room.ask("third", 1)];
    expect(room.served).toEqual([]);
    room.give(2);
    expect(room.served).toEqual(["first"]);
    room.give(3);
    expect(await Promise.all(asked)).toEqual([true, true, true]);
    expect(room.served).toEqual(["first", "second", "third"]);
    expect(line.waiting("windu")).toBe(0);
  });

  test("waits no longer than the patience, and then no longer stands in the way of others", async () => {
    const { line, tire } = lineOf();
    const room = new Room(line, 2);
    const large = room.ask("large", 5);
    tire();
    const small = room.ask("small", 2);
    expect(await large).toBe(false);
    expect(await small).toBe(true);
  });

  test("waits for a shorter time where it says so, and never for a longer one", async () => {
    const waits: number[] = [];
    const wait = async (ms: number): Promise<void> => void waits.push(ms);
    const line = new RoomLine({ patienceMs: 5_000, wait });
    const { signal } = new AbortController();
    const turn = { agent: "windu", signal, take: () => null, worthWaiting: () => true };
    for (const patienceMs of [1_000, 9_000]) expect(await line.take({ ...turn, patienceMs })).toBeNull();
    expect(await line.take(turn)).toBeNull();
    expect(waits).toEqual([1_000, 5_000, 5_000]);
  });

  test("does not wait where the money would not do if all of it came back, nor once that has become so", async () => {
    const { line } = lineOf();
    const room = new Room(line, 1);
    room.unspent = 4;
    expect(await room.ask("larger than the cap", 5)).toBe(false);
    const waiting = room.ask("in time too dear", 4);
    room.unspent = 3;
    room.give(0);
    expect(await waiting).toBe(false);
  });

  test("leaves the line when its client does", async () => {
    const { line } = lineOf();
    const room = new Room(line, 0);
    const client = new AbortController();
    const gone = room.ask("gone", 1, "windu", client.signal);
    client.abort();
    expect(await gone).toBe(false);
    expect(line.waiting("windu")).toBe(0);
  });

  test("does not keep other agents waiting", async () => {
    const { line, tire } = lineOf();
    const room = new Room(line, 1);
    const waiting = room.ask("large", 5);
    expect(await room.ask("other", 1, "mothma")).toBe(true);
    tire();
    expect(await waiting).toBe(false);
  });

  test("goes on at once where sixty-four stand there already", async () => {
    const { line, tire } = lineOf();
    const room = new Room(line, 0);
    const waiting = Array.from({ length: 64 }, async () => room.ask("one of many", 1));
    expect(await room.ask("one too many", 1)).toBe(false);
    tire();
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => false));
  });
});
