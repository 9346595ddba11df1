import { chmodSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";

export interface AdminActions {
  /** The `/stats` document as JSON text. */
  stats(): string;
  /** Where clients connect. */
  addresses(): readonly string[];
  /** Reads the configuration again; the text says what came of it. */
  reload(): Promise<{ readonly ok: boolean; readonly text: string }>;
  /** Reads this provider's key again. */
  refreshKey(provider: string): Promise<void>;
  /** Begins an orderly stop. */
  stop(): void;
}

/**
 * The socket that the command line talks to. Who may open it is who may read the user's files: mode 0600 in a 0700
 * folder. There is no such route on the network.
 */
export function serveAdmin(socketPath: string, actions: AdminActions): AsyncDisposable {
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  // The ledger's lock was taken before: a socket that is left here is of a daemon that was killed.
  if (existsSync(socketPath)) rmSync(socketPath);
  const before = process.umask(0o177);
  const server = Bun.serve({
    unix: socketPath,
    routes: {
      "/stats": { GET: () => new Response(actions.stats(), { headers: { "content-type": "application/json" } }) },
      "/addresses": { GET: () => Response.json(actions.addresses()) },
      "/reload": { POST: async () => Response.json(await actions.reload()) },
      "/keys/refresh": {
        POST: async (request: Request) => {
          const body = (await request.json()) as { provider?: unknown };
          if (typeof body.provider !== "string") return Response.json({ ok: false }, { status: 400 });
          await actions.refreshKey(body.provider);
          return Response.json({ ok: true });
        },
      },
      "/stop": {
        POST: () => {
          // After the answer is on its way.
          setTimeout(() => actions.stop(), 10);
          return Response.json({ ok: true });
        },
      },
    },
    fetch: () => new Response("unknown", { status: 404 }),
  });
  process.umask(before);
  chmodSync(socketPath, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      rmSync(socketPath, { force: true });
    },
  };
}
