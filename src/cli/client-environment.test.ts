import { describe, expect, test } from "bun:test";
import { clientEnvironment } from "./client-environment.ts";

const at = { url: "http://127.0.0.1:4040" };

describe("the environment of a client that runs as an agent", () => {
  test("leads every client that goes by its environment to the gateway, and holds the rest of the caller's", () => {
    const { env, replaced, removed } = clientEnvironment({ LANG: "de_DE", EMPTY: "", NONE: undefined }, at, "T", "x");
    expect(env).toEqual({
      LANG: "de_DE",
      EMPTY: "",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:4040",
      ANTHROPIC_AUTH_TOKEN: "T",
      ANTHROPIC_API_KEY: "T",
      OPENAI_BASE_URL: "http://127.0.0.1:4040/v1",
      OPENAI_API_BASE: "http://127.0.0.1:4040/v1",
      OPENAI_API_BASE_URL: "http://127.0.0.1:4040/v1",
      OPENAI_API_KEY: "T",
      SANCTUM_BASE_URL: "http://127.0.0.1:4040",
      SANCTUM_TOKEN: "T",
    });
    expect([replaced, removed]).toEqual([[], []]);
  });

  test("gives Claude Code one credential, because it asks about two", () => {
    for (const program of ["claude", "/usr/local/bin/claude"]) {
      const { env, removed } = clientEnvironment({ ANTHROPIC_API_KEY: "sk-ant-real" }, at, "T", program);
      expect([env["ANTHROPIC_AUTH_TOKEN"], env["ANTHROPIC_API_KEY"]]).toEqual(["T", undefined]);
      expect(removed).toEqual(["ANTHROPIC_API_KEY"]);
    }
    expect(clientEnvironment({}, at, "T", "/opt/claude/bin/node").env["ANTHROPIC_API_KEY"]).toBe("T");
  });

  test("holds no vendor's real key and no setting that leads past the gateway, and says which it had", () => {
    const caller = {
      ANTHROPIC_API_KEY: "real-1",
      ANTHROPIC_AUTH_TOKEN: "real-2",
      ANTHROPIC_BASE_URL: "https://api.anthropic.com",
      OPENAI_API_KEY: "real-3",
      OPENAI_BASE_URL: "http://127.0.0.1:4040/v1",
      OPENROUTER_API_KEY: "real-4",
      GEMINI_API_KEY: "real-5",
      CLAUDE_CODE_OAUTH_TOKEN: "real-6",
      CLAUDE_CODE_USE_BEDROCK: "1",
      CLAUDE_CODE_USE_VERTEX: "1",
      AZURE_OPENAI_API_KEY: "real-7",
      AZURE_OPENAI_ENDPOINT: "https://real-8.example",
      OPENAI_API_TYPE: "azure",
      ANTHROPIC_CUSTOM_HEADERS: "X-Sanctum-Token: real-9",
      SANCTUM_TOKEN: "real-10",
      SANCTUM_SOCKET: "/run/real-11.sock",
    };
    const { env, replaced, removed } = clientEnvironment(caller, at, "T", "x");
    expect(JSON.stringify(env)).not.toContain("real-");
    expect(replaced).toEqual([
      "ANTHROPIC_API_KEY",
      "ANTHROPIC_AUTH_TOKEN",
      "ANTHROPIC_BASE_URL",
      "OPENAI_API_KEY",
      "SANCTUM_TOKEN",
    ]);
    expect(removed).toEqual([
      "ANTHROPIC_CUSTOM_HEADERS",
      "AZURE_OPENAI_API_KEY",
      "AZURE_OPENAI_ENDPOINT",
      "CLAUDE_CODE_OAUTH_TOKEN",
      "CLAUDE_CODE_USE_BEDROCK",
      "CLAUDE_CODE_USE_VERTEX",
      "GEMINI_API_KEY",
      "OPENAI_API_TYPE",
      "OPENROUTER_API_KEY",
      "SANCTUM_SOCKET",
    ]);
    const harmless = {
      ANTHROPIC_CUSTOM_HEADERS: "x-title: mine",
      ANTHROPIC_MODEL: "claude-sonnet-4-5",
      AWS_PROFILE: "a",
    };
    expect(clientEnvironment(harmless, at, "T", "x").env).toMatchObject(harmless);
  });

  test("keeps a proxy away from the gateway, in both spellings, and changes nothing where there is none", () => {
    const { env } = clientEnvironment({ HTTPS_PROXY: "http://p:1", NO_PROXY: "a.example, b.example" }, at, "T", "x");
    expect([env["NO_PROXY"], env["no_proxy"]]).toEqual(Array(2).fill("a.example,b.example,127.0.0.1"));
    const v6 = clientEnvironment({ all_proxy: "http://p:1" }, { url: "http://[::1]:4040" }, "T", "x").env;
    expect(v6["NO_PROXY"]).toBe("::1");
    const all = clientEnvironment({ http_proxy: "http://p:1", no_proxy: "*" }, at, "T", "x").env;
    expect([all["NO_PROXY"], all["no_proxy"]]).toEqual(["*", "*"]);
    expect(clientEnvironment({ NO_PROXY: "a" }, at, "T", "x").env["NO_PROXY"]).toBe("a");
  });

  test("over a Unix socket has no base URL, so that no token goes anywhere else", () => {
    const caller = { OPENAI_BASE_URL: "https://api.openai.com/v1", OPENAI_API_KEY: "real" };
    const { env, removed } = clientEnvironment(caller, { socketPath: "/run/s.sock" }, "T", "x");
    expect(env).toEqual({ SANCTUM_SOCKET: "/run/s.sock", SANCTUM_TOKEN: "T" });
    expect(removed).toEqual(["OPENAI_API_KEY", "OPENAI_BASE_URL"]);
  });
});
