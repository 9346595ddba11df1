import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import type { Dialect } from "../wire/neutral.ts";
import { toErrorResponse, toResponse } from "./respond.ts";

describe("an answer", () => {
  test("carries the request's id under our name and under the one that the dialect's SDK shows", () => {
    const names: Readonly<Record<Dialect, string>> = {
      messages: "request-id",
      chat: "x-request-id",
      responses: "x-request-id",
    };
    for (const [dialect, name] of Object.entries(names)) {
      const finished = Promise.resolve({ outcome: "ok" as const, bytesOut: 2 });
      const answer = { status: 201, headers: { "x-kept": "1" }, body: new Uint8Array(2), finished };
      const response = toResponse(answer, "req_1", dialect as Dialect);
      expect(response.status).toBe(201);
      expect([...response.headers.keys()].sort()).toEqual([name, "x-kept", "x-sanctum-request-id"].sort());
      expect(response.headers.get(name)).toBe("req_1");
    }
  });
});

describe("an error", () => {
  const lines: string[] = [];
  const told = (error: unknown, dialect: Dialect = "messages"): Response =>
    toErrorResponse(error, "req_1", dialect, (line) => lines.push(line));

  test("that was foreseen is told with its code, in the dialect's envelope, and needs no line in the log", async () => {
    lines.length = 0;
    const response = told(
      new GatewayError("LIMITS_EXHAUSTED", { retryAfterSeconds: 7, cause: new Error("the cause") }),
    );
    expect(response.status).toBe(429);
    expect(response.headers.get("x-sanctum-error")).toBe("LIMITS_EXHAUSTED");
    expect(response.headers.get("retry-after")).toBe("7");
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ type: "error", error: { type: "rate_limit_error" } });
    expect(text).not.toContain("the cause");
    expect(lines).toEqual([]);
  });

  test("that was not is a fixed text for the client, and all of it for the log", async () => {
    for (const error of [
      new TypeError("secret detail"),
      "secret detail",
      new GatewayError("INTERNAL", { cause: new Error("secret detail") }),
    ]) {
      lines.length = 0;
      const response = told(error);
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain("secret detail");
      expect(lines.length).toBe(1);
      expect(lines[0]).toContain("req_1");
      expect(lines[0]).toContain("secret detail");
    }
  });

  test("about a body that was not read to its end closes the connection: the rest must not be taken for a request", () => {
    expect(told(new GatewayError("DOOR_BODY_TOO_LARGE")).headers.get("connection")).toBe("close");
    expect(told(new GatewayError("REQUEST_JSON")).headers.get("connection")).toBeNull();
  });
});
