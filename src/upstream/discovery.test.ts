import { afterAll, describe, expect, test } from "bun:test";
import { askServer, type Offer } from "./discovery.ts";

const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
});

/** What is found where a server answers `GET /v1/models` like this. */
async function foundAt(
  answer: (request: Request) => Response | Promise<Response>,
  name = "home",
): Promise<readonly Offer[] | null> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  ends.push(() => server.stop(true));
  return (await askServer(name, `http://127.0.0.1:${server.port}/v1`))?.offers ?? null;
}

const list = (...data: readonly unknown[]): Response => Response.json({ object: "list", data });

describe("a model server", () => {
  test("is asked for its list at the usual place", async () => {
    let asked = "";
    await foundAt((request) => {
      asked = `${request.method} ${new URL(request.url).pathname}`;
      return list();
    });
    expect(asked).toBe("GET /v1/models");
  });

  test("tells its models and, each kind in its own field, their windows", async () => {
    const found = await foundAt(() =>
      list(
        { id: "qwen2.5-coder:14b" },
        { id: "a", max_model_len: 1 },
        { id: "b", max_context_length: 2 },
        { id: "c", loaded_context_length: 3, max_context_length: 9 },
        { id: "d", meta: { n_ctx: 4 } },
        { id: "e", max_model_len: "lies", meta: null },
        { id: "f", max_model_len: -1 },
      ),
    );
    const windows = found?.map(({ model, context }) => [model, context]);
    expect(windows).toEqual([
      ["qwen2.5-coder:14b", undefined],
      ["a", 1],
      ["b", 2],
      ["c", 3],
      ["d", 4],
      ["e", undefined],
      ["f", undefined],
    ]);
  });

  test("is listed without what can't chat and without names that no request could hold", async () => {
    const names = ["nomic-embed-text", "bge-reranker", "whisper-1", "a b", "a\nb", "", "x".repeat(201), "ok"];
    const found = await foundAt(() => list(...names.map((id) => ({ id })), { id: 7 }, null, "text"));
    expect(found?.map(({ model }) => model)).toEqual(["ok"]);
  });

  test("may list two hundred models; the rest is left out", async () => {
    const found = await foundAt(() => list(...Array.from({ length: 500 }, (_, i) => ({ id: `m${i}` }))));
    expect(found?.length).toBe(200);
  });
});

describe("no model server is", () => {
  test("whatever answers otherwise", async () => {
    const answers: readonly (() => Response)[] = [
      () => new Response("<html>"),
      () => Response.json([]),
      () => Response.json({ data: "x" }),
      () => Response.json(null),
      () => Response.json({ data: [] }, { status: 401 }),
      () => new Response(null, { status: 302, headers: { location: "/v1/other" } }),
    ];
    for (const answer of answers) expect(await foundAt(answer)).toBeNull();
  });

  test("a port on which nobody listens", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => list() });
    const { port } = server;
    await server.stop(true);
    expect(await askServer("home", `http://127.0.0.1:${port}/v1`)).toBeNull();
  });

  test("one that sends without end: its list is not read beyond a megabyte", async () => {
    let sent = 0;
    const piece = new Uint8Array(256 * 1024).fill(0x20);
    const found = await foundAt(
      () =>
        new Response(
          new ReadableStream<Uint8Array>({
            pull: (controller) => {
              sent++;
              controller.enqueue(piece);
            },
          }),
        ),
    );
    expect(found).toBeNull();
    expect(sent).toBeLessThan(64);
  });
});

/** The paths of a server as JSON; a 404 elsewhere. */
function serving(paths: Readonly<Record<string, unknown>>): (request: Request) => Response {
  return (request) => {
    const { pathname } = new URL(request.url);
    return pathname in paths ? Response.json(paths[pathname]) : new Response(null, { status: 404 });
  };
}

describe("what models can do is asked in the server's own way", () => {
  test("Ollama: abilities by model; the window that it runs with before the one that its file sets", async () => {
    const shown: Readonly<Record<string, unknown>> = {
      seer: { capabilities: ["completion", "vision"], parameters: 'stop "x"\nnum_ctx    8192\n' },
      worker: { capabilities: ["completion", "tools"], model_info: { "qwen2.context_length": 131072 } },
      old: { parameters: "temperature 1" },
    };
    const offers = await foundAt(async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/v1/models") return list(...[...Object.keys(shown), "gone"].map((id) => ({ id })));
      if (pathname === "/api/ps") return Response.json({ models: [{ name: "worker", context_length: 16_384 }] });
      if (request.method === "GET") return new Response(null, { status: 404 });
      const { model } = (await request.json()) as { model: string };
      return pathname === "/api/show" && model in shown
        ? Response.json(shown[model])
        : new Response(null, { status: 404 });
    }, "ollama-desk");
    expect(offers).toEqual([
      { model: "seer", context: 8192, images: true, tools: false },
      { model: "worker", context: 16_384, images: false, tools: true },
      { model: "old", context: undefined },
      { model: "gone", context: undefined },
    ]);
  });

  test("llama.cpp: of the one model that it has loaded; it signs its list", async () => {
    const props = { modalities: { vision: false, audio: true }, default_generation_settings: { n_ctx: 4096 } };
    const one = { data: [{ id: "m", owned_by: "llamacpp", meta: { n_ctx: 131072 } }] };
    expect(await foundAt(serving({ "/v1/models": one, "/props": props }))).toEqual([
      { model: "m", context: 4096, images: false },
    ]);
    const two = { data: [...one.data, { id: "n" }] };
    expect((await foundAt(serving({ "/v1/models": two, "/props": props })))?.[0]).toEqual({
      model: "m",
      context: 131072,
    });
  });

  test("LM Studio: by the type of each model, and by the window that is loaded", async () => {
    const offers = await foundAt(
      serving({
        "/v1/models": { data: [{ id: "seer", owned_by: "organization_owner" }, { id: "blind" }, { id: "new" }] },
        "/api/v0/models": {
          data: [
            { id: "seer", type: "vlm", max_context_length: 131072, loaded_context_length: 4096 },
            { id: "blind", type: "llm", max_context_length: 8192 },
            null,
          ],
        },
      }),
    );
    expect(offers).toEqual([
      { model: "seer", context: 4096, images: true },
      { model: "blind", context: 8192, images: false },
      { model: "new", context: undefined },
    ]);
  });

  test("answers of another shape say nothing", async () => {
    const answers: readonly unknown[] = [null, [], "x", { capabilities: "vision", parameters: 7 }, { models: {} }];
    for (const answer of answers) {
      const offers = await foundAt(
        serving({ "/v1/models": { data: [{ id: "m" }] }, "/api/ps": answer, "/api/show": answer }),
        "ollama",
      );
      expect(offers).toEqual([{ model: "m", context: undefined }]);
    }
  });
});
