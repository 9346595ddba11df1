import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { baseConfig, merge, smallBody } from "../fakes/house.ts";
import { objectOf, parseObject, textOf } from "../fakes/json-access.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { RemoteProvider } from "../fakes/remote-provider.ts";
import type { Step } from "../fakes/script.ts";
import { eventually, faultsOfChain, startGateway, tokenOf, type Gateway } from "../harness.ts";

setDefaultTimeout(60_000);

const parallel = 64;
const cap = 5;
const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };

function configFor(cloud: string, local: string): Record<string, unknown> {
  const models: Record<string, object> = {
    "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 },
  };
  for (let number = 0; number < parallel; number++) {
    models[`asked-${number}`] = { provider: "anthropic", model: `sent-${number}`, price };
  }
  const agents = { windu: { daily_usd: cap, tokens: [tokenOf("windu").hash] } };
  return merge(baseConfig(cloud, local), { agents, models });
}

function askAll(gateway: Gateway): Promise<unknown> {
  const authorization = `Bearer ${tokenOf("windu").token}`;
  const asked = Array.from({ length: parallel }, async (_, number) => {
    const extra = { stream: number % 2 === 0 };
    const body = smallBody("messages", `asked-${number}`, extra);
    return rawPost(gateway.url, { path: "/v1/messages", body, headers: { authorization } });
  });
  return Promise.all(asked);
}

/** The numbers of the requests that reached the cloud. */
async function reached(cloud: RemoteProvider): Promise<number[]> {
  const seen = await cloud.requests();
  return seen
    .map((request) => textOf(parseObject(request.text)["model"]))
    .filter((model) => model.startsWith("sent-"))
    .map((model) => Number(model.slice("sent-".length)));
}

const moments: readonly { name: string; cycle: readonly Step[]; arrived: number; finished: number }[] = [
  {
    name: "while some are answered, some wait for headers and some are in the middle of their stream",
    cycle: [{}, { stall: "before_headers" }, { stall: { afterEvents: 4 } }, { stall: "after_headers" }],
    arrived: parallel,
    finished: 8,
  },
  { name: "as soon as the first have reached the cloud", cycle: [{}], arrived: 3, finished: 0 },
  { name: "when all wait for the cloud", cycle: [{ stall: "before_headers" }], arrived: parallel, finished: 0 },
];

describe("kill -9 in the middle of 64 requests", () => {
  for (const moment of moments) {
    test(`${moment.name}: every request that reached the cloud is charged and in the audit trail`, async () => {
      await using cloud = await RemoteProvider.start({ cycle: moment.cycle });
      await using local = await FakeProvider.start({ local: true });
      await using gateway = await startGateway({ config: configFor(cloud.url, local.url) });
      const asked = askAll(gateway);
      await cloud.arrived(moment.arrived);
      await eventually(() => expect(gateway.auditLines().length).toBeGreaterThanOrEqual(moment.finished));
      await gateway.kill9();
      await asked;
      const sent = await reached(cloud);
      expect(sent.length).toBeGreaterThanOrEqual(moment.arrived);

      await gateway.restart();
      const lines = gateway.auditLines();
      for (const number of sent) {
        const own = lines.filter((line) => line["requested_model"] === `asked-${number}`);
        expect(own.map((line) => [line["requested_model"], line.usd > 0])).toEqual([[`asked-${number}`, true]]);
      }
      expect(lines.filter((line) => line.outcome !== "ok" && line.outcome !== "interrupted")).toEqual([]);
      expect(faultsOfChain(gateway.auditText())).toEqual([]);
      expect(lines[0]).toMatchObject({ v: 1 });

      const { agents, audit } = await gateway.stats();
      const windu = agents["windu"]!;
      expect(windu.held_usd).toBe(0);
      expect(windu.spent_usd).toBeLessThanOrEqual(cap);
      const charged = lines.reduce((total, line) => total + line.usd, 0);
      expect(Math.abs(windu.spent_usd - charged)).toBeLessThan(lines.length * 1e-6);
      expect(audit.fault).toBeNull();

      // It serves again, on the same chain.
      await cloud.setCycle([{}]);
      const body = smallBody("messages", "asked-0");
      const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
      expect((await rawPost(gateway.url, { path: "/v1/messages", body, headers })).status).toBe(200);
      await eventually(() => expect(gateway.auditLines().length).toBe(lines.length + 1));
      expect(faultsOfChain(gateway.auditText())).toEqual([]);
    });
  }
});

test("a clean stop ends with 0, loses nothing, and the next start goes on with the same spend and chain", async () => {
  await using cloud = await FakeProvider.start();
  await using local = await FakeProvider.start({ local: true });
  await using gateway = await startGateway({ config: configFor(cloud.url, local.url) });
  await askAll(gateway);
  await eventually(() => expect(gateway.auditLines().length).toBe(parallel));
  const before = await gateway.stats();
  expect(await gateway.stop()).toBe(0);
  await gateway.restart();
  const after = await gateway.stats();
  expect(after.agents["windu"]!.spent_usd).toBe(before.agents["windu"]!.spent_usd);
  expect(after.audit.head).toBe(before.audit.head);
  expect(gateway.auditLines().length).toBe(parallel);
  expect(faultsOfChain(gateway.auditText())).toEqual([]);
});

test("the test's own verifier sees a changed, a missing and a swapped line", () => {
  const lines: string[] = [];
  for (let seq = 1; seq <= 4; seq++) {
    const prev =
      seq === 1 ? "sha256:start" : `sha256:${new Bun.CryptoHasher("sha256").update(lines[seq - 2]!).digest("hex")}`;
    lines.push(JSON.stringify({ v: 1, seq, prev, usd: seq }));
  }
  expect(faultsOfChain(lines)).toEqual([]);
  expect(objectOf(JSON.parse(lines[3]!))).toMatchObject({ seq: 4 });
  expect(faultsOfChain(lines.with(1, lines[1]!.replace('"usd":2', '"usd":0')))).not.toEqual([]);
  expect(faultsOfChain(lines.toSpliced(1, 1))).not.toEqual([]);
  expect(faultsOfChain([lines[0]!, lines[2]!, lines[1]!, lines[3]!])).not.toEqual([]);
});
