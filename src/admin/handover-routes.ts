// Routes of the admin socket that two processes of one gateway use while one takes over from the other. Who may open the
// socket is of the same user, and could stop the gateway and start another one as well.

import type { Server } from "bun";
import type { Batch, BatchAnswer, Handed, Lane } from "../handover/messages.ts";

export interface HandoverActions {
  /** Throws an Error whose message says why nothing is handed over now. */
  begin(pid: number, signal: AbortSignal): ReadableStream<Uint8Array>;
  take(): Promise<Handed>;
  /** Null: nothing opens the vault here. The bytes are wiped when they are sent. */
  vaultKey(): { readonly kind: string; readonly bytes: Uint8Array } | null;
  done(): void;
  failed(text: string): Promise<void>;
  /** Null: this session is not known, or not now. */
  attach(session: string, signal: AbortSignal): ReadableStream<Uint8Array> | null;
  errands(session: string, lane: Lane, batch: Batch): Promise<BatchAnswer | null>;
}

type Handle = (request: Request, server: Server<undefined>) => Response | Promise<Response>;

export function handoverRoutes(actions: HandoverActions): Record<string, { readonly POST: Handle }> {
  const query = (request: Request, name: string): string => new URL(request.url).searchParams.get(name) ?? "";
  const open = (request: Request, server: Server<undefined>, body: ReadableStream<Uint8Array> | null): Response => {
    if (body === null) return new Response("not known here", { status: 404 });
    server.timeout(request, 0);
    return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
  };
  const orConflict = async (run: () => Response | Promise<Response>): Promise<Response> => {
    try {
      return await run();
    } catch (error) {
      return new Response(error instanceof Error ? error.message : "no hand-over", { status: 409 });
    }
  };
  return {
    "/handover/begin": {
      POST: (request, server) =>
        orConflict(() => open(request, server, actions.begin(Number(query(request, "pid")), request.signal))),
    },
    "/handover/take": {
      POST: (request, server) => {
        server.timeout(request, 0);
        return orConflict(async () => Response.json(await actions.take()));
      },
    },
    "/handover/vault": {
      POST: () => {
        const key = actions.vaultKey();
        if (key === null) return new Response(null, { status: 404 });
        const { kind, bytes } = key;
        // Read out by the runtime before it can be wiped: a copy goes, and both are wiped once it is read.
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(bytes.slice());
            bytes.fill(0);
            controller.close();
          },
        });
        return new Response(body, { headers: { "x-vault-key": kind } });
      },
    },
    "/handover/done": {
      POST: () => {
        actions.done();
        return Response.json({ ok: true });
      },
    },
    "/handover/failed": {
      POST: async (request) => {
        const { text } = (await request.json()) as { text?: unknown };
        await actions.failed(typeof text === "string" ? text : "it did not say why");
        return Response.json({ ok: true });
      },
    },
    "/handover/attach": {
      POST: (request, server) => open(request, server, actions.attach(query(request, "session"), request.signal)),
    },
    "/handover/errands": {
      POST: async (request, server) => {
        server.timeout(request, 0);
        const lane = query(request, "lane") === "lines" ? "lines" : "money";
        const batch = (await request.json()) as Batch;
        return orConflict(async () => {
          const answer = await actions.errands(query(request, "session"), lane, batch);
          return answer === null ? new Response("not now", { status: 404 }) : Response.json(answer);
        });
      },
    },
  };
}
