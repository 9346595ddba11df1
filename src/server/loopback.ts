// `localhost` is two addresses, 127.0.0.1 and ::1. Whoever takes the one that we left gets, with the token, what clients
// send to `localhost`: both are taken, or none.

import { networkInterfaces } from "node:os";
import { listen, type Listener, type ListenerParts, type ListenOn } from "./listener.ts";

/** With port 0: so many ports are tried until one is free on both addresses. */
const tries = 16;

/**
 * Listens on `parts.address` and, where that is loopback, on the other loopback address too; the asked one comes first in
 * the result. `others` are all addresses of the configuration. Throws the system's error, or one that says who is in the way.
 */
export async function listenOnLoopback(parts: ListenerParts, others: readonly ListenOn[]): Promise<Listener[]> {
  const address = parts.address.host === "localhost" ? { ...parts.address, host: "127.0.0.1" } : parts.address;
  const twinHost = twinOf(address, others);
  for (let left = tries; ; left--) {
    const first = listen({ ...parts, address });
    if (twinHost === null) return [first];
    const port = Number(new URL(first.url).port);
    const twin = {
      ...address,
      host: twinHost,
      port,
      text: `${twinHost.includes(":") ? `[${twinHost}]` : twinHost}:${port}`,
    };
    try {
      return [first, listen({ ...parts, address: twin })];
    } catch (cause) {
      await first.kill();
      if (!isTaken(cause)) throw cause;
      if (address.port === 0 && left > 1) continue;
      throw new Error(
        `${twin.text} is taken by another program, which would get what clients send to localhost:${port}, tokens too; stop it, or choose another port in \`listen\``,
        { cause },
      );
    }
  }
}

function twinOf({ host, port }: ListenOn, others: readonly ListenOn[]): string | null {
  if (host !== "127.0.0.1" && host !== "::1") return null;
  const twin = host === "::1" ? "127.0.0.1" : "::1";
  if (port !== 0 && others.some((other) => other.port === port && coversLoopback(other.host, twin))) return null;
  // A machine without IPv6 has no second `localhost` to protect.
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return own.some(({ address }) => address === twin) ? twin : null;
}

function coversLoopback(host: string | undefined, address: string): boolean {
  return host === address || host === "::" || (host === "0.0.0.0" && address === "127.0.0.1");
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}
