import type { KeyReference, Provider } from "../../request.ts";

/** For tests: a cloud provider of this name. */
export function provider(name: string, key: KeyReference = { from: "keychain" }): Provider {
  return {
    name,
    url: `https://${name}.example`,
    dialects: ["messages"],
    local: false,
    key,
    headers: {},
    caFile: undefined,
    timeouts: { connectMs: 1, firstByteMs: 1, firstContentMs: 1, idleMs: 1, totalMs: 60_000 },
    limits: {
      requestsPerMinute: undefined,
      inputTokensPerMinute: undefined,
      outputTokensPerMinute: undefined,
      concurrent: undefined,
    },
    retry: { attempts: 1, baseMs: 1, maxMs: 1 },
  };
}
