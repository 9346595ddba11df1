// An answer as the bytes that it is made of, for what no framework would write: broken framing, half a head, no end.

import type { Connection } from "./connection.ts";

export type RawAct =
  | { readonly write: string | Uint8Array }
  /** Written again and again until the other side leaves. */
  | { readonly repeat: string | Uint8Array }
  | { readonly wait: (closed: AbortSignal) => Promise<void> }
  /** `close` half-closes behind what was written, `reset` throws away what the other side has not read. */
  | { readonly end: "close" | "reset" | "silence" };

/** Without an `end` the connection stays for the next request. */
export async function playRaw(acts: readonly RawAct[], connection: Connection): Promise<"answered" | "cut"> {
  for (const act of acts) {
    if (connection.closed.aborted) return "answered";
    if ("write" in act) await connection.write(act.write);
    else if ("wait" in act) await act.wait(connection.closed);
    else if ("repeat" in act) await repeat(act.repeat, connection);
    else return end(act.end, connection);
  }
  return "answered";
}

async function repeat(bytes: string | Uint8Array, connection: Connection): Promise<void> {
  while (!connection.closed.aborted) {
    await connection.write(bytes);
    // Slowly: endless is not the same as too much at once. In between others have their turn.
    await Bun.sleep(1);
  }
}

async function end(how: "close" | "reset" | "silence", connection: Connection): Promise<"answered" | "cut"> {
  if (how === "silence") {
    await untilClosed(connection);
    return "answered";
  }
  if (how === "close") connection.close();
  else connection.destroy();
  return "cut";
}

export async function untilClosed({ closed }: Connection): Promise<void> {
  if (closed.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  closed.addEventListener("abort", () => resolve(), { once: true });
  await promise;
}
