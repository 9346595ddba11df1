// What the generated table lacks. A price stands here only with its source; a model whose price is not published stays
// unknown, and then costs the ceiling of its provider.

import type { Row } from "./table.ts";

export interface OverlayPrice {
  /** USD per million tokens, in the order of `prices.json`. */
  readonly row: Row;
  /** The page it was read from. */
  readonly source: string;
  /** When, `2026-11-23`. */
  readonly date: string;
}

/** These win over `prices.json`. */
export const overlayPrices: Readonly<Record<string, Readonly<Record<string, OverlayPrice>>>> = {
  anthropic: {
    "claude-sonnet-5-5": {
      row: [2, 10, 0.2, 2.5, 4, 1_000_000],
      source: "platform.claude.com/docs/en/models/sonnet-5-5/overview",
      date: "2026-11-23",
    },
    // Dearer for prompts over 100,000 tokens.
    "claude-haiku-5-5": {
      row: [0.1, 0.5, 0.01, 0.125, 0.2, 1_000_000, 100_000, 0.5, 2.5, 0.05, 0.625, 1],
      source: "platform.claude.com/docs/en/models/haiku-5-5/overview",
      date: "2026-11-23",
    },
  },
};

// Vendors' model pages ("Max output"). Only what is published: a figure too low would cut answers short.
const outputLimits: readonly (readonly [RegExp, number])[] = [
  [/^claude-3-(?:haiku|opus|sonnet)/u, 4_096],
  [/^claude-3-5-/u, 8_192],
  [/^claude-opus-4-[01]$/u, 32_000],
  [/^claude-(?:3-7-sonnet|sonnet-4-[056]$|haiku-4-5$|opus-4-5$)/u, 64_000],
  [/^claude-(?:opus-4-[678]$|(?:opus|sonnet|haiku|fable)-5)/u, 128_000],
  [/^gpt-4o(?:-mini)?$/u, 16_384],
  [/^gpt-4\.1/u, 32_768],
  [/^gpt-5(?:\.[12])?(?:-mini|-nano)?$/u, 128_000],
  [/^o(?:1|3|3-mini|4-mini|1-pro|3-pro)$/u, 100_000],
];

/** The model's own output limit in tokens, by its canonical first-party name; undefined: not known. */
export function outputLimitOf(name: string): number | undefined {
  return outputLimits.find(([names]) => names.test(name))?.[1];
}

// Families that think unseen and bill it. Anthropic: adaptive thinking is on by default from the 5 series on, and its
// text is omitted since Opus 4.7 (docs "Adaptive thinking"); OpenAI: reasoning tokens are never shown (docs "Reasoning");
// Google: thinking is on by default since 2.5 and shown as a summary at most (docs "Thinking"); x.ai: Grok 4 likewise.
const hidden =
  /^(?:claude-(?:(?:opus|sonnet|haiku)-(?:[5-9]|\d\d)|fable|mythos)|gpt-(?:[5-9]|\d\d)|o\d|codex|gemini-(?:2\.5|[3-9])|grok-(?:[4-9]|3-mini|code))/u;
// Asked for plainly, these answer without thinking.
const shown = /^gpt-5(?:\.\d)?-chat/u;

/** Whether a model bills output that a reader of its stream cannot count, by its bare name. */
export function hidesReasoning(name: string): boolean {
  return hidden.test(name) && !shown.test(name);
}
