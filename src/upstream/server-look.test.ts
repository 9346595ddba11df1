import { afterAll, describe, expect, test } from "bun:test";
import { LocalServer, type LocalKind, type LocalServerState } from "../../test/fakes/local-server.ts";
import type { ServerKind } from "../wire/neutral.ts";
import { providerAt } from "./sample-keyed.ts";
import { lookAt, type Look } from "./server-look.ts";

const servers: AsyncDisposable[] = [];
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
});

function started(kind: LocalKind, state: Partial<LocalServerState> = {}): LocalServer {
  const server = LocalServer.start(kind, state);
  servers.push(server);
  return server;
}

async function look(server: LocalServer): Promise<Look | null> {
  return lookAt(providerAt(server.url, { local: true }), server.kind);
}

/** What is seen of a server that answers everything like this. */
async function seenAt(
  answer: (request: Request) => Response | Promise<Response>,
  kind: ServerKind,
): Promise<Look | null> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  try {
    return await lookAt(providerAt(`http://127.0.0.1:${server.port}/v1`, { local: true }), kind);
  } finally {
    await server.stop(true);
  }
}

describe("a look at a local server", () => {
  test("asks for lists and signs of health, never for an answer of a model", async () => {
    const asked: Readonly<Record<LocalKind, readonly string[]>> = {
      ollama: ["GET /v1/models", "GET /api/ps"],
      llamacpp: ["GET /v1/models", "GET /health"],
      lmstudio: ["GET /v1/models", "GET /api/v0/models"],
      vllm: ["GET /v1/models"],
    };
    for (const [kind, paths] of Object.entries(asked)) {
      const server = started(kind as LocalKind);
      await look(server);
      expect(server.requests.toSorted()).toEqual([...paths].toSorted());
      expect(server.chats).toEqual([]);
    }
  });

  test("shows its models, and which of them are in memory", async () => {
    for (const kind of ["ollama", "lmstudio"] as const) {
      const seen = await look(started(kind, { models: ["a", "b"], loaded: ["b"] }));
      expect([kind, seen?.state, seen?.listed, [...(seen?.loaded?.keys() ?? [])]]).toEqual([
        kind,
        "ready",
        ["a", "b"],
        ["b"],
      ]);
    }
    for (const kind of ["llamacpp", "vllm"] as const) {
      const seen = await look(started(kind, { models: ["a"] }));
      expect([kind, [...(seen?.loaded?.keys() ?? [])]]).toEqual([kind, ["a"]]);
    }
  });

  test("knows that a llama-server loads its model by its health, and does not forget what it lists", async () => {
    expect((await look(started("llamacpp", { loading: true })))?.state).toBe("loading");
    // Older ones refuse the list, too.
    const error = { code: 503, message: "Loading model", type: "unavailable_error" };
    expect((await seenAt(() => Response.json({ error }, { status: 503 }), "llamacpp"))?.state).toBe("loading");
  });

  test("does not take a busy server for one that loads", async () => {
    const error = { code: 503, message: "no slot available", type: "unavailable_error" };
    const seen = await seenAt(() => Response.json({ error }, { status: 503 }), "llamacpp");
    expect(seen).toEqual({ state: "ready", listed: null, loaded: null });
  });

  test("tells the loaded from the unloaded models of a llama-server that has several", async () => {
    const data = [
      { id: "a", status: { value: "loaded" } },
      { id: "b", status: { value: "unloaded" } },
    ];
    const seen = await seenAt(() => Response.json({ data }), "llamacpp");
    expect([seen?.listed, [...(seen?.loaded?.keys() ?? [])]]).toEqual([["a", "b"], ["a"]]);
  });

  test("finds nobody at a port on which nobody listens", async () => {
    const server = started("ollama");
    await server.stop();
    expect((await look(server))?.state).toBe("down");
  });

  test("finds a server there that wants a key, or says nothing that is understood", async () => {
    for (const answer of [
      () => new Response("", { status: 401 }),
      () => new Response("<html>"),
      () => Response.json([]),
    ]) {
      expect(await seenAt(answer, "generic")).toEqual({ state: "ready", listed: null, loaded: null });
    }
  });

  test("learns nothing of a server that is too busy to answer: it is there", async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const seen = await seenAt(async () => {
      await held;
      return new Response("");
    }, "generic").finally(release);
    expect(seen).toBeNull();
  });

  test("sends the provider's own headers: a proxy may need them to find the server", async () => {
    let header: string | null = null;
    const server = Bun.serve({
      port: 0,
      fetch: (request) => {
        header = request.headers.get("x-route");
        return Response.json({ data: [] });
      },
    });
    await lookAt(providerAt(`http://127.0.0.1:${server.port}/v1`, { headers: { "x-route": "den" } }), "generic");
    expect(header as string | null).toBe("den");
    await server.stop(true);
  });
});
