// Switches of a request that nothing here knows a price for: a vendor's new field or beta flag. They pass, because new
// clients must work; but it is told, because what they cost shows only in the answer (threat model B11, B12).

import { knownKeys } from "./json-fault.ts";
import type { JsonObject } from "./neutral.ts";

/** Fields without a price of their own that are no business of the guard's. */
const harmless: ReadonlySet<string> = new Set(
  `betas client_metadata diagnostics fallback_credit fallback_credit_token include_reasoning min_p output_format
  repetition_penalty safeguards session_id top_a usage`.split(/\s+/),
);

/**
 * Anthropic's flags that change no price, or one that is held by other means: `context-1m` by the price of long prompts,
 * `extended-cache-ttl` by the cache marks, `fast-mode` by `speed`; tools and tool servers by their types.
 */
const knownBetas = new RegExp(
  `^(?:${[
    "advanced-tool-use|afk-mode|claude-code|code-execution|compact|computer-use|context-1m|context-management",
    "dangerous-tool-use|effort|fallback-credit|mid-conversation-tool-changes|extended-cache-ttl|fast-mode|files-api|fine-grained-tool-streaming|interleaved-thinking",
    "max-tokens-3-5-sonnet|mcp-client|message-batches|model-context-window-exceeded|oauth|output-128k|output-300k|pdfs|per-turn-control",
    "prompt-caching(?:-scope)?|redact-thinking|server-side-fallback|skills|structured-outputs|task-budgets|thinking-[a-z-]+",
    "token-(?:counting|efficient-tools)|tool-(?:examples|search-tool)|web-(?:fetch|search)",
  ].join("|")})-\\d{4}-?\\d{2}-?\\d{2}$`,
);

const readable = /^[\w.-]{1,40}$/;
const most = 4;

/** Their names, at most four; none where all is known. `betas`: the `anthropic-beta` header. */
export function unpricedSwitches(body: JsonObject, betas: string | null): readonly string[] {
  const found: string[] = [];
  for (const key in body) {
    if (!knownKeys.has(key) && !harmless.has(key) && body[key] !== null) found.push(key);
  }
  if (betas !== null) {
    for (const beta of betas.split(",")) {
      const name = beta.trim();
      if (name !== "" && !knownBetas.test(name)) found.push(name);
    }
  }
  // What a client wrote gets into the books as a plain name or not at all.
  return found.slice(0, most).map((name) => (readable.test(name) ? name : "(unreadable)"));
}
