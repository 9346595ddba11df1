import { afterAll, describe, expect, test } from "bun:test";
import { askModels } from "./discovery.ts";

const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
});

/** What is found where a server answers `GET /v1/models` like this. */
async function foundAt(answer: (request: Request) => Response | Promise<Response>): ReturnType<typeof askModels> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  ends.push(() => server.stop(true));
  return askModels(`http://127.0.0.1:${server.port}/v1`);
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
    expect(await askModels(`http://127.0.0.1:${port}/v1`)).toBeNull();
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
