// The two actors of `sanctum demo`: a cloud that answers, refuses, breaks off and stalls, and a local model that answers.

/** What the cloud does with its next request. */
export type Act = "answer" | "refuse" | "break_off" | "break_in_the_middle" | "stall";

/** What an answer is said to have taken. */
export interface ScriptedUsage {
  readonly input: number;
  readonly output: number;
}

export interface ScriptedModels {
  readonly cloudUrl: string;
  readonly localUrl: string;
  /** The credentials that the cloud was shown, newest last. */
  readonly shown: readonly string[];
  next(act: Act, usage?: ScriptedUsage): void;
  stop(): Promise<void>;
}

const encoder = new TextEncoder();

export function startScriptedModels(): ScriptedModels {
  let act: Act = "answer";
  let usage: ScriptedUsage = { input: 1_000, output: 340 };
  const shown: string[] = [];
  const cloud = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request) {
      shown.push(request.headers.get("x-api-key") ?? request.headers.get("authorization") ?? "");
      const body = (await request.json()) as { model: string; stream?: boolean };
      const { pathname } = new URL(request.url);
      if (act === "refuse") return Response.json(overloaded, { status: 429 });
      if (act === "stall") return new Promise<Response>(() => undefined);
      if (act === "break_off") return brokenStream();
      if (act === "break_in_the_middle") return halfAStream(body.model);
      return pathname.endsWith("/messages")
        ? messagesAnswer(body, usage)
        : chatAnswer(body, "Hello from the cloud.", usage);
    },
  });
  const local = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (request.method === "GET") return Response.json({ object: "list", data: [{ id: "qwen2.5-coder:14b" }] });
      const body = (await request.json()) as { model: string; stream?: boolean; messages: { role: string }[] };
      // Behind an answer that was begun there is the half of it, and perhaps a turn that asks for the rest.
      const begun = body.messages.some(({ role }) => role === "assistant");
      const text = begun ? "and the rest from your own machine." : "Hello from your own machine.";
      return chatAnswer(body, text, usage);
    },
  });
  return {
    cloudUrl: `http://127.0.0.1:${cloud.port}`,
    localUrl: `http://127.0.0.1:${local.port}/v1`,
    shown,
    next: (following, taken) => {
      act = following;
      usage = taken ?? usage;
    },
    stop: async () => {
      await Promise.all([cloud.stop(true), local.stop(true)]);
    },
  };
}

const overloaded = {
  type: "error",
  error: { type: "rate_limit_error", message: "This organisation is at its rate limit." },
};

/** A status of 200 and then nothing: the failure that most gateways hand on to the client. */
function brokenStream(): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode(": accepted\n\n"));
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** The body ends well, the answer does not. */
function halfAStream(model: string): Response {
  const message = { id: "msg_demo", type: "message", role: "assistant", model, content: [], stop_reason: null };
  const usage = { input_tokens: 1_000, output_tokens: 1 };
  const delta = { type: "text_delta", text: "Hello from the cloud, " };
  return events([
    ["message_start", { type: "message_start", message: { ...message, stop_sequence: null, usage } }],
    ["content_block_start", { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }],
    ["content_block_delta", { type: "content_block_delta", index: 0, delta }],
  ]);
}

function messagesAnswer({ model, stream }: { model: string; stream?: boolean }, taken: ScriptedUsage): Response {
  const text = "Hello from the cloud.";
  const message = { id: "msg_demo", type: "message", role: "assistant", model, stop_sequence: null };
  const usage = { input_tokens: taken.input, output_tokens: taken.output };
  if (stream !== true) {
    return Response.json({ ...message, content: [{ type: "text", text }], stop_reason: "end_turn", usage });
  }
  const start = { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } };
  return events([
    ["message_start", { type: "message_start", message: start }],
    ["content_block_start", { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }],
    ["content_block_delta", { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }],
    ["content_block_stop", { type: "content_block_stop", index: 0 }],
    ["message_delta", { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage }],
    ["message_stop", { type: "message_stop" }],
  ]);
}

function chatAnswer(
  { model, stream }: { model: string; stream?: boolean },
  text: string,
  { input, output }: ScriptedUsage,
): Response {
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
  const head = { id: "chatcmpl-demo", created: 1_767_225_600, model };
  if (stream !== true) {
    const choice = { index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" };
    return Response.json({ ...head, object: "chat.completion", choices: [choice], usage });
  }
  const chunk = (delta: object, finish: string | null): [null, object] => [
    null,
    { ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }] },
  ];
  return events([
    chunk({ role: "assistant", content: text }, null),
    chunk({}, "stop"),
    [null, { ...head, object: "chat.completion.chunk", choices: [], usage }],
    [null, "[DONE]"],
  ]);
}

function events(list: readonly (readonly [string | null, object | string])[]): Response {
  const text = list
    .map(([name, data]) => {
      const line = typeof data === "string" ? data : JSON.stringify(data);
      return `${name === null ? "" : `event: ${name}\n`}data: ${line}\n\n`;
    })
    .join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}
