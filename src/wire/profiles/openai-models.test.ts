import { expect, test } from "bun:test";
import { isReasoningModel, nearestEffort } from "./openai-models.ts";

test("reasoning models are told by name, also at a reseller", () => {
  for (const model of ["o3", "o4-mini", "gpt-5", "gpt-5.5", "gpt-12", "codex-mini-latest", "azure/gpt-5-mini"]) {
    expect(isReasoningModel(model)).toBe(true);
  }
  for (const model of ["gpt-4o", "gpt-4.1", "omni", "o", "claude-opus-5", "my-gpt-5", "codexa", "gpt-5-chat-latest"]) {
    expect(isReasoningModel(model)).toBe(false);
  }
});

test("an effort that the model does not take becomes the nearest one that it does", () => {
  const asked = ["off", "minimal", "low", "medium", "high", "xhigh", "max", "someday"];
  const of = (model: string): string[] => asked.map((effort) => nearestEffort(model, effort));
  expect(of("o4-mini")).toEqual(["low", "low", "low", "medium", "high", "high", "high", "medium"]);
  expect(of("openai/gpt-5-mini")).toEqual(["minimal", "minimal", "low", "medium", "high", "high", "high", "medium"]);
  expect(of("gpt-5.1")).toEqual(["none", "low", "low", "medium", "high", "high", "high", "medium"]);
  const coding = ["low", "low", "low", "medium", "high", "high", "high", "medium"];
  for (const model of ["gpt-5-codex", "openai/gpt-5.1-codex"]) expect(of(model)).toEqual(coding);
  for (const model of ["gpt-5.1-codex-max", "gpt-5.3-codex"]) {
    expect(of(model)).toEqual(["low", "low", "low", "medium", "high", "xhigh", "xhigh", "medium"]);
  }
  expect(new Set(of("gpt-5.1-codex-mini"))).toEqual(new Set(["medium", "high"]));
  expect(new Set(of("gpt-5-pro"))).toEqual(new Set(["high"]));
  expect(new Set(of("gpt-5.5-pro"))).toEqual(new Set(["medium", "high", "xhigh"]));
  expect(new Set(of("gpt-5.2-chat-latest"))).toEqual(new Set(["medium"]));
  expect(of("gpt-5.5")).toEqual(["none", "low", "low", "medium", "high", "xhigh", "xhigh", "medium"]);
});
