import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { HOUSE_KEY } from "../fakes/house.ts";
import { tokenOf } from "../harness.ts";
import { MeteredHouse } from "./metered-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

let metered: MeteredHouse;

beforeAll(async () => {
  metered = await MeteredHouse.start({
    config: ({ cloud }) => ({
      agents: {
        windu: { daily_usd: 1000, tokens: [tokenOf("windu").hash], requests_per_minute: 1, max_concurrent: 1 },
      },
      providers: {
        limited: {
          url: cloud,
          dialects: ["messages"],
          key: { command: ["printf", "%s", HOUSE_KEY] },
          limits: { requests_per_minute: 1 },
        },
      },
      models: { "limited-claude": { provider: "limited", model: "claude-sonnet-4-5" } },
    }),
  });
});
afterAll(async () => {
  await metered[Symbol.asyncDispose]();
});

async function count(headers: Record<string, string>): Promise<Response> {
  return fetch(`${metered.house.gateway.url}/v1/messages/count_tokens`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "limited-claude", messages: [{ role: "user", content: "foo" }] }),
  });
}

rule(231, "Counts, lists of models and health cost nothing and use up no limit of an agent or a provider", async () => {
  const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
  const { gateway } = metered.house;
  for (let round = 0; round < 4; round++) {
    expect((await count(headers)).status).toBe(200);
    for (const path of ["/v1/models", "/healthz"]) {
      expect((await fetch(`${gateway.url}${path}`, { headers })).status).toBe(200);
    }
  }
  // The one request a minute that agent and provider have is still there, and then it is gone.
  const first = await metered.ask("messages", "limited-claude", { headers });
  expect(first.line).toMatchObject({ status: 200, served_by: "limited-claude" });
  expect((await metered.ask("messages", "limited-claude", { headers })).status).toBe(429);
  expect((await count(headers)).status).toBe(200);
  const counted = gateway.auditLines().filter((line) => line["path"] === "/v1/messages/count_tokens");
  for (const line of counted) expect(line).toMatchObject({ usd: 0, held_usd: 0, usage: null, outcome: "ok" });
});
