// Header allow-lists, both ways. Everything that is not named here stays behind.

import type { LentKey } from "../lent-key.ts";
import type { Provider } from "../request.ts";
import type { Dialect } from "../wire/neutral.ts";

const userAgent = "sanctum-proxy/1.0";
const defaultAnthropicVersion = "2023-06-01";
/** RFC 9110 field values that we let through: visible ASCII, spaces and tabs. */
const safeValue = /^[\x20-\x7e\t]{0,4096}$/;

interface Outgoing {
  readonly provider: Provider;
  /** Where they go: the key opens for its provider's origin alone. */
  readonly url: string;
  readonly dialect: Dialect;
  readonly stream: boolean;
  readonly key: LentKey | null;
  /** The client's headers where `key` is its own credential: it goes on as it came, with the flag that it needs. */
  readonly own?: Headers | null;
  /** The client's own headers where it speaks the same dialect as the provider; else null. */
  readonly client: Headers | null;
}

/**
 * Built from nothing: a client's credentials, cookies, forwarding and identity headers can't get upstream because
 * nobody copies them. `anthropic-*` names are an open list towards a provider of that dialect: the vendor adds
 * some with each release, and a beta travels as header and body field together.
 */
export function upstreamHeaders({
  provider,
  url,
  dialect,
  stream,
  key,
  own = null,
  client,
}: Outgoing): Record<string, string> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: stream ? "text/event-stream" : "application/json",
    // An answer that we rewrite must arrive as plain text; a compressed one is refused.
    "accept-encoding": "identity",
    "user-agent": userAgent,
    ...provider.headers,
  };
  if (dialect === "messages") {
    headers["anthropic-version"] ??= defaultAnthropicVersion;
    client?.forEach((value, name) => {
      if (
        name.startsWith("anthropic-") &&
        name !== "anthropic-dangerous-direct-browser-access" &&
        safeValue.test(value)
      ) {
        headers[name] = value;
      }
    });
    if (key !== null) authorize(headers, key.revealFor(url), provider, own);
    const flag = loginFlag(own);
    if (flag !== undefined && client === null) headers["anthropic-beta"] = flag;
  } else if (key !== null) {
    headers["authorization"] = `Bearer ${key.revealFor(url)}`;
  }
  return headers;
}

/** Without it Anthropic refuses a subscription's token; it stays with the token where all other flags fall away. */
function loginFlag(own: Headers | null): string | undefined {
  const flags = own?.get("anthropic-beta")?.split(",") ?? [];
  return flags.map((flag) => flag.trim()).find((flag) => /^oauth-[0-9-]{1,20}$/.test(flag));
}

/** Anthropic takes API keys as `x-api-key` and OAuth tokens of its subscriptions as bearer. */
function authorize(headers: Record<string, string>, value: string, provider: Provider, own: Headers | null): void {
  const cameAsBearer = own?.get("authorization")?.endsWith(value) === true;
  if (cameAsBearer || value.startsWith("sk-ant-oat") || /^https:\/\/openrouter\.ai\b/.test(provider.url)) {
    headers["authorization"] = `Bearer ${value}`;
  } else headers["x-api-key"] = value;
}

/** A provider's id of its answer: printable, and short enough for a line of the audit. */
const safeId = /^[\x21-\x7e]{1,64}$/;

/**
 * The provider's own id of an answer, for its support and for a later look at what it cost; undefined where it tells none
 * that can be shown. OpenRouter's generation id (docs "Get a Generation") says more than the id of the transfer.
 */
export function upstreamIdOf(
  headers: Headers,
  dialect: Dialect,
  key: LentKey | null,
  redact: (text: string) => string,
): string | undefined {
  const id =
    dialect === "messages"
      ? headers.get("request-id")
      : (headers.get("x-generation-id") ?? headers.get("x-request-id"));
  if (id === null || !safeId.test(id)) return undefined;
  // A hostile provider may hand us our key as its id, or a part of it.
  return key !== null && (key.holdsPart(id) || redact(id) !== id) ? undefined : id;
}

/** For every streamed answer: proxies in between must not buffer it. */
export const streamHeaders: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

export const jsonHeaders: Readonly<Record<string, string>> = { "content-type": "application/json" };
