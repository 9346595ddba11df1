import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { blackHole } from "../../test/fakes/black-hole.ts";
import { AttemptError } from "../errors.ts";
import type { Provider } from "../request.ts";
import { Deadline } from "./deadline.ts";
import { Dispatcher, failureOf as failureOfError } from "./dispatch.ts";
import { providerAt, StillClock } from "./sample-keyed.ts";

const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
});

interface Sent {
  readonly deadline: Deadline;
  readonly answer: Promise<Response>;
}

function sent(provider: Provider, dispatcher = new Dispatcher(new StillClock()), client?: AbortSignal): Sent {
  const deadline = new Deadline(client ?? new AbortController().signal);
  const url = `${provider.url}/chat/completions`;
  return { deadline, answer: dispatcher.send({ url, headers: { "x-a": "b" }, body: "the body", provider, deadline }) };
}

async function failureOf({ answer, deadline }: Sent): Promise<AttemptError> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof AttemptError) return error;
    throw error;
  } finally {
    deadline.close();
  }
  throw new Error("it was answered");
}

/** A server on the bare socket. */
async function tcp(onData: (socket: Socket) => void, seen: (text: string) => void = () => undefined): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => seen(bytes.toString()));
    socket.once("data", () => onData(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => server.close());
  return server;
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const quick = { connectMs: 10_000, firstByteMs: 30, firstContentMs: 10_000, idleMs: 10_000, totalMs: 60_000 };

describe("a call", () => {
  test("is one POST with these headers and this body, and returns when the answer's headers are there", async () => {
    let request = "";
    const server = await tcp(
      (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"),
      (text) => (request += text),
    );
    const call = sent(providerAt(`${urlOf(server)}/v1`));
    expect((await call.answer).status).toBe(200);
    expect(request).toStartWith("POST /v1/chat/completions HTTP/1.1\r\n");
    expect(request).toMatch(/^x-a: b\r$/im);
    expect(request).toEndWith("\r\n\r\nthe body");
    call.deadline.close();
    call.deadline.abort();
  });

  test("follows no redirect and unpacks nothing", async () => {
    const asked: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        asked.push(request.url);
        return new Response("\u001f\u008b", {
          status: 302,
          headers: { location: "/elsewhere", "content-encoding": "gzip" },
        });
      },
    });
    ends.push(() => server.stop(true));
    const call = sent(providerAt(`http://127.0.0.1:${server.port}`));
    const answer = await call.answer;
    expect([answer.status, answer.headers.get("content-encoding"), asked.length]).toEqual([302, "gzip", 1]);
    call.deadline.close();
  });
});

describe("nothing was billed where", () => {
  test("nobody listens", async () => {
    const server = await tcp(() => undefined);
    const url = urlOf(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await failureOf(sent(providerAt(url)))).toMatchObject({ outcome: "connect_failed", billed: "none" });
  });

  test("the runtime says that the name means no host, or that the certificate is not to be trusted", () => {
    const deadline = new Deadline(new AbortController().signal);
    const codes = [
      "ENOTFOUND",
      "EAI_AGAIN",
      "EHOSTUNREACH",
      "ENETUNREACH",
      "ECONNREFUSED",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "CERT_HAS_EXPIRED",
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ];
    for (const code of codes) {
      const { outcome, billed } = failureOfError(Object.assign(new Error("x"), { code }), deadline);
      expect([code, outcome, billed]).toEqual([code, "connect_failed", "none"]);
    }
    expect(failureOfError(Object.assign(new Error("x"), { code: "ECONNRESET" }), deadline).billed).toBe("unknown");
    deadline.close();
  });

  test("the other side speaks no TLS, or shows a certificate of nobody we know", async () => {
    const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("x") });
    ends.push(() => plain.stop(true));
    const error = await failureOf(sent(providerAt(`https://127.0.0.1:${plain.port}`)));
    expect(error).toMatchObject({ outcome: "connect_failed", billed: "none" });
  });

  test("the configured ca_file is gone", async () => {
    const provider = providerAt("https://127.0.0.1:9", { caFile: "/nowhere/ca.pem" });
    const error = await failureOf(sent(provider));
    expect(error).toMatchObject({ outcome: "connect_failed", billed: "none" });
    expect(error.note).toContain("ca_file");
  });
});

describe("it may have been billed where", () => {
  test("no byte of an answer comes in time", async () => {
    const server = await tcp(() => undefined);
    const error = await failureOf(sent(providerAt(urlOf(server), { timeouts: quick })));
    expect(error).toMatchObject({ outcome: "timeout_first_byte", billed: "unknown" });
  });

  test("the connection breaks before an answer, in whatever way", async () => {
    const ways: readonly ((socket: Socket) => void)[] = [
      (socket) => socket.destroy(),
      (socket) => socket.resetAndDestroy(),
      (socket) => socket.end("HTTP/1.1 2"),
      (socket) => socket.end("SMTP ready\r\n\r\n"),
    ];
    for (const way of ways) {
      const server = await tcp(way);
      expect(await failureOf(sent(providerAt(urlOf(server))))).toMatchObject({
        outcome: "cut_stream",
        billed: "unknown",
      });
    }
  });
});

describe("a host that does not even take the connection", () => {
  test("is given up after `connect`, long before `first_byte`, and nothing was billed", async () => {
    const timeouts = { ...quick, connectMs: 200, firstByteMs: 60_000 };
    const error = await failureOf(sent(providerAt(await blackHole(ends), { timeouts })));
    expect(error).toMatchObject({ outcome: "timeout_connect", billed: "none" });
  });

  test("is not mistaken for one that thinks: who takes the connection has until `first_byte`", async () => {
    const server = await tcp((socket) => {
      setTimeout(() => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), 120);
    });
    const timeouts = { ...quick, connectMs: 40, firstByteMs: 10_000 };
    const call = sent(providerAt(urlOf(server), { timeouts }));
    expect(await (await call.answer).text()).toBe("ok");
    call.deadline.close();
  });
});

describe("a TLS handshake", () => {
  const https = (server: Server): string => urlOf(server).replace("http:", "https:");

  test("that stalls is given up after `connect`, and nothing was billed", async () => {
    const server = await tcp(() => undefined);
    const timeouts = { ...quick, connectMs: 200, firstByteMs: 60_000 };
    const error = await failureOf(sent(providerAt(https(server), { timeouts })));
    expect(error).toMatchObject({ outcome: "timeout_connect", billed: "none" });
  });

  test("that the other side breaks off or refuses is told as such, and nothing was billed", async () => {
    const alert = Buffer.from([21, 3, 3, 0, 2, 2, 40]);
    for (const way of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.end(alert)]) {
      const error = await failureOf(sent(providerAt(https(await tcp(way)))));
      expect(error).toMatchObject({ outcome: "connect_failed", billed: "none", note: "the TLS handshake failed" });
    }
  });
});

test("each way of not getting a connection is told apart", () => {
  const deadline = new Deadline(new AbortController().signal);
  const noteOf = (code: string): string | undefined =>
    failureOfError(Object.assign(new Error("x"), { code }), deadline).note;
  expect(noteOf("ENOTFOUND")).toBe("no such host (DNS)");
  expect(noteOf("ECONNREFUSED")).toBe("the connection was refused");
  expect(noteOf("EPROTO")).toBe("the TLS handshake failed");
  expect(noteOf("CERT_HAS_EXPIRED")).toBe("the TLS certificate was refused");
  deadline.close();
});

describe("a connection on which a call has failed", () => {
  /** Answers the first call in its own way, every later one well; the number of the connection is in the answer. */
  async function server(first: (socket: Socket) => void): Promise<{ url: string; connections: () => number }> {
    let calls = 0;
    let connections = 0;
    const listening = createServer((socket) => {
      const own = ++connections;
      socket.on("error", () => undefined);
      socket.on("data", () => {
        if (calls++ === 0) first(socket);
        else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${own}`);
      });
    });
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
    ends.push(() => listening.close());
    return { url: urlOf(listening), connections: () => connections };
  }

  const failures: readonly (readonly [string, (socket: Socket) => void])[] = [
    ["times out before its headers", () => undefined],
    ["gets what is no HTTP", (socket) => socket.write("SMTP ready\r\n\r\n")],
    ["stalls in its body", (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab")],
  ];
  for (const [name, first] of failures) {
    test(`is not used again where it ${name}`, async () => {
      const { url, connections } = await server(first);
      const dispatcher = new Dispatcher(new StillClock());
      const provider = providerAt(url, { timeouts: { ...quick, firstByteMs: 60 } });
      const failing = sent(provider, dispatcher);
      await failing.answer
        .then(async (response) => {
          failing.deadline.arm("timeout_first_content", 20);
          await response.text();
        })
        .catch(() => undefined);
      failing.deadline.close();
      failing.deadline.abort();
      const next = sent(provider, dispatcher);
      expect(await (await next.answer).text()).toBe("2");
      next.deadline.close();
      const again = sent(provider, dispatcher);
      expect(await (await again.answer).text()).toBe("2");
      again.deadline.close();
      expect(connections()).toBe(2);
    });
  }

  test("and was kept open, but closed by the other side meanwhile, costs the next call nothing", async () => {
    const calls: string[] = [];
    const listening = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", () => {
        calls.push("call");
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        // Its idle time is over as soon as it has answered.
        setTimeout(() => socket.destroy(), 5);
      });
    });
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
    ends.push(() => listening.close());
    const dispatcher = new Dispatcher(new StillClock());
    for (let i = 0; i < 20; i++) {
      const call = sent(providerAt(urlOf(listening)), dispatcher);
      expect(await (await call.answer).text()).toBe("ok");
      call.deadline.close();
      await Bun.sleep(i % 3 === 0 ? 5 : 0);
    }
    expect(calls.length).toBeGreaterThanOrEqual(20);
  });
});

test("a client that goes away ends the call", async () => {
  const gone = Promise.withResolvers<void>();
  const server = await tcp((socket) => socket.once("close", () => gone.resolve()));
  const client = new AbortController();
  const call = sent(providerAt(urlOf(server)), undefined, client.signal);
  setTimeout(() => client.abort(), 10);
  expect((await failureOf(call)).outcome).toBe("client_gone");
  await gone.promise;
});
