// Errors: what a client may do next.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, post, readThenOpen, smallBody, startHouse, type House } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import type { Step } from "../fakes/script.ts";
import { objectOf } from "../fakes/json-access.ts";
import { tokenOf } from "../harness.ts";
import { expectEnvelope } from "./expect-envelope.ts";
import { FreshModels } from "./fresh-models.ts";
import { rule } from "./rule.ts";
import { viewOf } from "./stream-text.ts";

setDefaultTimeout(30_000);

const alone = new FreshModels(32, { key: "none" });
const backed = new FreshModels(40, { key: "none" });
/** Nobody else could answer. */
let bare: House;
/** A local model stands behind. */
let house: House;
beforeAll(async () => {
  bare = await startHouse({
    config: ({ cloud }) => ({
      ...alone.config(cloud),
      fallback: [],
      agents: { mothma: { daily_usd: 0, tokens: [tokenOf("mothma").hash] } },
    }),
  });
  house = await startHouse({ config: ({ cloud }) => backed.config(cloud) });
});
afterAll(async () => {
  await bare[Symbol.asyncDispose]();
  await house[Symbol.asyncDispose]();
});
afterEach(() => {
  bare.cloud.script.length = 0;
  house.cloud.script.length = 0;
});

rule(
  176,
  "that a vendor refuses the house's key is never the client's 401: another model answers, or it is a 503",
  async () => {
    for (const status of [401, 403]) {
      for (const dialect of dialects) {
        for (const stream of [false, true]) {
          // Where a stream is asked for, by a vendor that gives no reason.
          const body = stream ? "Forbidden" : { error: { message: "Incorrect API key", code: "invalid_api_key" } };
          const step: Step = { refuse: { status, body } };
          house.cloud.script.push(step);
          const served = await post(house.gateway, dialect, { model: backed.take(dialect), extra: { stream } });
          expect([status, dialect, served.status]).toEqual([status, dialect, 200]);
          await served.text();
          bare.cloud.script.push(step);
          const refused = await post(bare.gateway, dialect, { model: alone.take(dialect), extra: { stream } });
          expect([status, dialect, refused.status]).toEqual([status, dialect, 503]);
          const { message } = await expectEnvelope(dialect, refused);
          expect(message).not.toMatch(/key|auth|login|forbidden/i);
        }
      }
    }
  },
);

rule(
  177,
  "a used-up budget stops agents at once and tells them why: 402 billing_error, or 429 insufficient_quota, never 403",
  async () => {
    const headers = { authorization: `Bearer ${tokenOf("mothma").token}` };
    for (const dialect of dialects) {
      for (const stream of [false, true]) {
        const answer = await post(bare.gateway, dialect, { headers, extra: { stream } });
        const { type, code, message } = await expectEnvelope(dialect, answer);
        expect([answer.status, type]).toEqual(
          dialect === "messages" ? [402, "billing_error"] : [429, "insufficient_quota"],
        );
        if (dialect !== "messages") expect(code).toBe("insufficient_quota");
        expect(message).toContain("budget");
        expect(answer.headers.get("x-should-retry")).toBe("false");
        expect(answer.headers.get("retry-after")).toBeNull();
      }
    }
    expect(bare.cloud.generations.some(({ text }) => text.includes("claude"))).toBe(false);
  },
);

rule(
  178,
  "an unknown model is a plain 404 also where a stream was asked for, so that a client can tell it at once",
  async () => {
    for (const dialect of dialects) {
      const nobody = await post(house.gateway, dialect, { model: "nobody-knows-it", extra: { stream: true } });
      expect(nobody.status).toBe(404);
      expect((await expectEnvelope(dialect, nobody)).message).toContain("model");
      for (const upstream of dialects) {
        const error = { type: "not_found_error", message: "model: fresh" };
        house.cloud.script.push({ refuse: { status: 404, body: { type: "error", error } } });
        const vendor = await post(house.gateway, dialect, { model: backed.take(upstream), extra: { stream: true } });
        expect([dialect, upstream, vendor.status]).toEqual([dialect, upstream, 404]);
        expect(vendor.headers.get("content-type")).toBe("application/json");
        expect(vendor.headers.get("x-should-retry")).toBe("false");
        expect(await vendor.text()).toContain("not_found");
      }
    }
  },
);

rule(
  179,
  "what clients would ask again for minutes is mended here: another model answers after 408, 409, 500 to 504, 529, a reset and a refused connection; a 422 is final",
  async () => {
    const failing: Step[] = [408, 409, 500, 501, 502, 503, 504, 529].map((status) => ({ refuse: { status } }));
    failing.push({ cut: { at: { byte: 0 }, how: "destroy" } }, { cut: { at: { byte: 9 }, how: "destroy" } });
    for (const step of failing) {
      house.cloud.script.push(step);
      const before = house.local.generations.length;
      const answer = await post(house.gateway, "messages", { model: backed.take("messages") });
      expect([step, answer.status]).toEqual([step, 200]);
      await answer.text();
      expect(house.local.generations).toHaveLength(before + 1);
    }
    for (const upstream of ["messages", "chat"] as const) {
      house.cloud.script.push({
        refuse: { status: 422, body: { error: { type: "invalid_request_error", message: "no" } } },
      });
      const answer = await post(house.gateway, "messages", { model: backed.take(upstream) });
      expect([answer.status, answer.headers.get("x-should-retry")]).toEqual([upstream === "chat" ? 400 : 422, "false"]);
    }
  },
);

rule(
  180,
  "a body of up to 32 MB is taken, and a larger one is a request_too_large of the client's dialect",
  async () => {
    const room = 32 * 1024 * 1024;
    // A large text would not fit any window; a picture counts by its size on the screen.
    const bodyWith = (data: string): string => {
      const source = { type: "base64", media_type: "image/png", data };
      const messages = [{ role: "user", content: [{ type: "image", source }] }];
      return smallBody("messages", "claude-sonnet-4-5", { messages });
    };
    const frame = bodyWith("").length;
    const sized = (bytes: number): Promise<Response> =>
      fetch(`${house.gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: bodyWith("A".repeat(bytes - frame)),
      });
    const taken = await sized(room);
    expect(taken.status).toBe(200);
    await taken.text();
    expect(house.cloud.generations.at(-1)?.body).toHaveLength(room);
    const refused = await sized(room + 1);
    expect(refused.status).toBe(413);
    const { type, message } = await expectEnvelope("messages", refused);
    expect([type, message]).toEqual(["request_too_large", "The request body exceeds 32 MB."]);
  },
);

rule(
  181,
  "before the first byte a failure still has a status of its own; after it, it is an event inside the stream, and the status was 200",
  async () => {
    for (const client of dialects) {
      for (const upstream of dialects) {
        bare.cloud.script.push({ errorEvent: { afterEvents: 0 } });
        const early = await post(bare.gateway, client, { model: alone.take(upstream), extra: { stream: true } });
        expect([client, upstream, early.status]).toEqual([client, upstream, 503]);
        await expectEnvelope(client, early);
        const gate = new Gate();
        gate.release(6);
        bare.cloud.script.push({ errorEvent: { afterEvents: 6 }, gate });
        const late = await post(bare.gateway, client, { model: alone.take(upstream), extra: { stream: true } });
        expect([client, upstream, late.status]).toEqual([client, upstream, 200]);
        const view = viewOf(client, await readThenOpen(late, gate));
        expect(view.text).not.toBe("");
        expect(view.errors).toHaveLength(1);
      }
    }
  },
);

rule(
  182,
  "a stream that fails ends in the error event of the client's dialect, and in nothing that looks like a good end",
  async () => {
    const ends = {
      messages: {
        last: /^event: error\ndata: \{"type":"error","error":\{"type":"[a-z_]+","message":"[^"]+"\}\}$/,
        good: "message_stop",
      },
      chat: {
        last: /^data: \{"error":\{"message":"[^"]+","type":"[a-z_]+","param":null,"code":"?[a-z_]+"?\}\}$/,
        good: "[DONE]",
      },
      responses: {
        last: /^event: response\.failed\ndata: \{"type":"response\.failed".*"status":"failed".*"error":\{"code":"[a-z_]+"/,
        good: "response.completed",
      },
    };
    for (const client of dialects) {
      for (const upstream of dialects) {
        const gate = new Gate();
        gate.release(6);
        bare.cloud.script.push({ cut: { at: { event: 6 }, how: "destroy" }, gate });
        const answer = await post(bare.gateway, client, { model: alone.take(upstream), extra: { stream: true } });
        const text = await readThenOpen(answer, gate);
        expect(text.trimEnd().split("\n\n").at(-1)).toMatch(ends[client].last);
        expect(text).not.toContain(ends[client].good);
      }
    }
  },
);

test("the vendor's own code of a failed response stays, translated or not, since Codex goes on or stops by it", async () => {
  for (const upstream of ["chat", "responses"] as const) {
    for (const type of ["insufficient_quota", "invalid_prompt", "bio_policy", "slow_down"]) {
      const gate = new Gate();
      gate.release(6);
      bare.cloud.script.push({ errorEvent: { afterEvents: 6, type, message: "No." }, gate });
      const answer = await post(bare.gateway, "responses", { model: alone.take(upstream), extra: { stream: true } });
      const { data } = viewOf("responses", await readThenOpen(answer, gate));
      const error = objectOf(objectOf(data.at(-1)?.["response"])?.["error"]);
      expect([upstream, error]).toEqual([upstream, { code: type, message: "No." }]);
    }
  }
});
