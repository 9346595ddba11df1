import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type AddressInfo } from "node:net";
import { post, startHouse } from "../fakes/house.ts";
import { eventually, faultsOfChain, refusedStart, startGateway } from "../harness.ts";

setDefaultTimeout(30_000);

describe("a port that is taken", () => {
  test("by another program is named, and the gateway ends with 1", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const { code, output } = await refusedStart({ config: { listen: `127.0.0.1:${port}` } });
    await new Promise((resolve) => other.close(resolve));
    expect(code).toBe(1);
    expect(output).toContain(String(port));
    expect(output).toMatch(/in use/);
    expect(output).not.toMatch(/^\s+at /m);
  });

  test("by another gateway is not shared with it: no agent's request may land in the wrong ledger", async () => {
    await using first = await startGateway({ config: { listen: "127.0.0.1:0" } });
    const { port } = new URL(first.url);
    const { code, output } = await refusedStart({ config: { listen: `127.0.0.1:${port}` } });
    expect([code, output.includes("listening on")]).toEqual([1, false]);
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  });
});

describe("a stop", () => {
  test("lets the answer that is under way come to its end, and takes no further request", async () => {
    await using house = await startHouse({ cloud: { respond: { answer: { text: "All of it." } } } });
    const response = await post(house.gateway, "messages", { extra: { stream: true } });
    expect(await response.text()).toContain("message_stop");
    expect(await house.gateway.stop()).toBe(0);
    expect(faultsOfChain(house.gateway.auditText())).toEqual([]);
  });

  test("asked for twice waits for nobody: the stalled request is cut, charged and written down", async () => {
    await using house = await startHouse({ cloud: { respond: { stall: { afterEvents: 4 } } } });
    const response = await post(house.gateway, "messages", { extra: { stream: true } });
    const cut = response.text().catch(() => "broken");
    await house.cloud.arrived(1);
    process.kill(house.gateway.pid, "SIGTERM");
    // Two signals of one kind that wait together are one.
    await eventually(() => expect(house.gateway.output()).toContain("running ones may finish"));
    expect(await house.gateway.stop()).toBe(0);
    await cut;
    const lines = house.gateway.auditLines();
    expect(lines.length).toBe(1);
    expect(lines[0]!.usd).toBeGreaterThan(0);
    expect(faultsOfChain(house.gateway.auditText())).toEqual([]);
    expect(house.gateway.output()).not.toMatch(/^\s+at /m);
  });
});
