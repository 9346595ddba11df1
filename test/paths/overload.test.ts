import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Gate } from "../fakes/gate.ts";
import { post, smallBody, startHouse, type House } from "../fakes/house.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { eventually, faultsOfChain, startGateway } from "../harness.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { baseConfig } from "../fakes/house.ts";

setDefaultTimeout(60_000);

const routes = { messages: "/v1/messages", chat: "/v1/chat/completions", responses: "/v1/responses" } as const;

async function overloadOf(house: Pick<House, "gateway">): Promise<{ level: string; shed: number; reasons: string[] }> {
  const { overload } = (await house.gateway.stats()) as unknown as {
    overload: { level: string; shed: number; reasons: string[] };
  };
  return overload;
}

test("beyond overload.in_flight new requests get 503 in their dialect while the running ones go on", async () => {
  const gate = new Gate();
  await using house = await startHouse({ cloud: { respond: { gate } }, config: { overload: { in_flight: 4 } } });
  const running = Array.from({ length: 4 }, async () => post(house.gateway, "messages", { extra: { stream: true } }));
  await house.cloud.arrived(4);
  for (const dialect of ["messages", "chat", "responses"] as const) {
    const body = smallBody(dialect, "claude-sonnet-4-5");
    const { status, headers, body: text } = await rawPost(house.gateway.url, { path: routes[dialect], body });
    expect([status, headers["retry-after"], headers["x-sanctum-error"]]).toEqual([503, "2", "DOOR_OVERLOADED"]);
    expect(JSON.parse(text)).toHaveProperty("error");
  }
  await eventually(async () => expect((await overloadOf(house)).level).toBe("shedding"));
  expect(await overloadOf(house)).toMatchObject({ shed: 3, reasons: ["4 of 4 requests are in flight"] });
  expect((await fetch(`${house.gateway.url}/readyz`)).status).toBe(503);
  expect(await (await fetch(`${house.gateway.url}/metrics`)).text()).toContain("sanctum_overload_level 2");
  gate.release(Infinity);
  for (const answer of await Promise.all(running)) expect(await answer.text()).toContain("message_stop");
  await eventually(async () => expect((await overloadOf(house)).level).toBe("none"), 10_000);
  expect((await post(house.gateway, "messages")).status).toBe(200);
  const told = house.gateway.output().match(/overload[ :].*/g) ?? [];
  expect(told).toEqual([expect.stringContaining("turned away"), "overload is over"]);
});

describe("file descriptors", () => {
  test("short of descriptors it serves, writes its trail and is stopped as ever", async () => {
    await using cloud = await FakeProvider.start();
    await using local = await FakeProvider.start({ local: true });
    await using gateway = await startGateway({
      config: baseConfig(cloud.url, local.url),
      wrap: ["sh", "-c", 'ulimit -n 96; exec "$@"', "sh"],
    });
    const { hostname, port } = new URL(gateway.url);
    const silent: Socket[] = [];
    for (let i = 0; i < 160; i++) {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on("error", () => undefined);
      silent.push(socket);
    }
    // Connections that say nothing are closed, so that who speaks is heard.
    for (let i = 0; i < 5; i++) {
      await eventually(async () => {
        const body = smallBody("messages", "claude-sonnet-4-5");
        const { status } = await rawPost(gateway.url, { path: routes.messages, body });
        expect(status).toBe(200);
      }, 15_000);
    }
    for (const socket of silent) socket.destroy();
    await eventually(() => expect(gateway.auditLines().filter(({ outcome }) => outcome === "ok").length).toBe(5));
    expect(faultsOfChain(gateway.auditText())).toEqual([]);
    expect(await gateway.stop()).toBe(0);
  });
});
