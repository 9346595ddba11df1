// Network addresses in the configuration: where we listen, and where a provider lives. Pure: no name is resolved, since
// what a name means may change between the check and the connection.

import type { ListenAddress } from "./types.ts";

/**
 * `any`: all addresses of the machine (0.0.0.0, ::). `private`: RFC 1918, RFC 6598 (also Tailscale), RFC 4193.
 * `link_local`: RFC 3927, RFC 4291 2.5.6.
 */
export type AddressKind = "loopback" | "private" | "link_local" | "any" | "public";

/** Undefined where the text is no IP address. IPv6 without brackets. */
export function kindOfAddress(address: string): AddressKind | undefined {
  const v4 = parseIpv4(address);
  if (v4 !== undefined) return kindOfIpv4(v4);
  const v6 = canonicalIpv6(address);
  if (v6 === undefined) return undefined;
  if (v6 === "::1") return "loopback";
  if (v6 === "::") return "any";
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(v6);
  if (mapped !== null) {
    const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
    return kindOfIpv4([high >> 8, high & 255, low >> 8, low & 255]);
  }
  if (/^f[cd][0-9a-f]{2}:/.test(v6)) return "private";
  if (/^fe[89ab][0-9a-f]:/.test(v6)) return "link_local";
  return "public";
}

type Ipv4 = readonly [number, number, number, number];

function parseIpv4(text: string): Ipv4 | undefined {
  // A leading zero is octal to some readers and decimal to others: refused.
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return undefined;
  const parts = text.split(".").map(Number);
  return parts.every((part) => part <= 255) ? [parts[0]!, parts[1]!, parts[2]!, parts[3]!] : undefined;
}

function kindOfIpv4([a, b, c, d]: Ipv4): AddressKind {
  if (a === 127) return "loopback";
  if (a === 0 && b === 0 && c === 0 && d === 0) return "any";
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return "private";
  if (a === 100 && b >= 64 && b <= 127) return "private";
  return a === 169 && b === 254 ? "link_local" : "public";
}

function canonicalIpv6(text: string): string | undefined {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text) || !text.includes(":")) return undefined;
  const url = URL.parse(`http://[${text}]/`);
  return url === null ? undefined : url.hostname.slice(1, -1);
}

/** Linux takes 107 bytes, macOS 103 (sys/un.h). */
const longestSocketPath = 103;

/** `127.0.0.1:4040`, `[::1]:4040`, `localhost:4040`, `unix:/run/x.sock`; undefined where it is none of these. */
export function parseListen(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:")) {
    const socketPath = text.slice("unix:".length);
    if (!/^\/[^\0]+$/.test(socketPath) || Buffer.byteLength(socketPath) > longestSocketPath) return undefined;
    return { text, host: undefined, port: undefined, socketPath, loopback: true };
  }
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15}|localhost)):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65_535) return undefined;
  const host = match[1] ?? match[2]!;
  const kind = host === "localhost" ? "loopback" : kindOfAddress(host);
  if (kind === undefined) return undefined;
  return { text, host, port: Number(match[3]), socketPath: undefined, loopback: kind === "loopback" };
}

/** True where strangers may come in: a public address, or all addresses, among which a public one may be. */
export function isPublicListen(address: ListenAddress): boolean {
  if (address.host === undefined || address.loopback) return false;
  const kind = kindOfAddress(address.host);
  return kind === "public" || kind === "any";
}

export type UrlFault = "syntax" | "scheme" | "credentials" | "query" | "plain_http";

// Names that never resolve on the public internet: RFC 6761 (localhost), RFC 6762 (.local), RFC 8375 (.home.arpa), ICANN's
// reservation of .internal (2024).
const privateName = /(^|\.)localhost$|\.(local|internal|home\.arpa)$/;

/** A provider's base URL without trailing slash, or why it is refused. */
export function parseProviderUrl(text: string): { url: string } | { fault: UrlFault } {
  const url = URL.parse(text);
  // The parser drops control characters and swaps backslashes: what is read must be what is written.
  if (url === null || url.hostname === "" || /[\s\\\p{Cc}]/u.test(text)) return { fault: "syntax" };
  if (url.protocol !== "http:" && url.protocol !== "https:") return { fault: "scheme" };
  if (url.username !== "" || url.password !== "" || /^[a-z]+:\/\/[^/?#]*@/i.test(text)) return { fault: "credentials" };
  if (/[?#]/.test(text)) return { fault: "query" };
  if (url.protocol === "http:" && !isPrivateHost(url.hostname)) return { fault: "plain_http" };
  return { url: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}` };
}

function isPrivateHost(hostname: string): boolean {
  const kind = kindOfAddress(hostname.startsWith("[") ? hostname.slice(1, -1) : hostname);
  if (kind !== undefined) return kind === "loopback" || kind === "private";
  return privateName.test(hostname);
}
