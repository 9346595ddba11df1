// Promise: the house's key and the agent's prompt go where the configuration says, and a redirect does not change that.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, loneModels, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { attemptsOf } from "../harness.ts";

setDefaultTimeout(60_000);

/** All that the class has, those without a meaning too. */
const statuses = [300, 301, 302, 303, 304, 305, 306, 307, 308, 399];

/** Where to, seen from the provider. */
const targets: readonly (readonly [string, (own: string, other: string) => string])[] = [
  ["another origin", (_, other) => `${other}/v1/messages`],
  ["another origin, without a scheme", (_, other) => `${other.slice("http:".length)}/v1/messages`],
  ["another origin, with credentials of its own", (_, other) => `${other.replace("//", "//a:b@")}/v1/messages`],
  ["the same origin", (own) => `${own}/v1/elsewhere`],
  ["the same path", () => ""],
  ["nowhere", () => "http://["],
];

const cases = statuses.flatMap((status) =>
  targets.flatMap(([target, location]) => dialects.map((dialect) => ({ status, target, location, dialect }))),
);
const nameOf = (number: number): string => `case-${number}`;

let elsewhere: FakeProvider;
let house: House;
beforeAll(async () => {
  elsewhere = await FakeProvider.start();
  house = await startHouse({
    config: ({ cloud }) =>
      // A provider each: its breaker would spare the next case from being tried.
      loneModels(cases.map(({ dialect }, number) => ({ name: nameOf(number), dialect, origin: cloud }))),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await elsewhere[Symbol.asyncDispose]();
});

describe.each(statuses)("a redirect is a failure of the upstream, never followed, never passed on: %i", (status) => {
  test.each(targets.map(([target]) => target))("to %s, whole and streamed, in every dialect", async (target) => {
    for (const [number, one] of cases.entries()) {
      if (one.status !== status || one.target !== target) continue;
      const before = house.cloud.requests.length;
      const location = one.location(house.cloud.url, elsewhere.url);
      house.cloud.respond = { refuse: { status, headers: { location, refresh: `0; url=${location}` } } };
      const response = await post(house.gateway, askedIn(number, one.dialect), {
        model: nameOf(number),
        extra: { stream: number % 2 === 0 },
      });
      expect([response.status, response.redirected]).toEqual([200, false]);
      expect([response.headers.get("location"), response.headers.get("refresh")]).toEqual([null, null]);
      await response.text();
      // Asked once, and the next one answered.
      expect(house.cloud.requests.length - before).toBe(1);
      const id = response.headers.get("x-sanctum-request-id");
      const line = await house.gateway.auditLine((line) => line.id === id);
      expect(attemptsOf(line)).toEqual([`${nameOf(number)}:upstream_${status}`, "coder-14b:ok"]);
    }
    expect([elsewhere.connectionCount, elsewhere.requests]).toEqual([0, []]);
  });
});

/** Every third is translated. */
function askedIn(number: number, dialect: TestDialect): TestDialect {
  return number % 3 === 0 ? dialects[(dialects.indexOf(dialect) + 1) % dialects.length]! : dialect;
}

test("a count or an embedding is not sent elsewhere either", async () => {
  for (const status of statuses) {
    house.cloud.respond = { refuse: { status, headers: { location: `${elsewhere.url}/v1/embeddings` } } };
    for (const [path, body] of [
      ["/v1/embeddings", { model: "text-embedding-3-small", input: "Hi" }],
      ["/v1/messages/count_tokens", { model: "claude-sonnet-4-5", messages: [{ role: "user", content: "Hi" }] }],
    ] as const) {
      await fetch(house.gateway.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    }
  }
  expect(elsewhere.connectionCount).toBe(0);
});
