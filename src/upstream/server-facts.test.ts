import { afterAll, expect, test } from "bun:test";
import { LocalServer } from "../../test/fakes/local-server.ts";
import { askFacts } from "./server-facts.ts";

const servers: LocalServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop();
});

test("each kind tells its version in its own way, and llama.cpp how many it serves at once", async () => {
  const told = {
    ollama: { version: "2.1" },
    llamacpp: { version: "2.1", places: 3 },
    vllm: { version: "2.1" },
    lmstudio: {},
  } as const;
  for (const kind of ["ollama", "llamacpp", "vllm", "lmstudio"] as const) {
    const server = LocalServer.start(kind, { version: "2.1", slots: 3 });
    servers.push(server);
    expect([kind, await askFacts(kind, server.url)]).toEqual([kind, told[kind]]);
  }
});

test("what is no version and no number of places is not believed", async () => {
  for (const answer of [
    null,
    [],
    { version: 7, build_info: "", total_slots: 0 },
    { version: "a b", total_slots: "3" },
  ]) {
    const server = Bun.serve({ port: 0, fetch: () => Response.json(answer) });
    for (const kind of ["ollama", "llamacpp", "vllm"] as const) {
      expect(await askFacts(kind, `http://127.0.0.1:${server.port}/v1`)).toEqual({});
    }
    await server.stop(true);
  }
});
