import { expect, test } from "bun:test";
import { startHouse, post } from "../fakes/house.ts";

const refusing = { respond: { refuse: { status: 429 } } };

test("a local server that steps in is asked in words that it knows, also in the client's own dialect", async () => {
  await using house = await startHouse({ cloud: refusing });
  const messages = [
    { role: "developer", content: "Be short." },
    { role: "user", content: [{ type: "text", text: "Hello" }] },
    { role: "developer", content: "And polite." },
    { role: "user", content: "Are you there?" },
  ];
  const response = await post(house.gateway, "chat", { extra: { messages } });
  expect(response.status).toBe(200);
  const asked = house.local.generations[0]!.json() as { messages: { role: string }[] };
  expect(asked.messages.map(({ role }) => role).filter((role) => role === "developer")).toEqual([]);
  expect(asked.messages.filter(({ role }) => role === "system").length).toBeLessThanOrEqual(1);
});

test("a local server is not asked for more output than its window leaves", async () => {
  await using house = await startHouse({ cloud: refusing });
  const response = await post(house.gateway, "messages", { extra: { max_tokens: 128_000 } });
  expect(response.status).toBe(200);
  const asked = house.local.generations[0]!.json() as Record<string, number>;
  const limit = asked["max_tokens"] ?? asked["max_completion_tokens"];
  expect(limit).toBeLessThan(32_768);
  expect(limit).toBeGreaterThanOrEqual(256);
});

test("a search tool of the vendor, which costs much but sends little, does not make a small window too small", async () => {
  await using house = await startHouse({ cloud: refusing });
  const own = { name: "note", input_schema: { type: "object", properties: {} } };
  const tools = [{ type: "web_search_20250305", name: "web_search", max_uses: 8 }, own];
  const response = await post(house.gateway, "messages", { extra: { tools } });
  expect(response.status).toBe(200);
  expect(house.local.generations).toHaveLength(1);
});
