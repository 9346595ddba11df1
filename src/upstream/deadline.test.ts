import { describe, expect, test } from "bun:test";
import { Deadline } from "./deadline.ts";

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}

/** A client's signal that tells how many listen to it. */
function counted(): { signal: AbortSignal; abort: () => void; listeners: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { signal, abort: () => controller.abort(), listeners: () => listeners };
}

describe("a deadline", () => {
  test("aborts its signal and says which one it was", async () => {
    const deadline = new Deadline(new AbortController().signal);
    deadline.arm("timeout_first_byte", 1);
    await aborted(deadline.signal);
    expect([deadline.expired, deadline.clientGone]).toEqual(["timeout_first_byte", false]);
  });

  test("that passes while the machine sleeps leaves time to read what has arrived meanwhile", async () => {
    const clock = { ms: 0, monotonic: () => clock.ms };
    const waiting = new Deadline(new AbortController().signal, clock);
    waiting.arm("timeout_first_byte", 1);
    const silent = new Deadline(new AbortController().signal, clock);
    silent.watch("timeout_idle", 1, () => clock.ms);
    clock.ms = 60_000;
    const { promise: passed, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 10);
    await passed;
    expect([waiting.expired, silent.expired]).toEqual([null, null]);
    waiting.close();
    silent.close();
  });

  test("is replaced by the next one", async () => {
    const deadline = new Deadline(new AbortController().signal);
    deadline.arm("timeout_first_byte", 1);
    deadline.arm("timeout_first_content", 5);
    await aborted(deadline.signal);
    expect(deadline.expired).toBe("timeout_first_content");
  });

  test("of the whole attempt passes whatever the steps do, and ends with the attempt", async () => {
    const deadline = new Deadline(new AbortController().signal);
    deadline.limit("timeout_total", 5);
    deadline.arm("timeout_first_content", 10_000);
    deadline.watch("timeout_idle", 10_000, () => 0);
    const ended = new Deadline(new AbortController().signal);
    ended.limit("timeout_total", 1);
    ended.close();
    await aborted(deadline.signal);
    expect([deadline.expired, ended.expired]).toEqual(["timeout_total", null]);
    deadline.close();
  });

  test("keeps the first reason: what comes after the end changes nothing", () => {
    const deadline = new Deadline(new AbortController().signal);
    deadline.expire("timeout_connect");
    deadline.expire("timeout_idle");
    expect(deadline.expired).toBe("timeout_connect");
    const ended = new Deadline(new AbortController().signal);
    ended.abort();
    ended.expire("timeout_idle");
    expect([ended.signal.aborted, ended.expired]).toEqual([true, null]);
  });

  test("of more than 24 days does not pass at once", async () => {
    const deadline = new Deadline(new AbortController().signal);
    deadline.arm("timeout_first_byte", 2 ** 40);
    await Bun.sleep(5);
    expect(deadline.signal.aborted).toBe(false);
    deadline.close();
  });

  test("that is closed never passes, and lets the client's signal go", async () => {
    const client = counted();
    const deadline = new Deadline(client.signal);
    deadline.arm("timeout_first_byte", 1);
    expect(client.listeners()).toBe(1);
    deadline.close();
    expect(client.listeners()).toBe(0);
    await Bun.sleep(5);
    expect([deadline.signal.aborted, deadline.expired]).toEqual([false, null]);
  });
});

describe("a watch", () => {
  test("passes when the silence has lasted, and goes on where a sign of life came meanwhile", async () => {
    const deadline = new Deadline(new AbortController().signal);
    const silences = [0, 3, 10];
    const asked: number[] = [];
    deadline.watch("timeout_idle", 10, () => {
      asked.push(silences[asked.length] ?? 10);
      return asked[asked.length - 1]!;
    });
    await aborted(deadline.signal);
    expect([asked, deadline.expired]).toEqual([[0, 3, 10], "timeout_idle"]);
  });

  test("that is closed asks no more", async () => {
    const deadline = new Deadline(new AbortController().signal);
    let asked = 0;
    deadline.watch("timeout_idle", 1, () => {
      asked++;
      return 0;
    });
    deadline.close();
    await Bun.sleep(10);
    expect(asked).toBe(1);
  });
});

describe("a client that goes away", () => {
  test("ends the call, which is no timeout", () => {
    const client = counted();
    const deadline = new Deadline(client.signal);
    client.abort();
    expect([deadline.signal.aborted, deadline.clientGone, deadline.expired]).toEqual([true, true, null]);
  });

  test("before the call was made lets none be made", () => {
    const deadline = new Deadline(AbortSignal.abort());
    expect([deadline.signal.aborted, deadline.clientGone]).toEqual([true, true]);
  });
});
