import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

const quick = { connectMs: 10_000, firstByteMs: 30, firstContentMs: 10_000, idleMs: 10_000 };

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
  /** A process that listens, and then stands still: once its queue is full the system drops every further connection. */
  async function blackHole(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "sanctum-hole-"));
    const script = join(folder, "hole.ts");
    writeFileSync(
      script,
      `import { createServer } from "node:net";
       const server = createServer(() => undefined);
       server.listen({ port: 0, host: "127.0.0.1" }, () => console.log(server.address().port));`,
    );
    const child = Bun.spawn([process.execPath, script], { stdio: ["ignore", "pipe", "inherit"] });
    const { value } = await child.stdout.getReader().read();
    const port = Number(Buffer.from(value!).toString());
    child.kill("SIGSTOP");
    let taken = 0;
    const full = Promise.withResolvers<void>();
    // The runtime listens with a queue of 512; the system keeps one more.
    const fillers = Array.from({ length: 530 }, () =>
      connect(port, "127.0.0.1", () => ++taken === 513 && full.resolve()).on("error", () => undefined),
    );
    ends.push(async () => {
      for (const filler of fillers) filler.destroy();
      child.kill("SIGKILL");
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    });
    await full.promise;
    return `http://127.0.0.1:${port}`;
  }

  test("is given up after `connect`, long before `first_byte`, and nothing was billed", async () => {
    const timeouts = { ...quick, connectMs: 200, firstByteMs: 60_000 };
    const error = await failureOf(sent(providerAt(await blackHole(), { timeouts })));
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

test("a client that goes away ends the call", async () => {
  const gone = Promise.withResolvers<void>();
  const server = await tcp((socket) => socket.once("close", () => gone.resolve()));
  const client = new AbortController();
  const call = sent(providerAt(urlOf(server)), undefined, client.signal);
  setTimeout(() => client.abort(), 10);
  expect((await failureOf(call)).outcome).toBe("client_gone");
  await gone.promise;
});
