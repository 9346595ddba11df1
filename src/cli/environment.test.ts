import { expect, test } from "bun:test";
import { cleanEnvironment, dangersIn } from "./environment.ts";

test("variables that would leak keys or switch checks off are named with what to do", () => {
  expect(dangersIn({ NODE_TLS_REJECT_UNAUTHORIZED: "0" })[0]).toContain("unset NODE_TLS_REJECT_UNAUTHORIZED");
  expect(dangersIn({ BUN_CONFIG_VERBOSE_FETCH: "curl" })).toHaveLength(1);
  expect(dangersIn({ NODE_DEBUG: "net", SSLKEYLOGFILE: "/tmp/x" })).toHaveLength(2);
  expect(dangersIn({ NODE_TLS_REJECT_UNAUTHORIZED: "1", PATH: "/bin" })).toEqual([]);
});

test("provider keys and proxies do not get into the daemon's environment", () => {
  const { env, changed, notes } = cleanEnvironment({
    PATH: "/bin",
    ANTHROPIC_API_KEY: "canary",
    https_proxy: "http://x",
    HTTP_PROXY: "y",
  });
  expect(changed).toBe(true);
  expect(Object.keys(env).sort()).toEqual(["BUN_CONFIG_MAX_HTTP_REQUESTS", "PATH"]);
  expect(notes.join()).toContain("ANTHROPIC_API_KEY");
  expect(notes.join()).not.toContain("canary");
});

test("a clean environment is left as it is, so that the process replaces itself only once", () => {
  expect(cleanEnvironment(cleanEnvironment({ PATH: "/bin", OPENAI_API_KEY: "x" }).env).changed).toBe(false);
});
