// Mixed requests under faults of the providers, clients that leave, files that are moved away by another program, and
// `kill -9` at random moments: none without exactly one line, and the trail whole and sealed all the time. `npm test` sends
// 1,500, `npm run test:crash` 100,000 (LINES_REQUESTS); LINES_SEED makes other ones.

import { expect, test } from "bun:test";
import { readFileSync, renameSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { auditFiles } from "../../src/layers/audit/index.ts";
import { runArgs } from "../fakes/command-line.ts";
import { baseConfig, dialects, merge, modelOf, routeOf, smallBody } from "../fakes/house.ts";
import { rawPost, requestBytes, type RawPost } from "../fakes/raw-client.ts";
import { RemoteProvider } from "../fakes/remote-provider.ts";
import type { Step } from "../fakes/script.ts";
import { createSeededRandom, type SeededRandom } from "../fuzz/seeded-random.ts";
import { faultsOfChain, startGateway, tokenOf, type Gateway } from "../harness.ts";

const total = Number(process.env["LINES_REQUESTS"] ?? 1_500);
const seed = Number(process.env["LINES_SEED"] ?? 1);
const workers = 32;
const perLife = Math.min(2_500, Math.ceil(total / 5));

const steps: readonly Step[] = [
  ...Array.from({ length: 24 }, () => ({})),
  { refuse: { status: 429, headers: { "retry-after": "1" } } },
  { refuse: { status: 500 } },
  { refuse: { status: 400, body: { error: { message: "no" } } } },
  { cut: { at: { event: 3 }, how: "destroy" } },
  { cut: { at: { byte: 40 }, how: "close" } },
  { errorEvent: { afterEvents: 2 } },
  { errorEvent: { afterEvents: 0 } },
  { stall: "before_headers" },
  { stall: { afterEvents: 3 } },
  { rawBody: "this is no answer" },
  { answer: { usage: "missing" } },
];

function configFor(cloud: string): Record<string, unknown> {
  const timeouts = { first_byte: "400ms", first_content: "400ms", idle: "400ms" };
  const base = baseConfig(cloud, "http://127.0.0.1:9");
  const providers = Object.fromEntries(
    Object.entries(base["providers"] as Record<string, object>).map(([name, one]) => [name, { ...one, timeouts }]),
  );
  const agents = {
    windu: { daily_usd: 100_000, tokens: [tokenOf("windu").hash] },
    jocasta: { daily_usd: 0.000001, tokens: [tokenOf("jocasta").hash] },
    mothma: { daily_usd: 100_000, requests_per_minute: 60, tokens: [tokenOf("mothma").hash] },
  };
  return { ...merge(base, { agents, audit: { rotate: { size: "1MB", keep: 100_000 } } }), providers, fallback: [] };
}

const bearer = (agent: string): Record<string, string> => ({ authorization: `Bearer ${tokenOf(agent).token}` });

/** One of the many things that clients do. */
function requestOf(random: SeededRandom, number: number): RawPost {
  const dialect = dialects[Math.floor(random.next() * dialects.length)]!;
  const path = routeOf[dialect];
  const stream = random.next() < 0.5;
  const body = smallBody(dialect, modelOf[dialect], { stream });
  const kind = Math.floor(random.next() * 20);
  switch (kind) {
    case 0:
      return { path, body, headers: { authorization: `Bearer sk-sanctum-windu-${"x".repeat(43)}` } };
    case 1:
      return { path: `/agent/mothma${path}`, body, headers: bearer("windu") };
    case 2:
      return { path, body: body.slice(0, -5), headers: bearer("windu") };
    case 3:
      return { path, body: smallBody(dialect, "no-such-model"), headers: bearer("windu") };
    case 4:
      return { path, body, headers: bearer("jocasta") };
    case 5:
      return { path, body, headers: bearer("mothma") };
    case 6:
      return {
        path: "/v1/messages/count_tokens",
        body: smallBody("messages", modelOf.messages),
        headers: bearer("windu"),
      };
    case 7:
      return {
        path,
        body: smallBody(dialect, modelOf[dialect]),
        headers: { ...bearer("windu"), "idempotency-key": `key-${number >> 6}` },
      };
    default:
      return { path, body, headers: bearer("windu") };
  }
}

/** The id of the answer; null: its head never came. */
async function ask(url: string, post: RawPost, leavesAfterBytes: number | null): Promise<string | null> {
  if (leavesAfterBytes === null) return (await rawPost(url, post)).headers["x-sanctum-request-id"] ?? null;
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = connect({ host: hostname, port: Number(port) });
  let seen = "";
  const leave = (): void => {
    socket.destroy();
    resolve(/\r\nx-sanctum-request-id: (\S+)\r\n/i.exec(seen)?.[1] ?? null);
  };
  socket.on("data", (chunk: Buffer) => {
    seen += chunk.toString("latin1");
    if (seen.length >= leavesAfterBytes) leave();
  });
  socket.on("error", leave);
  socket.on("close", leave);
  socket.write(requestBytes(url, post));
  return promise;
}

interface Load {
  readonly random: SeededRandom;
  sent: number;
  /** Requests of which the client got the head of an answer. */
  readonly known: Set<string>;
  unknown: number;
}

async function work(gateway: Gateway, load: Load, until: number, life: { over: boolean }): Promise<void> {
  while (!life.over && load.sent < until) {
    const number = load.sent++;
    const leaves = load.random.next() < 0.06 ? Math.floor(load.random.next() * 900) : null;
    const id = await ask(gateway.url, requestOf(load.random, number), leaves).catch(() => null);
    if (id === null) load.unknown++;
    else load.known.add(id);
  }
}

function idsOf(lines: readonly string[]): string[] {
  return lines.map((line) => (JSON.parse(line) as { id: string }).id);
}

const linesOf = (trail: string): string[] =>
  auditFiles(trail).flatMap((file) => readFileSync(file, "utf8").split("\n").slice(0, -1));

test(
  `${total} mixed requests, faults, leaving clients, moved files and kill -9: none without exactly one line`,
  async () => {
    const random = createSeededRandom(seed);
    await using cloud = await RemoteProvider.start({ cycle: steps });
    await using gateway = await startGateway({ config: configFor(cloud.url) });
    const trail = join(gateway.home, "logs", "cloud-proxy-audit.jsonl");
    const load: Load = { random, sent: 0, known: new Set(), unknown: 0 };
    let kills = 0;
    while (load.sent < total) {
      const life = { over: false };
      const until = Math.min(total, load.sent + Math.ceil(perLife * (0.5 + random.next())));
      const working = Promise.all(Array.from({ length: workers }, () => work(gateway, load, until, life)));
      // The last requests of a life are still under way when it ends.
      const killAt = until - Math.floor(random.next() * workers);
      while (load.sent < killAt) await Bun.sleep(2);
      // As logrotate does it, in the middle of the load.
      if (kills % 2 === 0) renameSync(trail, `${trail}.${kills + 1}`);
      if (kills % 3 !== 2) await gateway.kill9();
      else {
        life.over = true;
        await working;
        expect(await gateway.stop()).toBe(0);
      }
      kills++;
      life.over = true;
      await working;
      await gateway.restart();
    }
    expect(await gateway.stop()).toBe(0);

    const lines = linesOf(trail);
    const ids = idsOf(lines);
    const unique = new Set(ids);
    expect(ids.length - unique.size).toBe(0);
    expect([...load.known].filter((id) => !unique.has(id))).toEqual([]);
    // Whose answer never came may have a line or none, where the gateway was killed before it had read the request.
    expect(unique.size).toBeLessThanOrEqual(load.known.size + load.unknown);
    expect(faultsOfChain(lines)).toEqual([]);
    expect(await runArgs(gateway, ["audit", "verify"])).toMatchObject({ code: 0 });
    expect(gateway.output()).not.toContain("ALARM");
    const outcomes = new Set(lines.map((line) => (JSON.parse(line) as { outcome: string }).outcome));
    for (const outcome of ["ok", "client_error", "refused_identity", "refused_budget", "refused_limit"]) {
      expect(outcomes).toContain(outcome);
    }
    console.log(
      `${load.sent} requests (seed ${seed}) over ${kills} lives: ${lines.length} lines, ${load.known.size} answered ids, ` +
        `${load.unknown} without an answer's head`,
    );
  },
  60_000 + total * 30,
);
