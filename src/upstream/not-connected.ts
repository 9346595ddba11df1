// Whether a server was reached at all: only then can it have worked on something.

/** Bun's error codes before a byte was sent: nothing can have been billed. */
const notConnected = new Set([
  "ConnectionRefused",
  "FailedToOpenSocket",
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "DNSException",
  // The TLS handshake failed: before it no request is sent.
  "EPROTO",
]);

export function errorCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

export function isNotConnected(error: unknown): boolean {
  return notConnected.has(errorCodeOf(error));
}

/** A bare TCP connection: true where it opens in time, and where it is refused. False: a black hole. */
export async function canConnect(base: string, withinMs: number): Promise<boolean> {
  const url = new URL(base);
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), withinMs);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  // A refusal is an answer of the network, too: fetch itself reports it. Also a late connection must be closed again.
  Bun.connect({ hostname, port, socket: { data: () => undefined, open: (socket) => void socket.end() } }).then(
    () => resolve(true),
    () => resolve(true),
  );
  const reached = await promise;
  clearTimeout(timer);
  return reached;
}
