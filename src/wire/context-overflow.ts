// "The prompt does not fit": said in many ways by upstreams, and understood by clients in one way each (wire.md 257-260).

import type { Dialect, UpstreamFault } from "./neutral.ts";

/** OpenAI and what copies it; llama.cpp; Copilot; Anthropic's stop reason used as an error code. */
const codes: ReadonlySet<string> = new Set([
  "context_length_exceeded",
  "context_window_exceeded",
  "exceed_context_size_error",
  "model_max_prompt_tokens_exceeded",
  "model_context_window_exceeded",
]);

/**
 * In this order: Anthropic (two), OpenAI and OpenRouter, vLLM, llama.cpp and Ollama, LM Studio (two), MLX, Google, xAI,
 * Bedrock. No repetition inside a repetition, so that a hostile message can't make it slow.
 */
const wordings: readonly RegExp[] = [
  /prompt is too long/i,
  /input length and `?max_tokens`? exceed context limit/i,
  /maximum context length/i,
  /(?:longer than|exceeds?) the (?:maximum )?model(?:'s)? (?:context )?length/i,
  /exceeds? (?:the |its )?(?:available |maximum |max |model's )?context (?:size|length|window|limit)/i,
  /context (?:size|length|window|limit) (?:was |is |has been )?exceeded/i,
  /when context the overflows|context overflow|reached context length/i,
  /greater than the context length/i,
  /prompt (?:is |was )?(?:too long|exceeds)/i,
  /input token count \(?\d+\)? exceeds/i,
  /maximum prompt length is/i,
  /input is too long for (?:the )?requested model/i,
];

/** `prompt` is without, `total` with the output asked for. */
const figures: readonly RegExp[] = [
  /(?<prompt>\d+) tokens? > (?<limit>\d+)/i,
  /(?<prompt>\d+) \+ (?<output>\d+) > (?<limit>\d+)/,
  /context length is (?<limit>\d+) tokens.{0,80}?requested (?:about )?\d+ tokens \((?<prompt>\d+) [^,]{1,40}, (?<output>\d+) /i,
  /context length is (?<limit>\d+) tokens.{0,80}?(?:requested|resulted in) (?:about )?(?<total>\d+) tokens/i,
  /\((?<total>\d+) tokens\) exceeds the available context size \((?<limit>\d+) tokens\)/i,
  /length (?<total>\d+)\) is longer than the maximum model length of (?<limit>\d+)/i,
  /token count \(?(?<total>\d+)\)? exceeds.{0,60}?\(?(?<limit>\d+)\)?/i,
  /maximum prompt length is (?<limit>\d+).{0,60}?contains (?<total>\d+) tokens/i,
];

/** Longer messages are dumps; what counts stands at their beginning. */
const LOOK_AT = 2_000;
/**
 * Statuses under which it comes; llama.cpp and Ollama once used 500, and 502 is what an error inside a 200 has that names no
 * status. 429 with "too large" is a rate limit.
 */
const statuses: ReadonlySet<number> = new Set([400, 413, 422, 500, 502]);

/** The upstream refused because the prompt (or prompt and output) is larger than the model's window. */
export function isContextOverflow(fault: UpstreamFault): boolean {
  if (!statuses.has(fault.status)) return false;
  if (fault.code !== undefined && codes.has(fault.code)) return true;
  const start = fault.message.slice(0, LOOK_AT);
  return wordings.some((wording) => wording.test(start));
}

/** The dialect's clients know it by its wording or by its code; servers that copy the dialect have neither. */
export function isClearOverflow(dialect: Dialect, fault: UpstreamFault): boolean {
  if (dialect !== "messages") return fault.code === "context_length_exceeded";
  return /prompt is too long|exceed context limit/i.test(fault.message);
}

/**
 * The same, as the dialect's clients know it: Claude Code looks for `prompt is too long` and compacts; told that
 * `A + B > C` it repeats at once with less output, so that is said only where it is true and leaves room.
 */
export function overflowMessage(dialect: Dialect, fault: UpstreamFault): string {
  const { prompt, output, limit } = figuresIn(fault.message);
  if (dialect !== "messages") {
    return limit === undefined || prompt === undefined
      ? "Your input exceeds the context window of this model. Please adjust your input and try again."
      : `This model's maximum context length is ${limit} tokens. However, your messages resulted in ${prompt} tokens. Please reduce the length of the messages.`;
  }
  if (limit === undefined || prompt === undefined)
    return "prompt is too long: it exceeds the context window of the model";
  if (output !== undefined && prompt + LEAST_ROOM < limit && prompt + output > limit) {
    return `input length and \`max_tokens\` exceed context limit: ${prompt} + ${output} > ${limit}, decrease input length or \`max_tokens\` and try again`;
  }
  const tokens = prompt + (output ?? 0);
  return tokens > limit
    ? `prompt is too long: ${tokens} tokens > ${limit} maximum`
    : "prompt is too long: it exceeds the context window of the model";
}

/** Claude Code asks again for the rest less 1,000 tokens; below this the second try would be as futile. */
const LEAST_ROOM = 3_000;

interface Figures {
  readonly prompt: number | undefined;
  readonly output: number | undefined;
  readonly limit: number | undefined;
}

function figuresIn(message: string): Figures {
  const start = message.slice(0, LOOK_AT);
  for (const pattern of figures) {
    const groups = pattern.exec(start)?.groups;
    if (groups === undefined) continue;
    return {
      prompt: count(groups["prompt"] ?? groups["total"]),
      output: count(groups["output"]),
      limit: count(groups["limit"]),
    };
  }
  return { prompt: undefined, output: undefined, limit: undefined };
}

function count(digits: string | undefined): number | undefined {
  const value = Number(digits);
  return digits !== undefined && Number.isSafeInteger(value) ? value : undefined;
}
