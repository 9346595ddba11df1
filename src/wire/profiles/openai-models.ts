// OpenAI's reasoning models, told by name: they take other fields than the rest, and bill output that is not shown.

/** `o3-mini`, `gpt-5.5`, `codex-mini-latest`, `openai/o4-mini` at whatever reseller; not `gpt-4o`, nor `gpt-5-chat-latest`. */
const reasoning = /^(?:[^/]+\/)?(?:o[1-9]\d*(?:-|$)|(?!gpt-5-chat)gpt-(?:[5-9]|[1-9]\d)(?:[.-]|$)|codex(?:-|$))/;

export function isReasoningModel(model: string): boolean {
  return reasoning.test(model);
}

const ladder = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** By the model's name, first match: the efforts that it takes; any other is a 400 (OpenAI docs "Reasoning models"). */
const efforts: readonly (readonly [models: RegExp, taken: readonly string[]])[] = [
  [/^(?:[^/]+\/)?(?:o\d|codex)/, ["low", "medium", "high"]],
  [/^(?:[^/]+\/)?gpt-5-pro/, ["high"]],
  [/^(?:[^/]+\/)?gpt-5\.\d+-pro/, ["medium", "high", "xhigh"]],
  [/^(?:[^/]+\/)?gpt-5\.\d+-chat/, ["medium"]],
  // Models for coding always think.
  [/^(?:[^/]+\/)?gpt-5\.1-codex-mini/, ["medium", "high"]],
  [/^(?:[^/]+\/)?gpt-5(?:\.1)?-codex(?!-max)/, ["low", "medium", "high"]],
  [/^(?:[^/]+\/)?gpt-5\.\d+-codex/, ["low", "medium", "high", "xhigh"]],
  [/^(?:[^/]+\/)?gpt-5(?:-|$)/, ["minimal", "low", "medium", "high"]],
  [/^(?:[^/]+\/)?gpt-5\.1(?:-|$)/, ["none", "low", "medium", "high"]],
];
const usualEfforts = ["none", "low", "medium", "high", "xhigh"];

/** The effort that the model takes and that is nearest to what is asked for, in OpenAI's words; `off` is `none` there. */
export function nearestEffort(model: string, asked: string): string {
  const taken = efforts.find(([models]) => models.test(model))?.[1] ?? usualEfforts;
  const place = ladder.indexOf(asked === "off" ? "none" : asked);
  // All but one of them take it.
  let nearest = taken.includes("medium") ? "medium" : taken[0]!;
  if (place < 0) return nearest;
  let least = Infinity;
  for (const effort of taken) {
    const distance = Math.abs(ladder.indexOf(effort) - place);
    // Of two that are as near the higher one: what was to think does.
    if (distance > least) continue;
    nearest = effort;
    least = distance;
  }
  return nearest;
}
