// One local model serves one request after the other: the others wait in line.

import { expect, setDefaultTimeout } from "bun:test";
import { Gate } from "../fakes/gate.ts";
import { dialects, post, routeOf, smallBody, startHouse } from "../fakes/house.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { DEFAULT_TEXT } from "../fakes/script.ts";
import { eventually } from "../harness.ts";
import { rule } from "./rule.ts";
import { answerText, StreamReading } from "./stream-reading.ts";

setDefaultTimeout(30_000);

/** As many as may stand in line. */
const places = 1_024;

rule(
  256,
  "who finds a local model busy waits in line and is kept alive; a full line is told as overload (529 in the Messages dialect, 503 elsewhere) and when to come back",
  async () => {
    await using house = await startHouse({
      config: ({ local }) => ({
        providers: {
          ollama: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none", limits: { concurrent: 1 } },
        },
        stream: { keep_alive: "40ms" },
      }),
    });
    const gate = new Gate();
    house.local.respond = { gate };
    const ask = async (client: (typeof dialects)[number], stream: boolean): Promise<Response> =>
      post(house.gateway, client, { model: "coder-14b", extra: { stream } });
    const first = ask("messages", true);
    await house.local.arrived(1);

    // All three dialects, and one that leaves.
    const waiting = dialects.map((client) => ({ client, answer: ask(client, true) }));
    const leaver = new AbortController();
    const gone = post(house.gateway, "chat", { model: "coder-14b", signal: leaver.signal }).catch(() => null);
    for (const { client, answer } of waiting) {
      const reading = new StreamReading(await answer);
      await reading.keepAlives(client, 2);
      Object.assign(
        waiting.find((one) => one.client === client)!,
        { reading },
      );
    }
    leaver.abort();
    expect(await gone).toBeNull();
    await eventually(async () => expect((await house.gateway.stats()).in_flight).toBe(4));

    const path = routeOf.chat;
    const body = smallBody("chat", "coder-14b");
    const rest = Array.from({ length: places - 3 }, () => rawPost(house.gateway.url, { path, body }));
    await eventually(async () => expect((await house.gateway.stats()).in_flight).toBe(places + 1));
    for (const client of dialects) {
      const refused = await ask(client, false);
      const overload = client === "messages" ? [529, "overloaded_error"] : [503, "server_error"];
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([overload[0]!, "1"]);
      expect(((await refused.json()) as { error: { type: string } }).error.type).toBe(String(overload[1]));
    }
    expect(house.local.generations.length).toBe(1);

    gate.release(Infinity);
    expect(answerText("messages", await new StreamReading(await first).toEnd())).toBe(DEFAULT_TEXT);
    for (const { client, reading } of waiting as readonly {
      client: (typeof dialects)[number];
      reading?: StreamReading;
    }[]) {
      expect(answerText(client, await reading!.toEnd())).toBe(DEFAULT_TEXT);
    }
    for (const answer of await Promise.all(rest)) expect(answer.status).toBe(200);
    // One at a time, each of them once, and nothing for the one that left.
    expect(house.local.generations.length).toBe(places + 1);
  },
);
