// Headers that tell of repeats and of patience.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { dialects, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import { tokenOf, type AuditLine } from "../harness.ts";
import { expectEnvelope } from "./expect-envelope.ts";
import { FreshModels } from "./fresh-models.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

const models = new FreshModels(16, { key: "none", timeouts: { connect: "50ms", first_byte: "150ms" } });
let house: House;
beforeAll(async () => {
  house = await startHouse({ config: ({ cloud }) => models.config(cloud) });
});
afterAll(async () => house[Symbol.asyncDispose]());
afterEach(() => {
  house.cloud.script.length = 0;
});

async function lineOf(answer: Response): Promise<AuditLine> {
  const id = answer.headers.get("x-sanctum-request-id");
  return house.gateway.auditLine((line) => line.id === id);
}

async function keyed(
  dialect: TestDialect,
  key: string,
  extra: object = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return post(house.gateway, dialect, { headers: { "idempotency-key": key, ...headers }, extra });
}

rule(
  201,
  "a request under an Idempotency-Key is made once: its repeats get the same answer for nothing, at once or as soon as it is there; under the same key another request is refused",
  async () => {
    for (const dialect of dialects) {
      const key = `k-1-${dialect}`;
      const before = house.cloud.generations.length;
      const gate = new Gate();
      house.cloud.script.push({ gate, answer: { text: `for ${dialect}` } });
      const first = keyed(dialect, key);
      await house.cloud.arrived(before + 1);
      const leaver = new AbortController();
      const left = post(house.gateway, dialect, { headers: { "idempotency-key": key }, signal: leaver.signal }).catch(
        () => null,
      );
      const second = keyed(dialect, key);
      const twisted = await keyed(dialect, key, { temperature: 0.5 });
      expect(twisted.status).toBe(422);
      expect((await expectEnvelope(dialect, twisted)).message).toContain("Idempotency-Key");
      leaver.abort();
      await left;
      gate.release(Infinity);
      const answers = [await first, await second, await keyed(dialect, key), await keyed(dialect, key)];
      const text = await answers[0]!.text();
      expect(text).toContain(`for ${dialect}`);
      const id = answers[0]!.headers.get("x-sanctum-request-id")!;
      expect(answers[0]!.headers.get("x-sanctum-replayed")).toBeNull();
      expect((await lineOf(answers[0]!)).usd).toBeGreaterThan(0);
      for (const repeat of answers.slice(1)) {
        expect([repeat.status, repeat.headers.get("x-sanctum-replayed"), await repeat.text()]).toEqual([
          200,
          "true",
          text,
        ]);
        expect(repeat.headers.get("x-sanctum-request-id")).not.toBe(id);
        expect(await lineOf(repeat)).toMatchObject({ outcome: "ok", usd: 0, attempts: [], replay_of: id });
      }
      expect(house.cloud.generations).toHaveLength(before + 1);
      // Another agent's key is another key, and a stream is never a repeat.
      const others = [
        await keyed(dialect, key, { temperature: 0.5 }, { authorization: `Bearer ${tokenOf("windu").token}` }),
        await keyed(dialect, key, { stream: true }),
      ];
      for (const other of others) {
        expect([other.status, other.headers.get("x-sanctum-replayed")]).toEqual([200, null]);
        await other.text();
      }
      expect(house.cloud.generations).toHaveLength(before + 3);
      // What failed is asked anew.
      house.cloud.script.push({ refuse: { status: 400, body: { error: { message: "no" } } } });
      expect((await keyed(dialect, `k-2-${dialect}`)).status).toBe(400);
      expect((await keyed(dialect, `k-2-${dialect}`)).status).toBe(200);
    }
    expect((await keyed("chat", "x".repeat(256))).status).toBe(400);
  },
);

rule(
  202,
  "that a client asks again is told in the audit trail, with the count that it gives; a first try and nonsense are not",
  async () => {
    const counts: readonly (readonly [string | undefined, number | undefined])[] = [
      [undefined, undefined],
      ["0", undefined],
      ["2", 2],
      ["-1", undefined],
      ["99999999", undefined],
      ["1e2", undefined],
    ];
    for (const [told, kept] of counts) {
      const headers = told === undefined ? {} : { "x-stainless-retry-count": told };
      for (const model of ["claude-sonnet-4-5", "nobody-knows-it"]) {
        const answer = await post(house.gateway, "messages", { headers, model });
        await answer.text();
        expect([told, (await lineOf(answer))["client_retry"]]).toEqual([told, kept]);
      }
    }
  },
);

rule(
  203,
  "after the time that a client is ready to wait nothing more is asked for it; without one, or with enough, the next model answers",
  async () => {
    for (const dialect of dialects) {
      const asked = async (headers: Record<string, string>): Promise<[number, number]> => {
        const before = house.local.generations.length;
        // Its 150 ms of silence outlast a patience of 50 ms.
        house.cloud.script.push({ stall: "before_headers" });
        const answer = await post(house.gateway, dialect, { model: models.take(dialect), headers });
        await answer.text();
        return [answer.status, house.local.generations.length - before];
      };
      expect(await asked({ "x-stainless-timeout": "0.05" })).toEqual([503, 0]);
      for (const headers of [{}, { "x-stainless-timeout": "600" }, { "x-stainless-timeout": "never" }]) {
        expect(await asked(headers)).toEqual([200, 1]);
      }
    }
  },
);
