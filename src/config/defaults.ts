// What holds where the file says nothing.

import type { Provider, Timeouts } from "../request.ts";
import type { Dialect } from "../wire/neutral.ts";
import type { Config } from "./types.ts";

export const defaultListen = "127.0.0.1:4040";

/** USD a day. The three of the house have more than a stranger; a name that is not here has `otherDailyUsd`. */
export const namedDailyUsd: ReadonlyMap<string, number> = new Map([
  ["windu", 2],
  ["mothma", 2],
  ["jocasta", 1.5],
]);
export const otherDailyUsd = 0.5;

/**
 * The longest answers that vendors give (128,000 tokens) take most of an hour, and so does a small machine at home for a few
 * thousand. What is not ended by then is a loop.
 */
const longestAttemptMs = 3_600_000;

export const cloudTimeouts: Timeouts = {
  connectMs: 5_000,
  firstByteMs: 60_000,
  firstContentMs: 120_000,
  idleMs: 60_000,
  totalMs: longestAttemptMs,
};

/**
 * A local server reads a long prompt for minutes before it says the first word. Before that it may have to load the model:
 * forty gigabytes take four minutes from a slow disk.
 */
export const localTimeouts: Timeouts & { readonly loadingMs: number } = {
  connectMs: 5_000,
  firstByteMs: 300_000,
  firstContentMs: 300_000,
  idleMs: 120_000,
  loadingMs: 300_000,
  totalMs: longestAttemptMs,
};

/** Claude Code shows a warning after 20 s of silence; proxies on the way close idle connections after 15 s and more. */
export const defaultKeepAliveMs = 10_000;

/** systemd kills what takes much longer (TimeoutStopSec), a container's runtime sooner. */
export const defaultStopGraceMs = 30_000;

/** Each is two connections and some hundred kilobytes. */
export const defaultMostInFlight = 5_000;

export const defaultRetry: Provider["retry"] = { attempts: 2, baseMs: 500, maxMs: 8_000 };

/**
 * Both vendors' SDKs and Claude Code wait for ten minutes. Two attempts may come to nothing at their full price before the third
 * one.
 */
export const defaultAttempts: Config["attempts"] = { deadlineMs: 600_000, costFactor: 3 };

export interface BuiltInProvider {
  readonly url: string;
  readonly dialects: readonly Dialect[];
}

/** Keys come from the keychain. */
export const builtInProviders: ReadonlyMap<string, BuiltInProvider> = new Map<string, BuiltInProvider>([
  ["anthropic", { url: "https://api.anthropic.com", dialects: ["messages"] }],
  ["openrouter", { url: "https://openrouter.ai/api/v1", dialects: ["chat"] }],
  ["openai", { url: "https://api.openai.com/v1", dialects: ["responses", "chat"] }],
]);

/** Hosts that send bills: a provider there can't be `local`, which would make it free. */
export const billingHosts: ReadonlySet<string> = new Set(["api.anthropic.com", "openrouter.ai", "api.openai.com"]);

/** Names under which local servers are found at start-up; the file may use them without defining them. */
export const discoverableProviders: readonly string[] = ["ollama", "lmstudio", "llamacpp", "vllm", "mlx"];

/** Aliases that are bound to the best local model where the file doesn't define them. */
export const builtInAliases: readonly string[] = ["coder-14b", "gemma-4"];

export const intents = ["code", "reasoning", "chat", "writing", "extract", "summarise", "translate", "vision"] as const;

export const defaultRotate = { sizeBytes: 100_000_000, keep: 30 };

export const defaultContentKeepMs = 7 * 86_400_000;
