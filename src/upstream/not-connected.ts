// Whether a server was reached at all: only then can it have worked on something.

export const connectionRefused = "the connection was refused";

/** Bun's error codes before a byte was sent, and what they mean: nothing can have been billed. */
const notConnected: ReadonlyMap<string, string> = new Map([
  ["ConnectionRefused", connectionRefused],
  ["ECONNREFUSED", connectionRefused],
  ["FailedToOpenSocket", "no connection could be opened"],
  ["ENOTFOUND", "no such host (DNS)"],
  ["EAI_AGAIN", "the name could not be looked up (DNS)"],
  ["DNSException", "the name could not be looked up (DNS)"],
  ["EHOSTUNREACH", "the host can't be reached"],
  ["ENETUNREACH", "the network can't be reached"],
  // Before the handshake is over no request is sent.
  ["EPROTO", "the TLS handshake failed"],
]);

export function errorCodeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** Why no connection came about; undefined: one did, or the failure is another one. */
export function noteOfNoConnection(error: unknown): string | undefined {
  return notConnected.get(errorCodeOf(error));
}

export function isNotConnected(error: unknown): boolean {
  return noteOfNoConnection(error) !== undefined;
}

/** `silent`: neither a connection nor a refusal in time; `refused`: no connection, or no TLS over it. */
export type Reached = "connected" | "refused" | "silent";

/** A bare connection, with its TLS handshake where there is one: it alone shows a black hole. */
export async function tryConnection(base: string, withinMs: number): Promise<Reached> {
  const url = new URL(base);
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  const { promise, resolve } = Promise.withResolvers<Reached>();
  const timer = setTimeout(() => resolve("silent"), withinMs);
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  // Also a late connection must be closed again.
  const over = promise.then(() => true);
  const socket = {
    data: (): void => undefined,
    open: (open: Bun.Socket): void => {
      void over.then(() => open.terminate());
      if (!secure) resolve("connected");
    },
    handshake: (_: Bun.Socket, ok: boolean): void => resolve(ok ? "connected" : "refused"),
    error: (): void => resolve("refused"),
    close: (): void => resolve("refused"),
  };
  // Nothing is sent, so it does not matter who is there: whether its certificate is to be trusted `fetch` finds out.
  const tls = secure ? { tls: { rejectUnauthorized: false, serverName: hostname } } : {};
  Bun.connect({ hostname, port, ...tls, socket }).catch(() => resolve("refused"));
  const reached = await promise;
  clearTimeout(timer);
  return reached;
}

/** True where a connection opens in time, and where it is refused. False: a black hole. */
export async function canConnect(base: string, withinMs: number): Promise<boolean> {
  return (await tryConnection(base, withinMs)) !== "silent";
}
