import { beforeEach, describe, expect, test } from "bun:test";
import type { Provider } from "../request.ts";
import { providerAt, StillClock } from "./sample-keyed.ts";
import type { Look } from "./server-look.ts";
import { ServerWatch, type Standing } from "./server-watch.ts";

const ready: Look = { state: "ready", listed: ["m"], loaded: new Map([["m", ""]]) };
const loading: Look = { state: "loading", listed: null, loaded: null };
const away: Look = { state: "down", listed: null, loaded: null };

/** Pauses end when the test says so; each is kept with its length. */
class Pauses {
  readonly open: { readonly ms: number; readonly end: () => void }[] = [];

  readonly wait = async (ms: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const pause = { ms, end: resolve };
    this.open.push(pause);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    this.open.splice(this.open.indexOf(pause), 1);
  };

  /** Ends the only one and gives its length. */
  async next(): Promise<number> {
    await turns();
    expect(this.open).toHaveLength(1);
    const { ms, end } = this.open[0]!;
    end();
    await turns();
    return ms;
  }
}

/** All that is ready to go on has gone on. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

const home = providerAt("http://127.0.0.1:1/v1", { name: "home", local: true });
const cloud = providerAt("http://127.0.0.1:2/v1", { name: "cloud" });

describe("a local server", () => {
  let clock = new StillClock();
  let pauses = new Pauses();
  let seen: Look | null = ready;
  let looks: string[] = [];
  let changes: string[] = [];
  let watch = newWatch();

  function newWatch(look?: (provider: Provider) => Promise<Look | null>): ServerWatch {
    return new ServerWatch({
      clock,
      wait: pauses.wait,
      onChange: (name, { state }: Standing) => changes.push(`${name} ${state}`),
      look:
        look ??
        (async ({ name }) => {
          looks.push(name);
          return seen;
        }),
    });
  }

  beforeEach(() => {
    clock = new StillClock();
    pauses = new Pauses();
    seen = ready;
    looks = [];
    changes = [];
    watch = newWatch();
  });

  test("is looked at as soon as it is known, and a cloud never", async () => {
    watch.configure([home, cloud]);
    expect(watch.standing("home")?.state).toBe("unknown");
    await turns();
    expect(watch.standing("home")).toMatchObject({ state: "ready", listed: ["m"] });
    expect(watch.standing("cloud")).toBeUndefined();
    expect([looks, changes]).toEqual([["home"], ["home ready"]]);
  });

  test("is looked at seldom while it is well, and each second or so while somebody waits for it", async () => {
    watch.configure([home]);
    expect(await pauses.next()).toBe(5_000);
    seen = loading;
    expect(await pauses.next()).toBe(5_000);
    expect(await pauses.next()).toBe(1_000);
    seen = ready;
    expect(await pauses.next()).toBe(1_000);
    expect(await pauses.next()).toBe(5_000);
  });

  test("that is away is looked for within a second, then less often, at least each five seconds", async () => {
    seen = away;
    watch.configure([home]);
    const pausesInTurn = [];
    for (let count = 0; count < 6; count++) pausesInTurn.push(await pauses.next());
    expect(pausesInTurn).toEqual([1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
    seen = ready;
    await pauses.next();
    seen = away;
    await pauses.next();
    expect(await pauses.next()).toBe(1_000);
  });

  test("is looked at at once where an attempt could not reach it", async () => {
    watch.configure([home]);
    await turns();
    seen = away;
    watch.doubt("home");
    await turns();
    expect([watch.standing("home")?.state, looks.length]).toEqual(["down", 2]);
  });

  test("tells changes of its state, its models and its memory, and nothing else", async () => {
    watch.configure([home]);
    await pauses.next();
    expect(changes).toEqual(["home ready"]);
    seen = { ...ready, listed: ["m", "n"] };
    await pauses.next();
    seen = { ...ready, listed: ["m", "n"], loaded: new Map([["n", ""]]) };
    await pauses.next();
    await pauses.next();
    expect(changes).toHaveLength(3);
    seen = away;
    await pauses.next();
    expect(changes.at(-1)).toBe("home down");
  });

  test("is as it was seen last while it is too busy to answer", async () => {
    watch.configure([home]);
    await pauses.next();
    seen = null;
    await pauses.next();
    expect(watch.standing("home")?.state).toBe("ready");
  });

  test("has the models that it had while it is away or loads: they are what it will have", async () => {
    watch.configure([home]);
    await pauses.next();
    for (const look of [away, loading]) {
      seen = look;
      await pauses.next();
      expect(watch.standing("home")).toMatchObject({ state: look.state, listed: ["m"], loaded: null });
    }
  });

  test("is another run once it was away or has loaded, since when is told, and being seen again changes neither", async () => {
    watch.configure([home]);
    await pauses.next();
    clock.ms += 5_000;
    await pauses.next();
    expect(watch.standing("home")).toMatchObject({ run: 0, since: 1_000 });
    for (const [look, run] of [
      [away, 1],
      [loading, 2],
    ] as const) {
      seen = look;
      await pauses.next();
      clock.ms += 1_000;
      seen = ready;
      await pauses.next();
      expect(watch.standing("home")).toMatchObject({ run, since: clock.ms });
    }
  });

  test("that says that it loads is believed at once, and waited for until it does not any more", async () => {
    watch.configure([home]);
    await turns();
    seen = loading;
    watch.sawLoading("home");
    expect(watch.standing("home")?.state).toBe("loading");
    const loaded = watch.loaded("home", { signal: new AbortController().signal, ms: 60_000 });
    let over = false;
    void loaded.then(() => (over = true));
    await turns();
    expect(over).toBe(false);
    seen = ready;
    await endPause(1_000);
    await loaded;
    expect(watch.standing("home")?.state).toBe("ready");
    expect(pauses.open.map(({ ms }) => ms)).toEqual([5_000]);
  });

  test("is waited for no longer than one wants to, nor after one has gone", async () => {
    seen = loading;
    watch.configure([home]);
    await turns();
    const patient = watch.loaded("home", { signal: new AbortController().signal, ms: 777 });
    const gone = new AbortController();
    const leaver = watch.loaded("home", { signal: gone.signal, ms: 888 });
    gone.abort();
    await leaver;
    await endPause(777);
    await patient;
    expect(watch.standing("home")?.state).toBe("loading");
    expect(pauses.open).toHaveLength(1);
  });

  test("is looked at once however many ask at a time", async () => {
    const answer = Promise.withResolvers<Look>();
    let count = 0;
    watch = newWatch(async () => {
      count++;
      return answer.promise;
    });
    watch.configure([home]);
    const asked = Promise.all([watch.lookNow("home"), watch.lookNow("home")]);
    answer.resolve(ready);
    expect((await asked).map((standing) => standing?.state)).toEqual(["ready", "ready"]);
    expect(count).toBe(1);
  });

  test("keeps what is known of it across a new configuration, unless it stands elsewhere", async () => {
    watch.configure([home]);
    await turns();
    watch.configure([{ ...home, retry: { attempts: 9, baseMs: 1, maxMs: 1 } }]);
    expect(watch.standing("home")?.state).toBe("ready");
    watch.configure([{ ...home, url: "http://127.0.0.1:3/v1" }]);
    expect(watch.standing("home")?.state).toBe("unknown");
    watch.configure([]);
    expect(watch.standing("home")).toBeUndefined();
    await turns();
    expect(pauses.open).toEqual([]);
  });

  test("is not looked at any more once the watch is over, and nobody waits on", async () => {
    seen = loading;
    watch.configure([home]);
    await turns();
    const waiting = watch.loaded("home", { signal: new AbortController().signal, ms: 60_000 });
    await watch[Symbol.asyncDispose]();
    await waiting;
    await turns();
    expect(pauses.open).toEqual([]);
  });

  async function endPause(length: number): Promise<void> {
    pauses.open.find(({ ms }) => ms === length)!.end();
    await turns();
  }
});
