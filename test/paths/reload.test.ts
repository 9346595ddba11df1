import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { merge, post, startHouse, type House } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { eventually } from "../harness.ts";

setDefaultTimeout(90_000);

test("a local server is known as soon as the configuration names it, and gone with the one that does not", async () => {
  await using house = await startHouse({ local: { models: ["llama3.2:3b"] } });
  await using added = await FakeProvider.start({ local: true, models: ["gemma4:31b"] });
  const workstation = { url: `${added.url}/v1`, dialects: ["chat"], local: true };
  house.gateway.writeConfig(merge(house.config, { providers: { workstation } }));
  // The built-in name is bound to what a server offers.
  await eventually(async () =>
    expect(await listedModels(house)).toEqual(expect.arrayContaining(["workstation/gemma4:31b", "gemma-4"])),
  );

  const { generation } = (await house.gateway.stats()).config;
  // Without a fallback of one's own it is made of what the servers offer.
  const { models: _models, fallback: _fallback, ...rest } = house.config;
  house.gateway.writeConfig(rest);
  await eventually(async () => {
    expect((await house.gateway.stats()).config).toMatchObject({ generation: generation + 1, fault: null });
  });
  expect(await listedModels(house)).not.toContain("workstation/gemma4:31b");
  expect((await post(house.gateway, "messages")).status).toBe(200);
});

test("`sanctum reload` says which of the changes needs a restart", async () => {
  await using house = await startHouse();
  house.gateway.writeConfig({ ...house.config, listen: "127.0.0.1:1", agents: { default: { daily_usd: 7 } } });
  const child = Bun.spawn(["sh", join(import.meta.dir, "../../bin/sanctum"), "reload"], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: house.gateway.home, SANCTUM_HOME: house.gateway.home },
    stdout: "pipe",
  });
  expect(await new Response(child.stdout).text()).toMatch(/^configuration \d+ is live\n`listen`: .*restart.*\n$/);
  expect(await child.exited).toBe(0);
  expect((await house.gateway.stats()).agents["default"]!.daily_usd).toBe(7);
  expect(house.gateway.output()).toMatch(/`listen`: .*restart/);
});

async function listedModels(house: House): Promise<string[]> {
  const response = await fetch(`${house.gateway.url}/v1/models`);
  return ((await response.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
}
