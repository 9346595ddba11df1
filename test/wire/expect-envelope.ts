import { expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import type { TestDialect } from "../fakes/house.ts";
import { textOf } from "../fakes/json-access.ts";

export interface ToldError {
  readonly type: string;
  readonly message: string;
  /** OpenAI's alone. */
  readonly code: unknown;
}

/** The error in the envelope of a dialect, which must be complete. */
export async function expectEnvelope(dialect: TestDialect, response: Response): Promise<ToldError> {
  expect(response.headers.get("content-type")).toStartWith("application/json");
  expect(response.headers.get("x-sanctum-error")).toMatch(/^[A-Z_]+$/);
  const body = (await response.json()) as JsonObject;
  return expectError(dialect, body);
}

export function expectError(dialect: TestDialect, body: JsonObject): ToldError {
  const error = body["error"] as JsonObject;
  if (dialect === "messages") {
    expect(body["type"]).toBe("error");
    expect(Object.keys(error).sort()).toEqual(["message", "type"]);
  } else {
    expect(Object.keys(body)).toEqual(["error"]);
    expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
  }
  expect(error["type"]).toBeString();
  expect(error["message"]).toBeString();
  expect(error["message"]).not.toBe("");
  return { type: textOf(error["type"]), message: textOf(error["message"]), code: error["code"] };
}
