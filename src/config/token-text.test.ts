import { describe, expect, test } from "bun:test";
import { checkConfig } from "./check.ts";
import { formatTokenText, parseTokenText } from "./token-text.ts";

const hash = "0123456789abcdef".repeat(4);

describe("a token in the configuration", () => {
  test("is a hash, with or without an end, and reads back as it was written", () => {
    expect(parseTokenText(`sha256:${hash.toUpperCase()}`)).toEqual({ hash, untilMs: undefined });
    const untilMs = Date.parse("2026-11-28T06:45:00Z");
    const text = `sha256:${hash} until 2026-11-28T06:45:00Z`;
    expect(parseTokenText(text)).toEqual({ hash, untilMs });
    expect(formatTokenText({ hash, untilMs })).toBe(text);
    expect(formatTokenText({ hash, untilMs: undefined })).toBe(`sha256:${hash}`);
  });

  test("never ends before it was said to: a part of a second counts as a whole one", () => {
    const text = formatTokenText({ hash, untilMs: Date.parse("2026-11-28T06:45:00.001Z") });
    expect(text).toEndWith(" until 2026-11-28T06:45:01Z");
  });

  test("with an end that is no moment, or in another form, is a fault that says how to write it", () => {
    const wrong = [
      "2026-02-30T00:00:00Z",
      "2026-11-28T25:00:00Z",
      "2026-11-28T06:45:00",
      "2026-11-28T06:45:00+01:00",
      "2026-11-28",
      "tomorrow",
      "",
    ];
    for (const end of wrong) {
      const text = `sha256:${hash} until ${end}`;
      expect(parseTokenText(text)).toBeUndefined();
      const checked = checkConfig(`agents: { a: { tokens: ["${text}"] } }`, "c.yaml");
      expect(checked).toMatchObject({ faults: [{ keyPath: "agents.a.tokens[0]" }] });
    }
  });

  test("belongs to one agent, whenever it ends", () => {
    const file = `agents: { a: { tokens: ["sha256:${hash}"] }, b: { tokens: ["sha256:${hash} until 2026-11-28T06:45:00Z"] } }`;
    expect(checkConfig(file, "c.yaml")).toMatchObject({ faults: [{ keyPath: "agents.b.tokens[0]" }] });
  });
});
