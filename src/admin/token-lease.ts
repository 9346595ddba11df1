import { createHash } from "node:crypto";
import { Secret } from "../secret.ts";
import { NotRunningError } from "./admin-client.ts";

/** A token that works for as long as this lease is held by a living process. */
export interface TokenLease extends Disposable {
  readonly token: Secret;
  /** Where the gateway listens, as it says it. */
  readonly addresses: readonly string[];
  /** Resolves with the reason where the token ends before the lease is disposed. Never rejects. */
  readonly lost: Promise<string>;
}

/** The gateway has no agent of this name. */
export class UnknownAgentError extends Error {
  override readonly name = "UnknownAgentError";
  /** Those that it has. */
  readonly known: readonly string[];
  constructor(agent: string, known: readonly string[]) {
    super(`there is no agent ${agent}`);
    this.known = known;
  }
}

/**
 * Asks the running gateway for a token of `agent`. The open connection is the lease: the kernel closes it with the process.
 * Throws NotRunningError, UnknownAgentError.
 */
export async function leaseToken(socketPath: string, agent: string): Promise<TokenLease> {
  const ending = new AbortController();
  const response = await askForToken(socketPath, { agent }, ending.signal);
  if (response.status === 404) {
    const { agents } = (await response.json()) as { agents?: readonly string[] };
    // A gateway of an older version has no such route, and no such answer.
    if (agents === undefined) throw new Error("the running gateway is older than this command: restart it");
    throw new UnknownAgentError(agent, agents);
  }
  if (!response.ok || response.body === null) throw new Error(`the gateway answered ${response.status} to /run`);
  const lines = linesOf(response.body);
  const first = await lines.next();
  if (first.done === true) throw new NotRunningError();
  const { token, addresses } = JSON.parse(first.value) as { token: string; addresses: readonly string[] };
  const digest = createHash("sha256").update(token).digest("hex");
  return {
    token: Secret.fromString(token),
    addresses,
    lost: untilOver(lines, () => askForToken(socketPath, { agent, digest }, ending.signal)),
    [Symbol.dispose]: () => ending.abort(),
  };
}

/** A command may run for days without a word on this line. Throws NotRunningError. */
async function askForToken(
  socketPath: string,
  body: { readonly agent: string; readonly digest?: string },
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await fetch("http://sanctum/run", {
      method: "POST",
      body: JSON.stringify(body),
      unix: socketPath,
      signal,
      timeout: false,
      // The socket's name may be another process's at the next call.
      keepalive: false,
    } as RequestInit);
  } catch {
    throw new NotRunningError();
  }
}

/** Resolves with the reason; where another process takes over, the same token is asked for there, and the lease goes on. */
async function untilOver(lines: AsyncGenerator<string, void>, again: () => Promise<Response>): Promise<string> {
  const stopped = "the gateway has stopped";
  try {
    for (;;) {
      const next = await lines.next();
      if (next.done === true) return stopped;
      const said = JSON.parse(next.value) as { over?: string; moved?: true };
      if (said.moved !== true) return said.over ?? stopped;
      const response = await again();
      if (!response.ok || response.body === null) return stopped;
      lines = linesOf(response.body);
      await lines.next();
    }
  } catch {
    // The connection broke off: the process at the other end is gone.
    return stopped;
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
