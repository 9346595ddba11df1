// Small questions to servers of this machine, of which nothing is believed: bounded in time and size, and never thrown.

const probeMs = 1_000;
const maxBytes = 1024 * 1024;

/** The JSON that a server answers with 200, or undefined where none does so within `ms`. `body` makes it a POST. */
export async function askJson(url: string, body?: string, ms = probeMs): Promise<unknown> {
  try {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      redirect: "manual",
      signal: AbortSignal.timeout(ms),
      headers: { accept: "application/json", "accept-encoding": "identity", "content-type": "application/json" },
      ...(body === undefined ? {} : { body }),
    });
    if (response.status !== 200 || response.body === null) return undefined;
    const text = await readWithin(response.body);
    return text === null ? undefined : (JSON.parse(text) as unknown);
  } catch {
    // Nobody listens, or not such a server: both mean "no answer".
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
