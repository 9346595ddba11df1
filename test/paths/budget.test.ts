import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Gate } from "../fakes/gate.ts";
import { smallBody, startHouse, type House } from "../fakes/house.ts";
import { rawPost, type RawResponse } from "../fakes/raw-client.ts";
import { eventually, tokenOf, type Stats } from "../harness.ts";

setDefaultTimeout(60_000);

const cap = 0.05;
const maxTokens = 100;
/** Only output costs, and the answer uses all that was asked for: the worst case is the exact cost, $0.001. */
const price = { input: 0, output: 10, cache_read: 0, cache_write: 0 };

async function startPoorHouse(gate: Gate): Promise<House> {
  return startHouse({
    cloud: { respond: { answer: { usage: { input: 50, output: maxTokens } }, gate } },
    config: ({ local }) => ({
      // What stands in line at home is another test's affair.
      providers: { ollama: { url: `${local}/v1`, local: true, key: "none", limits: { concurrent: 1_000 } } },
      agents: { windu: { daily_usd: cap, tokens: [tokenOf("windu").hash] } },
      models: {
        dear: { provider: "anthropic", model: "claude-dear", price },
        "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 },
      },
    }),
  });
}

/** One request of the agent on a connection of its own: `fetch` would hold back all beyond its own limit. */
async function ask(house: House, extra: object = {}): Promise<RawResponse> {
  return rawPost(house.gateway.url, {
    path: "/v1/messages",
    body: smallBody("messages", "dear", { max_tokens: maxTokens, ...extra }),
    headers: { authorization: `Bearer ${tokenOf("windu").token}` },
  });
}

/** Looks at `/stats` again and again until `work` is done, and keeps every sample. */
async function sampled(house: House, work: Promise<unknown>): Promise<Stats[]> {
  const samples: Stats[] = [];
  const watch = { over: false };
  const finished = work.finally(() => (watch.over = true));
  while (!watch.over) samples.push(await house.gateway.stats());
  await finished;
  samples.push(await house.gateway.stats());
  return samples;
}

function expectUnderCap(samples: readonly Stats[]): void {
  for (const { agents } of samples) {
    const windu = agents["windu"]!;
    expect(Math.round((windu.spent_usd + windu.held_usd) * 1e6)).toBeLessThanOrEqual(cap * 1e6);
  }
}

describe("a thousand requests of one agent at once, with money for fifty", () => {
  test("fifty reach the cloud, the rest is served at home, and spent + held never passes the cap", async () => {
    const gate = new Gate();
    await using house = await startPoorHouse(gate);
    const answers = Promise.all(Array.from({ length: 1_000 }, async () => ask(house)));
    // The cloud answers when everything else is decided: all holds are open at the same time.
    const opened = eventually(() => {
      if (house.local.generations.length < 950) throw new Error(`${house.local.generations.length} at home`);
    }, 40_000).finally(() => gate.release(Infinity));
    const samples = await sampled(house, Promise.all([answers, opened]));

    expect(house.cloud.generations.length).toBe(50);
    expect(house.local.generations.length).toBe(950);
    const statuses = (await answers).map((answer) => answer.status);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expectUnderCap(samples);
    expect(samples.some(({ agents }) => agents["windu"]!.held_usd > 0)).toBe(true);
    await eventually(async () => {
      const { agents } = await house.gateway.stats();
      expect(agents["windu"]).toMatchObject({ spent_usd: cap, held_usd: 0, requests: 1_000, cloud: 50, local: 950 });
    });
    await eventually(() => expect(house.gateway.auditLines().length).toBe(1_000));
    const spent = house.gateway.auditLines().reduce((total, line) => total + Math.round(line.usd * 1e6), 0);
    expect(spent).toBe(cap * 1e6);
  });

  test("streams, too, stay under the cap in every sample", async () => {
    const gate = new Gate();
    gate.release(Infinity);
    await using house = await startPoorHouse(gate);
    const answers = Promise.all(Array.from({ length: 300 }, async () => ask(house, { stream: true })));
    const samples = await sampled(house, answers);
    expectUnderCap(samples);
    expect((await answers).filter(({ body }) => !body.includes("event: message_stop"))).toEqual([]);
    expect(house.cloud.generations.length).toBeLessThanOrEqual(50);
    expect(house.cloud.generations.length + house.local.generations.length).toBe(300);
  });
});

test("a budget that is gone, with nothing at home, is told in the dialect's own words and not to be retried", async () => {
  await using house = await startHouse({
    config: {
      agents: { windu: { daily_usd: 0, tokens: [tokenOf("windu").hash] } },
      fallback: [],
    },
  });
  const authorization = `Bearer ${tokenOf("windu").token}`;
  const refused = async (path: string, body: string): Promise<RawResponse> =>
    rawPost(house.gateway.url, { path, body, headers: { authorization } });
  const messages = await refused("/v1/messages", smallBody("messages", "claude-sonnet-4-5"));
  expect(messages.status).toBe(402);
  expect(JSON.parse(messages.body)).toMatchObject({ type: "error", error: { type: "billing_error" } });
  const chat = await refused("/v1/chat/completions", smallBody("chat", "gpt-4o-mini"));
  expect(chat.status).toBe(429);
  expect(JSON.parse(chat.body)).toMatchObject({ error: { code: "insufficient_quota" } });
  for (const answer of [messages, chat]) {
    expect(answer.headers).toMatchObject({ "x-should-retry": "false", "x-sanctum-error": "BUDGET_EXHAUSTED" });
  }
  expect(house.cloud.generations).toEqual([]);
  const line = await house.gateway.auditLine((one) => one["dialect"] === "chat");
  expect(line).toMatchObject({ outcome: "refused_budget", usd: 0 });
});
