// How OpenAI's Responses API calls a custom tool (API reference: "Responses", "custom_tool_call"). The scripted provider
// knows functions only.

/** Events of a whole stream that calls `name` with a free text. */
export function customCallEvents(name: string, input: string, model: string): string[] {
  const id = `ctc_${name}`;
  const item = { id, type: "custom_tool_call", status: "completed", call_id: `call_${name}`, name, input };
  const response = {
    id: "resp_custom",
    object: "response",
    created_at: 1_790_000_000,
    status: "in_progress",
    error: null,
    incomplete_details: null,
    model,
    output: [] as object[],
    usage: null as object | null,
  };
  const usage = {
    input_tokens: 21,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 13,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 34,
  };
  const place = { output_index: 0, item_id: id };
  const half = Math.floor(input.length / 2);
  const events: [string, object][] = [
    ["response.created", { response }],
    ["response.output_item.added", { output_index: 0, item: { ...item, status: "in_progress", input: "" } }],
    ["response.custom_tool_call_input.delta", { ...place, delta: input.slice(0, half) }],
    ["response.custom_tool_call_input.delta", { ...place, delta: input.slice(half) }],
    ["response.custom_tool_call_input.done", { ...place, input }],
    ["response.output_item.done", { output_index: 0, item }],
    ["response.completed", { response: { ...response, status: "completed", output: [item], usage } }],
  ];
  return events.map(
    ([type, data], sequence_number) =>
      `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number, ...data })}\n\n`,
  );
}
