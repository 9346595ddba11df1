import { readFileSync } from "node:fs";
import { AttemptError } from "../errors.ts";
import type { Provider } from "../request.ts";
import type { Clock } from "../clock.ts";
import type { Deadline } from "./deadline.ts";
import { errorCodeOf, noteOfNoConnection, tryConnection } from "./not-connected.ts";

export interface Call {
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Null: it is a GET. */
  readonly body: string | null;
  readonly provider: Provider;
  readonly deadline: Deadline;
}

/** No hidden five-minute limit, and no decompression behind our back. */
const bunOnly = { timeout: false, decompress: false };
/** An origin that answered this recently needs no proof that it can be reached. */
const reachableForMs = 60_000;
/** Whether a handshake fails shows quickly; who waits for the next candidate waits for this, too. */
const handshakeProofMs = 1_000;

/**
 * Sends one request and returns when the answer's headers are there. Throws AttemptError connect_failed, timeout_connect,
 * timeout_first_byte, client_gone or cut_stream (the connection broke before an answer). Follows no redirect and has no other
 * deadline than the caller's.
 */
export class Dispatcher {
  readonly #clock: Clock;
  readonly #reachedAt = new Map<string, number>();
  readonly #certificates = new Map<string, string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async send(call: Call): Promise<Response> {
    const { deadline, provider } = call;
    const tls = provider.caFile === undefined ? undefined : { ca: this.#certificate(provider.caFile) };
    deadline.arm("timeout_first_byte", provider.timeouts.firstByteMs);
    const probe = this.#probeSoon(provider, deadline);
    try {
      const response = await fetch(call.url, {
        ...(call.body === null ? { method: "GET" } : { method: "POST", body: call.body }),
        headers: call.headers,
        signal: deadline.signal,
        redirect: "manual",
        ...bunOnly,
        ...(tls === undefined ? {} : { tls }),
      });
      this.#reachedAt.set(provider.name, this.#clock.monotonic());
      return response;
    } catch (error) {
      const failure = failureOf(error, deadline);
      throw failure.outcome === "cut_stream" ? await this.#brokenBefore(failure, provider) : failure;
    } finally {
      clearTimeout(probe);
    }
  }

  /**
   * `fetch` does not tell connecting from waiting. When an origin that has not answered lately is still silent at half
   * of the connect deadline, a bare connection (with its TLS handshake, where there is one) is tried for the other half: it
   * alone shows a black hole.
   */
  #probeSoon(provider: Provider, deadline: Deadline): ReturnType<typeof setTimeout> | undefined {
    if (this.#isReachable(provider)) return undefined;
    const halfMs = provider.timeouts.connectMs / 2;
    if (halfMs * 2 >= provider.timeouts.firstByteMs) return undefined;
    return setTimeout(() => {
      void tryConnection(provider.url, halfMs).then((reached) => {
        if (reached === "silent") deadline.expire("timeout_connect");
      });
    }, halfMs);
  }

  #isReachable({ name }: Provider): boolean {
    const reachedAt = this.#reachedAt.get(name);
    return reachedAt !== undefined && this.#clock.monotonic() - reachedAt < reachableForMs;
  }

  /**
   * A connection that is closed during the TLS handshake looks to `fetch` like one that breaks over a request. Where the
   * handshake fails by itself, too, no request was ever sent.
   */
  async #brokenBefore(failure: AttemptError, provider: Provider): Promise<AttemptError> {
    if (!provider.url.startsWith("https:") || this.#isReachable(provider)) return failure;
    const { connectMs } = provider.timeouts;
    if ((await tryConnection(provider.url, Math.min(connectMs, handshakeProofMs))) !== "refused") return failure;
    return new AttemptError("connect_failed", { note: "the TLS handshake failed", cause: failure.cause });
  }

  #certificate(file: string): string {
    let text = this.#certificates.get(file);
    if (text === undefined) {
      try {
        text = readFileSync(file, "utf8");
      } catch (cause) {
        throw new AttemptError("connect_failed", { note: "ca_file can't be read", cause });
      }
      this.#certificates.set(file, text);
    }
    return text;
  }
}

export function failureOf(error: unknown, deadline: Deadline): AttemptError {
  if (deadline.expired !== null) {
    const billed = deadline.expired === "timeout_connect" ? "none" : "unknown";
    return new AttemptError(deadline.expired, { billed, cause: error });
  }
  const code = errorCodeOf(error);
  const note = noteOfNoConnection(error);
  if (note !== undefined) return new AttemptError("connect_failed", { note, cause: error });
  if (/CERT|TLS|SSL|SELF_SIGNED|ALTNAME|UNABLE_TO_/i.test(code)) {
    return new AttemptError("connect_failed", { note: "the TLS certificate was refused", cause: error });
  }
  // It may have been worked on, but it says nothing about the provider: five such ends would shut a healthy one off.
  if (deadline.clientGone) return new AttemptError("client_gone", { billed: "unknown", cause: error });
  // The connection broke after the request was on its way: it may have been worked on.
  return new AttemptError("cut_stream", {
    billed: "unknown",
    note: "no answer before the connection broke",
    cause: error,
  });
}
