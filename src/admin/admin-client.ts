/** A running gateway was expected and none answers. */
export class NotRunningError extends Error {
  override readonly name = "NotRunningError";
  constructor() {
    super("The gateway is not running. Start it with `sanctum start`.");
  }
}

/** Talks to the running gateway over its socket. Throws NotRunningError where none listens. */
export function createAdminClient(socketPath: string): {
  get(path: string): Promise<string>;
  post(path: string, body?: unknown): Promise<string>;
  /** The bytes as they are: no string is made of them. */
  postBytes(path: string, body: Uint8Array): Promise<string>;
} {
  const call = async (path: string, init: RequestInit): Promise<string> => {
    let response: Response;
    try {
      response = await fetch(`http://sanctum${path}`, { ...init, unix: socketPath } as RequestInit);
    } catch {
      throw new NotRunningError();
    }
    if (!response.ok) throw new Error(`the gateway answered ${response.status} to ${path}`);
    return response.text();
  };
  return {
    get: (path) => call(path, {}),
    post: (path, body) => call(path, { method: "POST", body: JSON.stringify(body ?? {}) }),
    postBytes: (path, body) => call(path, { method: "POST", body }),
  };
}
