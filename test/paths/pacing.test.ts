// What a provider allows, through a real gateway: waited for where it is there in a moment, else the next candidate; kept
// across restarts, and told.

import { expect, setDefaultTimeout, test } from "bun:test";
import { HOUSE_KEY, post, startHouse, type House } from "../fakes/house.ts";
import { attemptsOf, type AuditLine } from "../harness.ts";

setDefaultTimeout(30_000);

interface Limits {
  readonly requests?: { readonly limit: number; readonly remaining: number };
  readonly configured?: Limits;
  readonly models?: Readonly<Record<string, Limits>>;
}

async function limitsOf(house: House): Promise<Limits> {
  const { providers } = await house.gateway.stats();
  return (providers["anthropic"] as unknown as { limits: Limits }).limits;
}

async function ask(house: House, model = "claude-sonnet-4-5"): Promise<AuditLine> {
  const response = await post(house.gateway, "messages", { model });
  await response.arrayBuffer();
  const id = response.headers.get("x-sanctum-request-id");
  return house.gateway.auditLine((line) => line["id"] === id);
}

/** The house with these limits at Anthropic. */
function limited(limits: object): (urls: { readonly cloud: string }) => Record<string, unknown> {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  return ({ cloud }) => ({ providers: { anthropic: { url: cloud, dialects: ["messages"], key, limits } } });
}

/** 60 a minute, none of which is left; they come back one a second. */
const empty = {
  "anthropic-ratelimit-requests-limit": "60",
  "anthropic-ratelimit-requests-remaining": "0",
};

test("a limit that gives something back within a second is waited for, of that model alone", async () => {
  await using house = await startHouse();
  house.cloud.script.push({ headers: empty });
  await ask(house);
  expect((await limitsOf(house)).models?.["claude-sonnet-4"]?.requests).toMatchObject({ limit: 60, remaining: 0 });

  const other = await ask(house, "claude-opus-4-1");
  expect([attemptsOf(other), noteOf(other)]).toEqual([["anthropic/claude-opus-4-1:ok"], undefined]);
  const waited = await ask(house);
  expect(attemptsOf(waited)).toEqual(["anthropic/claude-sonnet-4-5:ok"]);
  expect(noteOf(waited)).toMatch(/^waited \d+ ms in line$/);
});

test("a limit that is gone until its reset sends to the next candidate at once, and so does max_wait: 0s", async () => {
  await using house = await startHouse();
  house.cloud.script.push({
    headers: { "ratelimit-limit": "60", "ratelimit-remaining": "0", "ratelimit-reset": "60" },
  });
  await ask(house);
  expect(attemptsOf(await ask(house))).toEqual(["anthropic/claude-sonnet-4-5:skipped_limit", "coder-14b:ok"]);

  await using impatient = await startHouse({ config: limited({ max_wait: "0s" }) });
  impatient.cloud.script.push({ headers: empty });
  await ask(impatient);
  expect(attemptsOf(await ask(impatient))).toEqual(["anthropic/claude-sonnet-4-5:skipped_limit", "coder-14b:ok"]);
});

test("F6: what was taken of a configured limit is taken after a kill and a restart", async () => {
  await using house = await startHouse({ config: limited({ requests_per_minute: 20 }) });
  const began = performance.now();
  for (let i = 0; i < 12; i++) expect(attemptsOf(await ask(house))).toEqual(["anthropic/claude-sonnet-4-5:ok"]);
  await house.gateway.kill9();
  await house.gateway.restart();
  await ask(house);
  const { remaining } = (await limitsOf(house)).configured!.requests!;
  const minutes = (performance.now() - began) / 60_000;
  expect(remaining).toBeLessThanOrEqual(20 - 13 + 20 * minutes);
});

function noteOf(line: AuditLine): unknown {
  const [attempt] = line["attempts"] as readonly { readonly note?: string }[];
  return attempt?.note;
}
