// OpenAI's reasoning models, told by name: they take other fields than the rest, and bill output that is not shown.

/** `o3-mini`, `gpt-5.5`, `openai/o4-mini`; not `gpt-4o`. */
const reasoning = /^(?:openai\/)?(?:o[1-9]\d*(?:-|$)|gpt-(?:[5-9]|[1-9]\d)(?:[.-]|$))/;

export function isReasoningModel(model: string): boolean {
  return reasoning.test(model);
}
