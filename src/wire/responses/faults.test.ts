import { describe, expect, test } from "bun:test";
import { parseError } from "./faults.ts";

describe("175, 184: error bodies of all habits become one form", () => {
  test("OpenAI's envelope", () => {
    const text = '{"error":{"message":"quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}';
    expect(parseError(429, text)).toEqual({ status: 429, code: "insufficient_quota", message: "quota" });
  });

  test("llama.cpp's numeric code: its type says more", () => {
    const text = '{"error":{"code":400,"message":"too big","type":"exceed_context_size_error"}}';
    expect(parseError(400, text)).toEqual({ status: 400, code: "exceed_context_size_error", message: "too big" });
  });

  test("a bare string, a flat object, a detail", () => {
    expect(parseError(404, '{"error":"no model"}').message).toBe("no model");
    expect(parseError(400, '{"object":"error","message":"bad","type":"BadRequestError"}')).toMatchObject({
      message: "bad",
    });
    expect(parseError(422, '{"detail":"missing"}').message).toBe("missing");
  });

  test("HTML, nothing and giant bodies get a text of our own and keep their status", () => {
    for (const text of ["<html>Bad gateway</html>", "", "null", "[]", `{"error":"${"x".repeat(2_000_000)}"}`]) {
      expect(parseError(502, text)).toEqual({ status: 502, code: undefined, message: "The upstream answered 502." });
    }
  });

  test("a long message is cut", () => {
    expect(parseError(500, JSON.stringify({ error: "x".repeat(100_000) })).message.length).toBeLessThan(5_000);
  });
});
