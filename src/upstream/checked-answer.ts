import { AttemptError } from "../errors.ts";
import type { AttemptRecord, GatewayResponse } from "../request.ts";
import type { JsonObject, NeutralAnswer, NeutralRequest, Usage } from "../wire/neutral.ts";
import { complaintAbout, unfenced } from "../wire/format-check.ts";

interface Checking {
  readonly request: NeutralRequest;
  readonly schema: JsonObject;
  readonly attempt: AttemptRecord;
  /** One whole answer, or the refusal that the client gets. */
  readonly ask: (request: NeutralRequest) => Promise<NeutralAnswer | GatewayResponse>;
}

/**
 * The answer of a server that does not keep to schemas by itself. One that does not fit is sent back once, with what is
 * wrong with it; a second one that does not fit is a failure of this candidate. Throws AttemptError.
 */
export async function checkedAnswer({
  request,
  schema,
  attempt,
  ask,
}: Checking): Promise<NeutralAnswer | GatewayResponse> {
  const first = await ask(request);
  if (!("parts" in first)) return first;
  const complaint = await complaintOf(first, schema);
  if (complaint === null) return withoutFence(first);
  const spent = attempt.usage;
  const second = await ask(withComplaint(request, first, complaint));
  if (!("parts" in second)) return second;
  const used = attempt.usage;
  // Both answers were worked on; the client gets one, and counts one prompt.
  if (spent !== null && used !== null) attempt.usage = sum(spent, used);
  if ((await complaintOf(second, schema)) !== null) {
    throw new AttemptError("error_event", {
      status: 422,
      billed: "unknown",
      note: "the answer does not fit the schema",
    });
  }
  const { usage } = first;
  const told = usage === undefined || second.usage === undefined ? second.usage : promptOf(usage, second.usage);
  return { ...withoutFence(second), usage: told };
}

/** An answer that calls tools or was cut off is no final one: whoever gets it knows that. */
async function complaintOf(answer: NeutralAnswer, schema: JsonObject): Promise<string | null> {
  if (answer.stop !== "end" || answer.parts.some((part) => part.type === "tool_call" || part.type === "refusal")) {
    return null;
  }
  return complaintAbout(textOf(answer), schema);
}

function textOf(answer: NeutralAnswer): string {
  return answer.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** The same answer without the Markdown fence that many local models put around JSON. */
function withoutFence(answer: NeutralAnswer): NeutralAnswer {
  const text = textOf(answer);
  const bare = unfenced(text);
  if (bare === text || answer.stop !== "end") return answer;
  const others = answer.parts.filter((part) => part.type !== "text");
  return { ...answer, parts: [...others, { type: "text", text: bare }] };
}

function withComplaint(request: NeutralRequest, answer: NeutralAnswer, complaint: string): NeutralRequest {
  const text = textOf(answer);
  const words = `Your answer does not fit the required JSON schema: ${complaint} Answer again with nothing but the corrected JSON.`;
  return {
    ...request,
    messages: [
      ...request.messages,
      { role: "assistant", parts: [{ type: "text", text: text === "" ? "(nothing)" : text }] },
      { role: "user", parts: [{ type: "text", text: words }] },
    ],
  };
}

function sum(a: Usage, b: Usage): Usage {
  return {
    ...b,
    input: a.input + b.input,
    cacheRead: a.cacheRead + b.cacheRead,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
  };
}

function promptOf(prompt: Usage, answer: Usage): Usage {
  return { ...prompt, output: answer.output, reasoning: answer.reasoning };
}
