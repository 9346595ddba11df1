import { expect, setDefaultTimeout, test } from "bun:test";
import { post, startHouse } from "../fakes/house.ts";
import { attemptsOf } from "../harness.ts";

setDefaultTimeout(30_000);

test("clients that leave before an answer say nothing about the provider: it is asked for the next one", async () => {
  for (const stall of ["before_headers", "after_headers"] as const) {
    for (const stream of [true, false]) {
      // A house for each, whose breakers have seen nothing yet.
      await using house = await startHouse();
      for (let count = 1; count <= 8; count++) {
        house.cloud.script.push({ stall });
        const client = new AbortController();
        const left = post(house.gateway, "messages", { extra: { stream }, signal: client.signal })
          .then(async (response) => response.text())
          .catch(() => null);
        await house.cloud.arrived(count);
        client.abort();
        await house.cloud.generations[count - 1]!.aborted;
        expect(await left).toBeNull();
      }
      const next = await post(house.gateway, "messages", { extra: { stream } });
      await next.text();
      const id = next.headers.get("x-sanctum-request-id");
      const line = await house.gateway.auditLine((one) => one.id === id);
      expect(attemptsOf(line)).toEqual(["anthropic/claude-sonnet-4-5:ok"]);
    }
  }
});
