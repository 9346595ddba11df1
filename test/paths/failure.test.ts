import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, loneModels, post, readThenOpen, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import { textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf, eventually, type AuditLine } from "../harness.ts";

setDefaultTimeout(30_000);

const error = { type: "error", error: { type: "some_error", message: "upstream says no" } };

/** What makes the next candidate answer, and the outcome that the audit line gives it. */
const fallsThrough: readonly { name: string; step: Step; outcome: string; onlyStream?: true; only?: TestDialect }[] = [
  ...[401, 402, 403, 408, 425, 429, 500, 502, 503, 504, 529].map((status) => ({
    name: `HTTP ${status}`,
    step: { refuse: { status, body: error } },
    outcome: `upstream_${status}`,
  })),
  {
    name: "a 400 that says that the credit is used up",
    step: {
      refuse: {
        status: 400,
        body: {
          type: "error",
          error: {
            type: "invalid_request_error",
            message:
              "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
          },
        },
      },
    },
    outcome: "upstream_400",
    only: "messages",
  },
  {
    name: "a web page with status 200",
    step: { contentType: "text/html", rawBody: "<html>sign in</html>" },
    outcome: "",
  },
  { name: "an empty body with status 200", step: { rawBody: "" }, outcome: "" },
  { name: "half a JSON with status 200", step: { rawBody: '{"id":"x","type":"mess' }, outcome: "" },
  { name: "a reset before the body", step: { cut: { at: { byte: 0 }, how: "destroy" } }, outcome: "" },
  {
    name: "a reset in the first event",
    step: { cut: { at: { byte: 30 }, how: "destroy" } },
    outcome: "",
    onlyStream: true,
  },
  {
    name: "a clean end before any content",
    step: { cut: { at: { event: 1 }, how: "end" } },
    outcome: "",
    onlyStream: true,
  },
  { name: "a stall after the headers", step: { stall: "after_headers" }, outcome: "", onlyStream: true },
  { name: "a stall after the first event", step: { stall: { afterEvents: 1 } }, outcome: "", onlyStream: true },
  {
    name: "keep-alives without content",
    step: { stall: { afterEvents: 1 }, comments: "KEEP" },
    outcome: "",
    onlyStream: true,
  },
];

function slug(name: string, dialect: TestDialect, stream: boolean): string {
  return `${name.replaceAll(/[^A-Za-z0-9]+/g, "-")}-${dialect}-${stream}`.toLowerCase();
}

const cases = fallsThrough.flatMap((failure) =>
  dialects
    .filter((dialect) => (failure.only ?? dialect) === dialect)
    .flatMap((dialect) =>
      [false, true]
        .filter((stream) => stream || failure.onlyStream !== true)
        .map((stream) => ({ ...failure, dialect, stream, model: slug(failure.name, dialect, stream) })),
    ),
);

const ownFaults = [400, 404, 413, 422];
/** Spaces and escapes that would not survive a parse and a print. */
const ownFaultBody = ` {"error": {"message":"tools.0: \\u0022x\\u0022 is not \\/ allowed",  "type":"invalid_request_error"},"type":"error"}\n`;

function stepOf(request: RecordedRequest): Step {
  const model = textOf(request.json()["model"]);
  const own = ownFaults.find((status) => model.startsWith(`own-${status}-`));
  if (own !== undefined) return { refuse: { status: own, body: ownFaultBody } };
  return cases.find((one) => one.model === model)?.step ?? {};
}

let house: House;

beforeAll(async () => {
  house = await startHouse({
    cloud: { respond: stepOf },
    local: { respond: { answer: { text: "From the house." } } },
    config: ({ cloud }) => {
      const timeouts = { first_byte: "10s", first_content: "200ms" };
      const lone = cases.map(({ model, dialect }) => ({ name: model, dialect, origin: cloud, provider: { timeouts } }));
      const own = ownFaults.flatMap((status) =>
        dialects.map((dialect) => ({ name: `own-${status}-${dialect}`, dialect, origin: cloud })),
      );
      return { ...loneModels([...lone, ...own]) };
    },
  });
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

async function lineOf(response: Response): Promise<AuditLine> {
  const id = response.headers.get("x-sanctum-request-id");
  return house.gateway.auditLine((line) => line.id === id);
}

describe("before the first byte of an answer, the next candidate answers after", () => {
  for (const { name, dialect, stream, model, outcome } of cases) {
    test(`${name}: ${dialect}, ${stream ? "streamed" : "whole"}`, async () => {
      const response = await post(house.gateway, dialect, { model, extra: { stream } });
      const text = await response.text();
      expect(response.status).toBe(200);
      expect(text).toContain(stream ? "From" : "From the house.");
      expect(text).not.toContain("upstream says no");
      const [first = "", second = "", ...more] = attemptsOf(await lineOf(response));
      expect(first).toStartWith(`${model}:${outcome}`);
      expect(first).not.toBe(`${model}:ok`);
      expect([second, more]).toEqual(["coder-14b:ok", []]);
    });
  }
});

describe("what is the client's own fault comes back byte for byte and is not tried elsewhere", () => {
  for (const status of ownFaults) {
    for (const dialect of dialects) {
      test(`HTTP ${status}: ${dialect}`, async () => {
        const before = house.local.generations.length;
        const response = await post(house.gateway, dialect, {
          model: `own-${status}-${dialect}`,
          extra: { stream: true },
        });
        expect(response.status).toBe(status);
        expect(await response.text()).toBe(ownFaultBody);
        expect(house.local.generations.length).toBe(before);
        expect(await lineOf(response)).toMatchObject({ outcome: "client_error", status, usd: 0 });
      });
    }
  }
});

describe("when every candidate failed", () => {
  test("limits give 429 with a retry-after of at most 30 s", async () => {
    const step = { refuse: { status: 429, headers: { "retry-after": "3600" }, body: error } };
    await using own = await startHouse({ cloud: { respond: step }, local: { respond: step } });
    for (const dialect of dialects) {
      const response = await post(own.gateway, dialect);
      expect(response.status).toBe(429);
      const seconds = Number(response.headers.get("retry-after"));
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(30);
      expect(await response.text()).not.toContain("upstream says no");
    }
  });

  test("dead upstreams give 503 in the client's dialect, streamed or not, and name nothing of the house", async () => {
    await using own = await startHouse({
      cloud: { respond: { refuse: { status: 500, body: error } } },
      local: { respond: { refuse: { status: 500, body: error } } },
      config: ({ local }) => ({
        providers: {
          ollama: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none", retry: { attempts: 1 } },
        },
      }),
    });
    for (const dialect of dialects) {
      for (const stream of [false, true]) {
        const response = await post(own.gateway, dialect, { extra: { stream } });
        const text = await response.text();
        expect(response.status).toBe(503);
        expect(response.headers.get("content-type")).toStartWith("application/json");
        expect(JSON.parse(text)).toMatchObject({ error: { message: expect.any(String) } });
        expect(text).not.toMatch(/127\.0\.0\.1|qwen|ollama|upstream says no/);
      }
    }
  });

  test("an unknown model is 404 in the dialect's own words, and nothing is sent", async () => {
    const before = house.cloud.generations.length + house.local.generations.length;
    for (const dialect of dialects) {
      const response = await post(house.gateway, dialect, { model: "no-such-model" });
      expect(response.status).toBe(404);
      const body = (await response.json()) as object;
      expect(body).toMatchObject({
        error: dialect === "messages" ? { type: "not_found_error" } : { code: "model_not_found" },
      });
      expect(response.headers.get("x-sanctum-error")).toBe("ROUTE_MODEL_UNKNOWN");
    }
    expect(house.cloud.generations.length + house.local.generations.length).toBe(before);
  });
});

describe("after the first byte of an answer", () => {
  const failures: readonly [string, Step][] = [
    ["an error event", { errorEvent: { afterEvents: 6, message: "upstream says no" } }],
    ["a reset", { cut: { at: { event: 6 }, how: "destroy" } }],
    ["a clean end that is none", { cut: { at: { event: 6 }, how: "end" } }],
    ["a stall", { stall: { afterEvents: 6 } }],
  ];
  for (const [name, step] of failures) {
    test(`${name} ends the stream in the dialect's error event, and nothing is tried again`, async () => {
      const provider = { key: "none", retry: { attempts: 1 }, timeouts: { idle: "200ms" } };
      await using own = await startHouse({
        config: ({ cloud }) => ({
          stream: { takeover: "off" },
          providers: {
            anthropic: { url: cloud, dialects: ["messages"], ...provider },
            openai: { url: `${cloud}/v1`, dialects: ["responses", "chat"], ...provider },
          },
        }),
      });
      for (const dialect of dialects) {
        const gate = new Gate();
        gate.release(6);
        own.cloud.respond = { ...step, gate };
        const response = await post(own.gateway, dialect, { extra: { stream: true } });
        expect(response.status).toBe(200);
        const text = await readThenOpen(response, gate);
        const events = text.trimEnd().split("\n\n");
        const last = {
          messages: /^event: error\ndata: \{"type":"error"/,
          chat: /^data: \{"error":/,
          responses: /^event: response\.failed\n/,
        };
        expect(events.at(-1)).toMatch(last[dialect]);
        expect(events.filter((event) => last[dialect].test(event)).length).toBe(1);
        expect(text).not.toContain("[DONE]");
      }
      expect(own.cloud.generations.length).toBe(dialects.length);
      expect(own.local.generations).toEqual([]);
      await eventually(() =>
        expect(own.gateway.auditLines().map((line) => line.outcome)).toEqual(Array(3).fill("upstream_error")),
      );
    });
  }
});
