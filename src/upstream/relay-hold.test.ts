import { describe, expect, test } from "bun:test";
import { AttemptError } from "../errors.ts";
import { codecs } from "../wire/codecs.ts";
import type { NeutralEvent } from "../wire/neutral.ts";
import { Deadline } from "./deadline.ts";
import { StreamRelay } from "./relay.ts";
import { keyedOf, providerAt, StillClock } from "./sample-keyed.ts";

const begun =
  'data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}}]}\n\n';
const timeouts = { connectMs: 60_000, firstByteMs: 60_000, firstContentMs: 60_000, idleMs: 5, totalMs: 60_000 };

/** One chunk, and then silence until the call is ended. */
function silentAfter(
  text: string,
  signal: AbortSignal,
): Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel"> {
  let given = false;
  return {
    read: async () => {
      if (!given) {
        given = true;
        return { done: false, value: new TextEncoder().encode(text) };
      }
      const { promise, reject } = Promise.withResolvers<never>();
      const fail = (): void => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) fail();
      signal.addEventListener("abort", fail, { once: true });
      return promise;
    },
    cancel: async () => undefined,
  };
}

describe("what is held back", () => {
  test("is not shown, but it is a sign of life: from the first word on silence counts, not the length of the whole", async () => {
    const clock = new StillClock();
    const client = new AbortController();
    const keyed = keyedOf({
      dialect: "chat",
      signal: client.signal,
      provider: providerAt("http://127.0.0.1:9", { timeouts }),
      facts: { stream: true },
    });
    const deadline = new Deadline(client.signal);
    const reader = codecs.chat.createReader();
    const seen: NeutralEvent[] = [];
    const relay = new StreamRelay({
      keyed,
      deadline,
      clock,
      redact: (text) => text,
      source: silentAfter(begun, deadline.signal),
      sentAt: clock.ms,
      keepAliveMs: Infinity,
      rendering: {
        read: (event) => reader.read(event),
        release: (events) => {
          seen.push(...events);
          // What comes now takes longer than the upstream may be silent, and shorter than it may take to begin.
          queueMicrotask(() => (clock.ms += 10));
          return [];
        },
        render: (_, events) => events.map(({ type }) => type).join(),
        terminal: () => "",
        ping: () => "",
        fail: () => "",
      },
    });
    const outcome = await relay.firstContent().then(
      (text) => text,
      (error: unknown) => (error instanceof AttemptError ? error.outcome : error),
    );
    expect(seen.map(({ type }) => type)).toContain("tool_start");
    expect(outcome).toBe("timeout_idle");
  });
});
