// Promise: the house's key and the agent's prompt go where the configuration says, and a redirect does not change that.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { post, startHouse } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { attemptsOf } from "../harness.ts";

setDefaultTimeout(30_000);

describe("a redirect is a failure of the upstream, never followed, never passed on", () => {
  for (const status of [301, 302, 303, 307, 308]) {
    test(`${status}, to the same origin and to another one`, async () => {
      await using elsewhere = await FakeProvider.start();
      await using house = await startHouse();
      for (const origin of [elsewhere.url, house.cloud.url, ""]) {
        const before = house.cloud.requests.length;
        house.cloud.respond = { refuse: { status, headers: { location: `${origin}/v1/messages` } } };
        const response = await post(house.gateway, "messages");
        expect(response.status).toBe(200);
        expect(response.redirected).toBe(false);
        expect(house.cloud.requests.length).toBeLessThanOrEqual(before + 1);
        const id = response.headers.get("x-sanctum-request-id");
        const line = await house.gateway.auditLine((one) => one.id === id);
        expect(attemptsOf(line).at(-1)).toBe("coder-14b:ok");
      }
      expect(house.cloud.requests.length).toBeGreaterThan(0);
      expect(elsewhere.requests).toEqual([]);
    });
  }
});
