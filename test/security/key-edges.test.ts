// Promise: a provider's key is seen at that provider's own origin alone, whoever is asked before it or after it.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Canary, findCanaries, keyCommand } from "../canary.ts";
import { dialects, post, startHouse, type House } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf } from "../harness.ts";

setDefaultTimeout(60_000);

/** Each with an origin and a key of its own; the last one is at home and takes none. */
const stations = [
  { name: "first", dialect: "messages", canary: new Canary("first", "sk-ant-api03-") },
  { name: "second", dialect: "chat", canary: new Canary("second", "sk-or-v1-") },
  { name: "third", dialect: "responses", canary: new Canary("third", "sk-proj-") },
  { name: "home", dialect: "chat", canary: null },
] as const;
const canaries = stations.flatMap(({ canary }) => (canary === null ? [] : [canary]));

/** Ways to fail before the first content, so that the next one is asked. */
const failures: Readonly<Record<string, Step>> = {
  refused_key: { refuse: { status: 401, body: { error: { message: "no" } } } },
  forbidden: { refuse: { status: 403, body: { error: { message: "no" } } } },
  limit: { refuse: { status: 429, headers: { "retry-after": "1" }, body: { error: { message: "slow" } } } },
  broken: { refuse: { status: 500, body: "oops" } },
  elsewhere: { refuse: { status: 307, headers: { location: "/v1/elsewhere" } } },
  cut: { cut: { at: { byte: 0 }, how: "destroy" } },
  silent: { stall: "before_headers" },
  error_inside: { errorEvent: { afterEvents: 0, message: "no" } },
};

const edges = stations.flatMap((from) => stations.flatMap((to) => (from === to ? [] : [{ from, to }])));
const cases = edges.flatMap((edge) => Object.keys(failures).map((failure) => ({ ...edge, failure })));
const fails = (number: number): string => `fails-${number}`;
const answers = (number: number): string => `answers-${number}`;

let folder: string;
let house: House;
const servers = new Map<string, FakeProvider>();
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-edges-"));
  for (const { name, dialect } of stations) {
    const respond = (request: { readonly text: string }): Step => {
      const failing = /"model":"fails-(\d+)"/.exec(request.text)?.[1];
      return failing === undefined ? {} : failures[cases[Number(failing)]!.failure]!;
    };
    servers.set(name, await FakeProvider.start({ dialects: [dialect], respond }));
  }
  const providerAt = ({ name, dialect, canary }: (typeof stations)[number]): object => ({
    url: dialect === "messages" ? servers.get(name)!.url : `${servers.get(name)!.url}/v1`,
    dialects: [dialect],
    key: canary === null ? "none" : keyCommand(folder, canary),
    timeouts: { connect: "1s", first_byte: "300ms", first_content: "300ms", idle: "300ms" },
    retry: { attempts: 1 },
    ...(name === "home" ? { local: true } : {}),
  });
  const price = { input: 1, output: 1 };
  house = await startHouse({
    config: {
      // A provider for each end of each edge: a breaker or a rest of one case must not spare the next.
      providers: Object.fromEntries(
        cases.flatMap(({ from, to }, number) => [
          [fails(number), providerAt(from)],
          [answers(number), providerAt(to)],
        ]),
      ),
      models: Object.fromEntries(
        cases.flatMap(({ from, to }, number) => [
          [
            fails(number),
            { provider: fails(number), model: fails(number), ...(from.name === "home" ? {} : { price }) },
          ],
          [
            answers(number),
            { provider: answers(number), model: answers(number), ...(to.name === "home" ? {} : { price }) },
          ],
        ]),
      ),
      routes: cases.map((_, number) => ({
        name: `edge-${number}`,
        when: { model: fails(number) },
        use: [fails(number), answers(number)],
      })),
      fallback: [],
    },
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test.each(edges)(
  "from $from.name to $to.name, after every kind of failure, whatever credentials the client sends",
  async ({ from, to }) => {
    for (const [number, one] of cases.entries()) {
      if (one.from !== from || one.to !== to) continue;
      const stranger = "Bearer client-credential-of-this-test";
      const response = await post(house.gateway, dialects[number % 3]!, {
        model: fails(number),
        extra: { stream: number % 2 === 0 || one.failure === "error_inside" },
        headers: { cookie: stranger, "proxy-authorization": stranger, "x-goog-api-key": stranger, "api-key": stranger },
      });
      const text = await response.text();
      expect([one.failure, response.status, text.length > 0]).toEqual([one.failure, 200, true]);
      const id = response.headers.get("x-sanctum-request-id");
      const line = await house.gateway.auditLine((line) => line.id === id);
      expect(attemptsOf(line)).toHaveLength(2);
      expect(attemptsOf(line)[1]).toBe(`${answers(number)}:ok`);
    }
  },
);

test("over all these edges each key was seen at its own origin, in its own header, and nowhere else", () => {
  for (const { name, canary, dialect } of stations) {
    const requests = servers.get(name)!.generations;
    expect(requests.length).toBe(cases.filter(({ from, to }) => from.name === name || to.name === name).length);
    for (const request of requests) {
      const keys = [request.header("x-api-key"), request.header("authorization")];
      const own =
        canary === null
          ? [undefined, undefined]
          : dialect === "messages"
            ? [canary.value, undefined]
            : [undefined, `Bearer ${canary.value}`];
      expect(keys).toEqual(own);
      const found = findCanaries(canaries, request.head + request.text).map((finding) => finding.canary);
      expect(new Set(found)).toEqual(new Set(canary === null ? [] : [canary.name]));
      expect(request.head + request.text).not.toContain("client-credential");
    }
  }
});
