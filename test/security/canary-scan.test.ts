// Promise: a provider's key is in nothing that the gateway leaves behind or shows, after whatever happened.

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity } from "age-encryption";
import { systemClock } from "../../src/clock.ts";
import { createVaultCipher, VaultStore, vaultKey } from "../../src/layers/vault/index.ts";
import { Canary, expectNoCanary, findCanaries, keyCommand, type CanaryForm } from "../canary.ts";
import { dialects, post, startHouse, type House } from "../fakes/house.ts";
import { FakeProvider, type RecordedRequest } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { eventually, startGateway, type Gateway } from "../harness.ts";
import { filesUnder, headersText, pagesOf, processFacts, type Artefact } from "./artefacts.ts";

setDefaultTimeout(120_000);

const root = join(import.meta.dir, "..", "..");
/** `SCAN_REQUESTS=10000 npm run scan:canary` for more. */
const requests = Number(process.env["SCAN_REQUESTS"] ?? 1_000);
const atOnce = 16;
const killAfter = 350;

/** One for each place that keys come from, and one that takes another's place on the way. */
const inVault = new Canary("vault", "sk-ant-api03-");
const byCommand = new Canary("command", "sk-proj-");
const inKeychain = new Canary("keychain", "sk-or-v1-");
const later = new Canary("later", "sk-ant-api03-");
const canaries = [inVault, byCommand, inKeychain, later];

const pages = [
  "/stats",
  "/stats/stream",
  "/metrics",
  "/healthz",
  "/readyz",
  "/dashboard",
  "/v1/models",
  "/v1/models/x",
  "/nowhere",
];

type Fault = (key: string, elsewhere: string) => Step;

/** What a provider can do with a key that it was sent, and what else can go wrong. */
const faults: readonly Fault[] = [
  () => ({}),
  (key) => ({ answer: { text: `Your key: ${key}.`, pieceLength: 7 }, comments: key, headers: { "x-echo": key } }),
  (key) => ({
    answer: { text: Buffer.from(key).toString("base64"), model: key, toolCalls: [{ name: "f", input: { key } }] },
  }),
  (key) => ({
    refuse: { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: key } } },
  }),
  (key) => ({ refuse: { status: 401, headers: { "request-id": key }, body: { error: { message: key } } } }),
  (key) => ({ refuse: { status: 429, headers: { "retry-after": key }, body: key } }),
  (key) => ({ refuse: { status: 529, body: Buffer.from(key).toString("hex") } }),
  (key, elsewhere) => ({ refuse: { status: 302, headers: { location: `${elsewhere}/v1/messages?key=${key}` } } }),
  (_, elsewhere) => ({ refuse: { status: 307, headers: { location: `${elsewhere}/v1/messages` } } }),
  (key) => ({ rawBody: `{"malformed": "${key}` }),
  (key) => ({ rawBody: `data: ${key}\n\n` }),
  (key) => ({ errorEvent: { afterEvents: 3, type: key, message: key } }),
  (key) => ({ answer: { text: `${key} ${key}`, pieceLength: 5 }, cut: { at: { event: 6 }, how: "destroy" } }),
  (key) => ({ answer: { text: key, pieceLength: 3 }, cut: { at: { byte: 700 }, how: "close" } }),
  () => ({ stall: "before_headers" }),
  (key) => ({ answer: { text: key, pieceLength: 9 }, stall: { afterEvents: 5 } }),
  (key) => ({ refuse: { status: 404, body: encodeURIComponent(key) } }),
];

let folder: string;
let house: House;
let elsewhere: FakeProvider;
const shown: Artefact[] = [];

/** Which key a request came with: exactly one of ours, in exactly one header. */
function keyOf(request: RecordedRequest): string {
  return request.header("x-api-key") ?? request.header("authorization")?.replace(/^Bearer /, "") ?? "";
}

/** A provider for every fault and every source of keys, so that a breaker that opens hides nothing else. */
function providersFor(cloud: string): { providers: Record<string, object>; models: Record<string, object> } {
  const providers: Record<string, object> = {};
  const models: Record<string, object> = {};
  const timeouts = { connect: "1s", first_byte: "300ms", first_content: "300ms", idle: "300ms" };
  const sources = [
    { name: "vault", key: "vault", at: { url: cloud, dialects: ["messages"] } },
    {
      name: "command",
      key: keyCommand(folder, byCommand),
      at: { url: `${cloud}/v1`, dialects: ["responses", "chat"] },
    },
    { name: "keychain", key: "keychain", at: { url: `${cloud}/v1`, dialects: ["chat"] } },
  ];
  for (const number of faults.keys()) {
    for (const { name, key, at } of sources) {
      const provider = `${name}-${number}`;
      providers[provider] = { ...at, key, timeouts, retry: { attempts: 1 } };
      models[provider] = { provider, model: provider, price: { input: 1, output: 1 } };
    }
  }
  return { providers, models };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-scan-"));
  const home = join(folder, "home");
  const keychain = join(folder, "keychain");
  const heap = join(folder, "heap");
  for (const path of [home, keychain, heap, join(home, "tmp")]) mkdirSync(path, { recursive: true, mode: 0o700 });
  elsewhere = await FakeProvider.start();
  const identity = await generateIdentity();
  writeFileSync(join(folder, "identity.txt"), `${identity}\n`, { mode: 0o600 });
  const vault = new VaultStore({
    file: join(home, "vault.age"),
    marksFile: join(home, "state/vault.json"),
    cipher: createVaultCipher(),
    clock: systemClock,
  });
  mkdirSync(join(home, "state"), { mode: 0o700 });
  await vault.unlock(vaultKey("identity", Buffer.from(identity)));
  for (const number of faults.keys()) {
    await vault.save(`vault-${number}`, [Buffer.from(inVault.value)]);
    writeFileSync(join(keychain, `keychain-${number}`), inKeychain.value, { mode: 0o600 });
  }
  house = await startHouse({
    home,
    program: [
      process.execPath,
      "--no-env-file",
      "--config=/dev/null",
      "--smol",
      join(root, "test/security/scan-daemon.ts"),
    ],
    env: {
      SCAN_KEYCHAIN: keychain,
      SANCTUM_KEYCHAIN: "on",
      SCAN_HEAP: heap,
      TMPDIR: join(home, "tmp"),
      // Names a bus, so that the keychain is asked; nobody listens there.
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${folder}/no-bus`,
    },
    cloud: {
      respond: (request) => faults[Number(/-(\d+)"/.exec(request.text)?.[1] ?? 0)]!(keyOf(request), elsewhere.url),
    },
    config: ({ cloud }) => ({
      ...providersFor(cloud),
      vault: { identity: join(folder, "identity.txt") },
      audit: { rotate: { size: "64KB", keep: 30 } },
    }),
  });
  await run(house);
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** All requests, some at a time, with a kill and reloads in between, and a look at the processes all the while. */
async function run({ gateway }: House): Promise<void> {
  let next = 0;
  const worker = async (until: number): Promise<void> => {
    while (next < until) {
      const number = next++;
      await ask(gateway, number);
      if (number % 100 === 50) {
        house.gateway.writeConfig({ ...house.config, stream: { keep_alive: `${20 + (number % 7)}s` } });
        shown.push(...processFacts(gateway.pid));
      }
      if (number === 700) writeFileSync(join(folder, "command.key"), `${later.value}\n`, { mode: 0o600 });
    }
  };
  const workers = (until: number): Promise<void>[] => Array.from({ length: atOnce }, () => worker(until));
  const first = Promise.all(workers(killAfter));
  await eventually(() => expect(next).toBeGreaterThan(killAfter - atOnce), 60_000);
  await gateway.kill9();
  await first;
  await gateway.restart();
  await Promise.all(workers(requests));
  await eventually(async () => expect((await gateway.stats()).in_flight).toBe(0), 20_000);
}

async function ask(gateway: Gateway, number: number): Promise<void> {
  const dialect = dialects[number % 3]!;
  const source = ["vault", "command", "keychain"][Math.trunc(number / 3) % 3]!;
  const model = `${source}-${Math.trunc(number / 9) % faults.length}`;
  const leaves = number % 41 === 40;
  const signal = leaves ? AbortSignal.timeout(5) : undefined;
  const extra = { stream: number % 2 === 0 };
  let content = "";
  try {
    const response = await post(gateway, dialect, { model, extra, ...(signal === undefined ? {} : { signal }) });
    content = headersText(response.headers);
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) content += decoder.decode(bytes, { stream: true });
  } catch {
    // The gateway was killed, or its client left: what came by then counts.
  }
  shown.push({ name: `the answer to request ${number}`, content });
}

function expectClean(artefacts: readonly Artefact[]): void {
  for (const { name, content } of artefacts) expectNoCanary(name, canaries, content);
}

describe("after a thousand requests with every fault, a kill and reloads, no key", () => {
  test("was left out: each of them has been sent, to its own provider alone", () => {
    const sent = new Map<string, Set<string>>();
    for (const request of house.cloud.generations) {
      const source = /"model":"(vault|command|keychain)-/.exec(request.text)?.[1] ?? "";
      sent.set(source, (sent.get(source) ?? new Set()).add(keyOf(request)));
    }
    expect(sent.get("vault")).toEqual(new Set([inVault.value]));
    expect(sent.get("keychain")).toEqual(new Set([inKeychain.value]));
    expect(sent.get("command")?.has(byCommand.value)).toBe(true);
    expect(house.local.generations.length).toBeGreaterThan(50);
    expect(house.cloud.generations.length).toBeGreaterThan(300);
    for (const request of house.local.requests)
      expectNoCanary("a local model's request", canaries, request.head + request.text);
    expect(elsewhere.requests).toEqual([]);
  });

  test("is in an answer to a client, in its body or its headers", () => {
    const answers = shown.filter(({ name }) => name.startsWith("the answer"));
    expect(answers.length).toBe(requests);
    expectClean(answers);
  });

  test("is in the environment or the command line of the daemon or a process that it starts", () => {
    const seen = [...shown, ...processFacts(house.gateway.pid)].filter(({ name }) => / of (?:the|a) /.test(name));
    expect(seen.length).toBeGreaterThan(10);
    expectClean(seen);
  });

  test("is on a page of the operations plane, or in what the command line tells", async () => {
    expectClean(await pagesOf(house.gateway.url, pages));
    for (const command of [["stats", "--json"], ["keys", "list"], ["audit", "query"], ["models"]]) {
      const child = Bun.spawn(["sh", join(root, "bin/sanctum"), ...command], {
        env: { PATH: process.env["PATH"]!, HOME: house.gateway.home, SANCTUM_HOME: house.gateway.home },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const told = (await child.stdout.text()) + (await child.stderr.text());
      expect(told.length).toBeGreaterThan(20);
      expectNoCanary(`sanctum ${command.join(" ")}`, canaries, told);
    }
  });

  test("is in the heap of the daemon at rest", async () => {
    const before = house.gateway.output().length;
    house.gateway.signal("SIGUSR2");
    await eventually(() => expect(house.gateway.output().slice(before)).toContain("heap written"), 60_000);
    const heap = readFileSync(join(folder, "heap", "heap.txt"), "utf8");
    // What the daemon's strings are is in it.
    expect(heap).toContain("x-api-key");
    expect(heap).toContain(house.gateway.home);
    expectNoCanary("the heap", canaries, heap);
  });

  test("is in the log, or in a file under its home: trail, moved trails, ledger with its log, temporary files", async () => {
    const files = filesUnder(house.gateway.home);
    const names = files.map(({ name }) => name).join(" ");
    for (const part of [
      "cloud-proxy-audit.jsonl",
      "cloud-proxy-audit-2",
      "ledger.sqlite-wal",
      "vault.age",
      "config.yaml",
    ]) {
      expect(names).toContain(part);
    }
    expectClean(files);
    await house.gateway.stop();
    expectClean([...filesUnder(house.gateway.home), { name: "the log", content: house.gateway.output() }]);
    expect(house.gateway.output()).toContain("listening on");
  });
});

test("what `sanctum` starts may leave no image of its memory, where the system has such limits", async () => {
  await using gateway = await startGateway({ config: { listen: "127.0.0.1:0" } });
  const limits = readFileSync(`/proc/${gateway.pid}/limits`, "utf8");
  expect(limits).toMatch(/^Max core file size +0 +0 +bytes/m);
});

/** A place that is searched, with something put into it. Returns what the search of that place reads. */
type Plant = (text: string) => Promise<readonly Artefact[]>;

async function withFolder(fill: (folder: string) => void): Promise<readonly Artefact[]> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-plant-"));
  try {
    fill(home);
    return filesUnder(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

const plants: readonly (readonly [string, Plant])[] = [
  ["a file of lines", (text) => withFolder((home) => writeFileSync(join(home, "a.jsonl"), `x ${text} y\n`))],
  [
    "a file in a folder of a folder",
    (text) =>
      withFolder((home) => {
        mkdirSync(join(home, "a/b"), { recursive: true });
        writeFileSync(join(home, "a/b/c.tmp"), text);
      }),
  ],
  [
    "a ledger's log that is not in its main file yet",
    (text) =>
      withFolder((home) => {
        const ledger = new Database(join(home, "ledger.sqlite"));
        ledger.run("pragma journal_mode = wal");
        ledger.run("create table t (a text)");
        ledger.run("insert into t values (?)", [text]);
        writeFileSync(join(home, "copy-wal"), readFileSync(join(home, "ledger.sqlite-wal")));
        ledger.close();
      }),
  ],
  ["UTF-16", (text) => withFolder((home) => writeFileSync(join(home, "utf16"), Buffer.from(text, "utf16le")))],
  ["the environment of a process", (text) => withProcess("echo ready; sleep 60", [], { X: text })],
  ["the command line of a process", (text) => withProcess("echo ready; sleep 60", [text], {})],
  [
    "the command line of a child of a process",
    (text) => withProcess(`read -r x; sh -c 'echo ready; sleep 60' sh "$x" & wait`, [], {}, text),
  ],
  ["a page", (text) => withPage(() => new Response(`a ${text} b`))],
  ["a header of a page", (text) => withPage(() => new Response("", { headers: { "x-a": text } }))],
  [
    "the first piece of a stream",
    (text) =>
      withPage(() => {
        const body = new ReadableStream({ start: (controller) => controller.enqueue(`data: ${text}\n\n`) });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      }),
  ],
  ["the heap", (text) => heapWith(text, "string")],
];

/** A shell that runs `script` with these arguments; it and its children end with the search. It says when it is ready. */
async function withProcess(
  script: string,
  args: readonly string[],
  env: Record<string, string>,
  input = "",
): Promise<readonly Artefact[]> {
  const child = Bun.spawn(["sh", "-c", script, ...args], {
    env: { PATH: process.env["PATH"]!, ...env },
    stdio: [Buffer.from(`${input}\n`), "pipe", "ignore"],
    detached: true,
  });
  try {
    await (child.stdout.getReader() as ReadableStreamDefaultReader<Uint8Array>).read();
    return processFacts(child.pid);
  } finally {
    process.kill(-child.pid, "SIGKILL");
    await child.exited;
  }
}

async function withPage(answer: () => Response): Promise<readonly Artefact[]> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  try {
    return await pagesOf(server.url.origin, ["/"]);
  } finally {
    await server.stop(true);
  }
}

/** The heap of a process that keeps the text, but for the test's own process, which holds it anyway. */
async function heapWith(text: string, how: "string" | "bytes"): Promise<readonly Artefact[]> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "heap-child.ts"), how], {
    stdio: [Buffer.from(text), "pipe", "inherit"],
  });
  const content = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return [{ name: "heap", content }];
}

describe("the search finds a key that is planted", () => {
  test.each(plants)("in %s, in every form and in parts", async (_place, plant) => {
    for (const form of ["raw", "base64", "base64url", "hex", "url", "json", "reversed"] as const) {
      const canary = new Canary("planted", "sk-ant-api03-");
      for (const text of canary.forms.filter(([name]) => name === form).map(([, text]) => text)) {
        expect(formsIn(await plant(text), canary)).toContain(form);
      }
    }
    const canary = new Canary("planted", "sk-ant-api03-");
    const half = canary.value.slice(20, 45);
    expect(formsIn(await plant(half), canary)).toContain("part");
  });

  test("in a heap as a string, and not as bytes, which is how the gateway keeps it", async () => {
    const canary = new Canary("planted", "sk-ant-api03-");
    expect(formsIn(await heapWith(canary.value, "string"), canary)).toContain("raw");
    expect(formsIn(await heapWith(canary.value, "bytes"), canary)).toEqual([]);
  });

  test("nowhere where none is", async () => {
    const canary = new Canary("planted", "sk-ant-api03-");
    for (const [, plant] of plants) expect(formsIn(await plant("sk-ant-api03-0123456789abcdef"), canary)).toEqual([]);
  });
});

function formsIn(artefacts: readonly Artefact[], canary: Canary): CanaryForm[] {
  return artefacts.flatMap(({ content }) => findCanaries([canary], content)).map(({ form }) => form);
}
