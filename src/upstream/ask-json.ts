// Small questions to servers of this machine, of which nothing is believed: bounded in time and size, and never thrown.

import { isNotConnected } from "./not-connected.ts";

const probeMs = 1_000;
const maxBytes = 1024 * 1024;

export interface Question {
  /** Makes it a POST. */
  readonly body?: string;
  readonly ms?: number;
  /** Ends it before its time. */
  readonly signal?: AbortSignal;
  /** Of the provider's own, beside ours. */
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM file of a private certificate authority. */
  readonly caFile?: string | undefined;
}

/**
 * What came of a question: the status and the JSON of its body (undefined: it is none); `refused`: there is nobody at that
 * address; `silent`: no answer in time, or one that broke off.
 */
export type Told = { readonly status: number; readonly json: unknown } | "refused" | "silent";

/** The JSON that a server answers with 200, or undefined where none does so within `ms`. `body` makes it a POST. */
export async function askJson(url: string, body?: string, ms = probeMs): Promise<unknown> {
  const told = await ask(url, { ms, ...(body === undefined ? {} : { body }) });
  return typeof told === "object" && told.status === 200 ? told.json : undefined;
}

/** Never throws. */
export async function ask(url: string, question: Question = {}): Promise<Told> {
  const { body, ms = probeMs, signal, headers, caFile } = question;
  const timeout = AbortSignal.timeout(ms);
  try {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      redirect: "manual",
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      headers: {
        ...headers,
        accept: "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body }),
      ...(caFile === undefined ? {} : { tls: { ca: Bun.file(caFile) } }),
    });
    const text = response.body === null ? null : await readWithin(response.body);
    return { status: response.status, json: text === null ? undefined : parsed(text) };
  } catch (error) {
    return isNotConnected(error) ? "refused" : "silent";
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Another kind of server: its status is all that it says.
    return undefined;
  }
}

/** Null: it is longer than any honest answer. Whatever listens on a usual port must not fill our memory. */
async function readWithin(body: ReadableStream<Uint8Array>): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString("utf8");
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first that can be the length of a window, in tokens. */
export function windowOf(...values: readonly unknown[]): number | undefined {
  return values.find((value): value is number => typeof value === "number" && Number.isInteger(value) && value > 0);
}
