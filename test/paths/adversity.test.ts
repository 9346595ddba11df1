// What the machine does to the gateway: it is paused, or its disk is full.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeProvider } from "../fakes/provider.ts";
import { Gate } from "../fakes/gate.ts";
import { baseConfig, HOUSE_KEY, merge, post, startHouse } from "../fakes/house.ts";
import { eventually, startGateway, type Gateway } from "../harness.ts";

setDefaultTimeout(60_000);

test("a pause longer than every deadline times nothing out that was answered meanwhile", async () => {
  const gate = new Gate();
  const timeouts = { connect: "1s", first_byte: "1s", first_content: "1s", idle: "1s" };
  await using house = await startHouse({
    cloud: { respond: { gate } },
    config: ({ cloud }) => ({
      providers: {
        anthropic: { url: cloud, dialects: ["messages"], key: { command: ["printf", "%s", HOUSE_KEY] }, timeouts },
      },
      fallback: [],
    }),
  });
  const streamed = post(house.gateway, "messages", { extra: { stream: true } });
  const plain = post(house.gateway, "messages");
  await house.cloud.arrived(2);
  house.gateway.signal("SIGSTOP");
  gate.release(Infinity);
  await Bun.sleep(2_500);
  house.gateway.signal("SIGCONT");
  expect(await (await streamed).text()).toContain("message_stop");
  expect((await plain).status).toBe(200);
  await eventually(() => expect(house.gateway.auditLines().map(({ outcome }) => outcome)).toEqual(["ok", "ok"]));
  expect(house.cloud.requests.length).toBe(2);
});

/** A small disk of its own in a mount namespace: by root, or by anybody where user namespaces are allowed. */
const namespace = ["unshare", "--mount", ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"])];
const canMount =
  spawnSync(namespace[0]!, [...namespace.slice(1), "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

/** Mounts both folders, and fills or empties one of them when a file of that name appears in the folder `told`. */
const script = `
home=$1; told=$2; shift 2
for folder in logs state; do mount -t tmpfs -o size=1m,mode=0700 tmpfs "$home/$folder" || exit 9; done
(
  while [ -d "$told" ]; do
    for folder in logs state; do
      if [ -e "$told/fill-$folder" ]; then
        rm "$told/fill-$folder"; head -c 4194304 /dev/zero > "$home/$folder/ballast" 2>/dev/null; : > "$told/filled-$folder"
      fi
      if [ -e "$told/empty-$folder" ]; then rm -f "$home/$folder/ballast" "$told/empty-$folder"; fi
    done
    sleep 0.05
  done
) > /dev/null 2>&1 &
exec "$@"`;

const disks = (): void => {
  describe("a full disk refuses requests and is over by itself", () => {
    for (const [folder, code, what] of [
      ["logs", "AUDIT_UNAVAILABLE", "the audit trail"],
      ["state", "BUDGET_LEDGER", "the ledger"],
    ] as const) {
      test(`under ${what}: requests are refused with ${code}, and served again by themselves when there is room`, async () => {
        const home = mkdtempSync(join(tmpdir(), "sanctum-disk-"));
        const told = mkdtempSync(join(tmpdir(), "sanctum-told-"));
        try {
          for (const name of ["logs", "state"]) mkdirSync(join(home, name), { mode: 0o700 });
          await using cloud = await FakeProvider.start();
          await using local = await FakeProvider.start({ local: true });
          await using gateway = await startGateway({
            home,
            config: merge(baseConfig(cloud.url, local.url), {}),
            wrap: [...namespace, "sh", "-c", script, "sh", home, told],
          });
          expect((await post(gateway, "messages")).status).toBe(200);
          writeFileSync(join(told, `fill-${folder}`), "");
          await eventually(() => expect(() => rmSync(join(told, `filled-${folder}`))).not.toThrow());
          await eventually(async () => expect(await refusalOf(gateway)).toBe(code), 20_000);
          const sent = cloud.requests.length;
          expect(await refusalOf(gateway)).toBe(code);
          expect(cloud.requests.length).toBe(sent);
          expect((await fetch(`${gateway.url}/readyz`)).status).toBe(503);
          writeFileSync(join(told, `empty-${folder}`), "");
          await eventually(async () => expect((await post(gateway, "messages")).status).toBe(200), 20_000);
          // Every request that was served has its line, those of the last moments before the fault too.
          await eventually(async () => {
            const { totals, audit, agents } = await gateway.stats();
            expect(audit.entries).toBe(totals.requests);
            expect(agents["default"]!.held_usd).toBe(0);
          });
          expect(await gateway.stop()).toBe(0);
        } finally {
          rmSync(told, { recursive: true, force: true });
          rmSync(home, { recursive: true, force: true });
        }
      });
    }
  });
};

describe.if(canMount)("on a disk of its own", disks);

async function refusalOf(gateway: Gateway): Promise<string | null> {
  const response = await post(gateway, "messages");
  await response.text();
  return response.headers.get("x-sanctum-error");
}
