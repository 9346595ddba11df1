// `npm test`: 100 streams x 20 reloads; `npm run test:load` (RELOAD_STREAMS, RELOADS): 500 x 100.

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { merge, startHouse, type House } from "../fakes/house.ts";
import { eventually } from "../harness.ts";
import { HeldStreams } from "./held-streams.ts";
import { faultyConfigs, save, saveStyles } from "./save-styles.ts";

setDefaultTimeout(600_000);

const streams = Number(process.env["RELOAD_STREAMS"] ?? 100);
const reloads = Number(process.env["RELOADS"] ?? 20);

/** How the daemon learns of a new file: by itself from each way to save, by a signal, and by the command. */
const occasions = [...saveStyles, "SIGHUP", "sanctum reload"] as const;

test("streams do not notice reloads, by every kind of save, by signal and command, every fifth faulty", async () => {
  await using held = await HeldStreams.start({ pieces: reloads + 20 });
  await using house = await startHouse({ config: { ...held.parts, fallback: [] } });
  await held.runUndisturbed(house.gateway.url);
  await held.open(house.gateway.url, streams);
  const first = (await house.gateway.stats()).config.generation;
  let cap = 0;
  for (let number = 0; number < reloads; number++) {
    held.step();
    const isFaulty = number % 5 === 4;
    if (!isFaulty) cap = 100 + number;
    const text = isFaulty
      ? faultyConfigs[Math.floor(number / 5) % faultyConfigs.length]!
      : JSON.stringify(merge(house.config, { agents: { default: { daily_usd: cap } } }));
    await reload(house, text, occasions[number % occasions.length]!);
    await eventually(async () => check(house, cap, isFaulty), 30_000);
  }
  expect((await house.gateway.stats()).in_flight).toBe(streams);
  expect(await held.finish()).toEqual([]);
  const { generation } = (await house.gateway.stats()).config;
  // A save that is told by a signal as well may be read twice.
  expect(generation - first).toBeGreaterThanOrEqual(reloads - Math.floor(reloads / 5));
});

async function reload(house: House, text: string, occasion: (typeof occasions)[number]): Promise<void> {
  const { configFile, home } = house.gateway;
  if (occasion !== "SIGHUP" && occasion !== "sanctum reload") {
    save(configFile, text, occasion);
    return;
  }
  save(configFile, text, "rename");
  if (occasion === "SIGHUP") {
    house.gateway.signal("SIGHUP");
    return;
  }
  const child = Bun.spawn(["sh", join(import.meta.dir, "../../bin/sanctum"), "reload"], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: home, SANCTUM_HOME: home },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await child.exited;
}

/** The newest sound file, known by its cap, is live; a faulty one behind it is told and changes nothing. */
async function check(house: House, cap: number, isFaulty: boolean): Promise<void> {
  const { config, agents } = await house.gateway.stats();
  expect(config.fault !== null).toBe(isFaulty);
  expect(agents["default"]!.daily_usd).toBe(cap);
}
