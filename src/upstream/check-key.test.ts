import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../clock.ts";
import type { KeyVerdict } from "../key-verdict.ts";
import type { Provider } from "../request.ts";
import { Secret } from "../secret.ts";
import { provider as sample } from "../layers/vault/sample-provider.ts";
import { checkKeyAt } from "./check-key.ts";
import { Dispatcher } from "./dispatch.ts";

const key = "sk-canary-12345678";
const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

function serve(answer: (request: Request) => Response | Promise<Response>): { url: string; seen: Seen[] } {
  const seen: Seen[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { method, url, headers } = request;
      seen.push({ method, url, headers: new Headers(headers) });
      return answer(request);
    },
  });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}`, seen };
}

const timeouts = { connectMs: 5_000, firstByteMs: 5_000, firstContentMs: 5_000, idleMs: 5_000, totalMs: 60_000 };

async function check(over: Partial<Provider>, withKey: string | null = key): Promise<KeyVerdict> {
  const provider = { ...sample(over.name ?? "anthropic"), timeouts, ...over };
  const secret = withKey === null ? null : Secret.fromString(withKey);
  const verdict = await checkKeyAt(new Dispatcher(systemClock), provider, secret, new AbortController().signal);
  expect(JSON.stringify(verdict)).not.toContain("canary");
  return verdict;
}

describe("a key is shown to its provider", () => {
  test("where that costs nothing, in the vendor's own way", async () => {
    const { url, seen } = serve(() => Response.json({ data: [] }));
    const accepted = { result: "accepted", reason: null } as const;
    expect(await check({ url, dialects: ["messages"] })).toEqual(accepted);
    expect(await check({ name: "openai", url: `${url}/v1`, dialects: ["responses", "chat"] })).toEqual(accepted);
    expect(await check({ name: "openrouter", url: `${url}/api/v1`, dialects: ["chat"] })).toEqual(accepted);
    expect(seen.map(({ method, url }) => `${method} ${new URL(url).pathname}${new URL(url).search}`)).toEqual([
      "GET /v1/models?limit=1",
      "GET /v1/models",
      "GET /api/v1/key",
    ]);
    expect([seen[0]!.headers.get("x-api-key"), seen[0]!.headers.get("anthropic-version")]).toEqual([key, "2023-06-01"]);
    expect(seen.slice(1).map(({ headers }) => headers.get("authorization"))).toEqual([
      `Bearer ${key}`,
      `Bearer ${key}`,
    ]);
  });

  test("and what it answers is told in our own words, with nothing of the key or of the answer in them", async () => {
    const cases: [status: number, result: KeyVerdict["result"], told: string][] = [
      [401, "rejected", "401"],
      [403, "rejected", "403"],
      [404, "unchecked", "no list of models"],
      [429, "unchecked", "at a limit"],
      [500, "unchecked", "answered 500"],
      [529, "unchecked", "answered 529"],
    ];
    for (const [status, result, told] of cases) {
      const { url } = serve(() => Response.json({ error: { message: `canary: ${key}` } }, { status }));
      const verdict = await check({ url });
      expect([status, verdict.result, verdict.reason?.includes(told)]).toEqual([status, result, true]);
    }
  });

  test("a restricted key of OpenAI's, which may not list models, is known to it", async () => {
    const message = "You have insufficient permissions for this operation. Missing scopes: api.model.read.";
    const { url } = serve(() => Response.json({ error: { message } }, { status: 401 }));
    const verdict = await check({ name: "openai", url: `${url}/v1`, dialects: ["chat"] });
    expect([verdict.result, verdict.reason]).toEqual([
      "accepted",
      "it may not list models, so what it may do is not known",
    ]);
  });

  test("who answers everybody says nothing about a key", async () => {
    const { url, seen } = serve(() => Response.json({ data: [] }));
    const other = { name: "other", url: `${url}/v1`, dialects: ["chat"] as const };
    expect((await check(other)).result).toBe("unchecked");
    expect(seen.map(({ headers }) => headers.get("authorization"))).toEqual([`Bearer ${key}`, null]);
    const closed = serve(({ headers }) => Response.json({}, { status: headers.has("authorization") ? 200 : 401 }));
    expect((await check({ ...other, url: closed.url })).result).toBe("accepted");
  });

  test("and a page that some portal puts in the way is no answer of a provider", async () => {
    const { url } = serve(() => new Response("<html>Sign in</html>", { headers: { "content-type": "text/html" } }));
    expect((await check({ url })).reason).toContain("is its `url` right?");
  });

  test("a redirect takes the key nowhere", async () => {
    const elsewhere = serve(() => Response.json({ data: [] }));
    for (const status of [301, 302, 303, 307, 308]) {
      const { url } = serve(() => new Response(null, { status, headers: { location: elsewhere.url } }));
      expect((await check({ url })).result).toBe("unchecked");
    }
    expect(elsewhere.seen).toEqual([]);
  });
});

describe("a provider that can't be asked", () => {
  test("is told with what is in the way", async () => {
    const gone = serve(() => new Response());
    const { url } = gone;
    await servers.pop()!.stop(true);
    expect((await check({ url })).reason).toBe(`no connection to ${new URL(url).host}`);
    const silent = serve(() => new Promise<Response>(() => undefined));
    const impatient = { ...timeouts, connectMs: 1_000, firstByteMs: 30 };
    expect((await check({ url: silent.url, timeouts: impatient })).reason).toMatch(/^no answer of .* within 0.03 s$/);
    expect((await check({ url, caFile: "/no/such/file" })).reason).toContain("ca_file can't be read");
  });

  test("whose answer has no end is not read to it", async () => {
    let sent = 0;
    const endless = new ReadableStream({
      pull(controller) {
        sent++;
        controller.enqueue(new TextEncoder().encode(`{"canary":"${"x".repeat(4_096)}"`));
      },
    });
    const { url } = serve(() => new Response(endless, { headers: { "content-type": "application/json" } }));
    expect((await check({ url })).result).toBe("accepted");
    expect(sent).toBeLessThan(10_000);
  });

  test("that takes no key is only asked whether it answers", async () => {
    const { url, seen } = serve(() => Response.json({ data: [] }));
    const local = { name: "ollama", url: `${url}/v1`, local: true, dialects: ["chat"] as const };
    expect((await check(local, null)).result).toBe("accepted");
    expect([...seen[0]!.headers.keys()].filter((name) => /auth|key/.test(name))).toEqual([]);
    const wants = serve(() => new Response(null, { status: 401 }));
    expect((await check({ ...local, url: wants.url }, null)).reason).toContain("wants a key");
  });
});
