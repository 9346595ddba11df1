// Lines of JSON on a connection over the admin socket that stays open for as long as both ends live.

/** Each line as a value; ends with the connection, however that ends. */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown, void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for await (const bytes of body) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) yield JSON.parse(line);
    }
  } catch {
    // It broke off: the process at the other end is gone.
  }
}

/**
 * Asks over the socket, on a connection of its own: the name may be another process's a moment later. Null: nobody
 * answers. `path` begins with a slash.
 */
export async function askSocket(
  socketPath: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Response | null> {
  try {
    return await fetch(`http://sanctum${path}`, {
      unix: socketPath,
      method: "POST",
      body: JSON.stringify(body ?? {}),
      keepalive: false,
      timeout: false,
      ...(signal !== undefined && { signal }),
    } as RequestInit);
  } catch {
    return null;
  }
}
