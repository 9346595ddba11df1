import { describe, expect, test } from "bun:test";
import type { Document } from "./document.ts";
import { problemsOf } from "./problem-list.ts";

const provider = {
  state: "closed",
  requests: 0,
  errors: 0,
  key: "ok",
  latency_ms: { p50: null, p95: null, p99: null },
  limits: {},
  backoff_until: null,
};

/** As a gateway without any fault sends it, as far as problems look at it. */
function documentWith(change: object): Document {
  const healthy = {
    config: { generation: 1, loaded_at: "", fault: null },
    audit: { entries: 0, head: "", last_written_at: null, fault: null },
    ledger: { fault: null },
    providers: { anthropic: provider, openai: { ...provider, key: "missing" } },
  };
  return { ...healthy, ...change } as unknown as Document;
}

function titles(change: object): string[] {
  return problemsOf(documentWith(change)).map(({ title }) => title);
}

describe("what is told as a problem", () => {
  test("is nothing where all is well: nobody has an account everywhere", () => {
    expect(titles({})).toEqual([]);
  });

  const since = "2026-11-23T12:00:00Z";
  const cases: readonly (readonly [object, string])[] = [
    [{ config: { fault: { since, messages: ["x"] } } }, "The configuration file is refused"],
    [{ audit: { fault: { since, message: "ENOSPC" } } }, "cannot be written"],
    [{ audit: { fault: null, alarms: [{ at: since, text: "lines were cut off" }] } }, "lines were cut off"],
    [{ audit: { fault: null, seal: { key: null, seq: 0, fault: "no key" } } }, "not sealed"],
    [{ ledger: { fault: "EIO" } }, "Nothing is spent"],
    [{ overload: { level: "shedding", reasons: ["memory"], shed: 3 } }, "overloaded"],
    [{ missing_models: [{ name: "coder-14b", message: "ollama pull …" }] }, "coder-14b"],
    [{ providers: { anthropic: { ...provider, key: "rejected" }, ollama: provider } }, "refuses its key"],
    [{ providers: { anthropic: { ...provider, key: "locked" }, ollama: provider } }, "is locked"],
    [{ providers: { anthropic: { ...provider, state: "open" } } }, "left alone"],
    [{ providers: { anthropic: { ...provider, key: "missing" } } }, "No provider can be used"],
  ];
  for (const [change, title] of cases) {
    test(title, () => {
      expect(titles(change)).toEqual([expect.stringContaining(title)]);
    });
  }

  test("is read with tolerance: what a gateway does not send is no problem, and neither is what nobody knows", () => {
    expect(
      titles({ audit: { fault: null, seal: undefined, alarms: undefined, weather: "bad" }, moon: "full" }),
    ).toEqual([]);
  });
});
