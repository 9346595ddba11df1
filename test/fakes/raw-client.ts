// An HTTP client that sends the bytes it is given: no limit of parallel requests, no tidying of paths and headers.

import { connect, type Socket } from "node:net";

export interface RawResponse {
  /** 0: the server closed without an answer. */
  readonly status: number;
  /** Lower-case names; the last one of a repeated header. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends `bytes` on a new connection and reads one answer. Resolves also where the server resets or closes early. */
export async function rawExchange(url: string, bytes: string | Uint8Array): Promise<RawResponse> {
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<RawResponse>();
  const chunks: Buffer[] = [];
  const socket: Socket = connect({ host: hostname, port: Number(port) });
  const finish = (): void => {
    resolve(readResponse(Buffer.concat(chunks))?.response ?? { status: 0, headers: {}, body: "" });
    socket.destroy();
  };
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    if (readResponse(Buffer.concat(chunks))?.complete === true) finish();
  });
  socket.on("error", finish);
  socket.on("close", finish);
  socket.write(bytes);
  return promise;
}

export interface RawPost {
  readonly path: string;
  readonly body: string;
  /** In place of the usual ones with the same lower-case name; `null` leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly method?: string;
}

/** The bytes of a well-formed request, but for what `post` changes. */
export function requestBytes(url: string, post: RawPost): string {
  const headers: Record<string, string | null> = {
    host: new URL(url).host,
    "content-type": "application/json",
    "content-length": String(Buffer.byteLength(post.body)),
    connection: "close",
    ...post.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => (value === null ? "" : `${name}: ${value}\r\n`));
  return `${post.method ?? "POST"} ${post.path} HTTP/1.1\r\n${lines.join("")}\r\n${post.body}`;
}

export async function rawPost(url: string, post: RawPost): Promise<RawResponse> {
  return rawExchange(url, requestBytes(url, post));
}

function readResponse(bytes: Buffer): { response: RawResponse; complete: boolean } | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const [line = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers: Record<string, string> = {};
  for (const header of lines) {
    const colon = header.indexOf(":");
    headers[header.slice(0, colon).toLowerCase()] = header.slice(colon + 1).trim();
  }
  const rest = bytes.subarray(end + 4);
  const body = headers["transfer-encoding"] === "chunked" ? unchunk(rest) : wholeBody(rest, headers["content-length"]);
  const status = Number(line.split(" ")[1] ?? "0");
  return { response: { status, headers, body: body.text }, complete: body.complete };
}

function wholeBody(rest: Buffer, length: string | undefined): { text: string; complete: boolean } {
  return { text: rest.toString("utf8"), complete: length !== undefined && rest.length >= Number(length) };
}

function unchunk(rest: Buffer): { text: string; complete: boolean } {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd === -1) return { text: Buffer.concat(parts).toString("utf8"), complete: false };
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString("latin1"), 16);
    if (size === 0) return { text: Buffer.concat(parts).toString("utf8"), complete: true };
    parts.push(rest.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
