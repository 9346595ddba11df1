// What happens in the demo: who asks, in which dialect, what the cloud does then, and what is to be seen of it.

import type { Act } from "./scripted-models.ts";

export interface Scene {
  readonly agent: "windu" | "mothma" | "jocasta" | "a stranger";
  readonly client: string;
  readonly path: string;
  readonly body: object;
  readonly cloud: Act;
  /** What the person should take from it. */
  readonly lesson: string;
}

/** About four kilobytes, so that the sums are worth looking at; the scripted cloud counts a thousand tokens for it. */
const question = `Say hello. ${"And take this into account. ".repeat(140)}`;
const user = { role: "user", content: question };
const messages = { model: "claude-sonnet-4-5", max_tokens: 500, messages: [user] };
const chat = { model: "gpt-4.1", messages: [user], max_completion_tokens: 500 };

export const scenes: readonly Scene[] = [
  {
    agent: "windu",
    client: "Anthropic SDK, streaming",
    path: "/v1/messages",
    body: { ...messages, stream: true },
    cloud: "answer",
    lesson: "the key was added here; the agent never had it",
  },
  {
    agent: "windu",
    client: "Anthropic SDK, streaming",
    path: "/v1/messages",
    body: { ...messages, stream: true },
    cloud: "break_in_the_middle",
    lesson: "the cloud died in mid-sentence; the local model finished it, inside the same answer",
  },
  {
    agent: "windu",
    client: "Anthropic SDK",
    path: "/v1/messages",
    body: messages,
    cloud: "refuse",
    lesson: "429: the local model answered in the client's own dialect",
  },
  {
    agent: "mothma",
    client: "OpenAI SDK, streaming",
    path: "/v1/chat/completions",
    body: { ...chat, stream: true },
    cloud: "break_off",
    lesson: "a stream that died before its first word was not shown",
  },
  {
    agent: "mothma",
    client: "Codex (Responses)",
    path: "/v1/responses",
    body: { model: "gpt-4.1", input: question, max_output_tokens: 500, store: false },
    cloud: "stall",
    lesson: "silence is a failure too: after a second the next model was asked",
  },
  {
    agent: "jocasta",
    client: "script (Chat Completions)",
    path: "/v1/chat/completions",
    body: { ...chat, model: "openrouter/openai/gpt-4.1" },
    cloud: "answer",
    lesson: "within her cap of $0.02: the cloud",
  },
  {
    agent: "jocasta",
    client: "script (Chat Completions)",
    path: "/v1/chat/completions",
    body: { ...chat, model: "openrouter/openai/gpt-4.1", max_completion_tokens: 4_000 },
    cloud: "answer",
    lesson: "what is left does not cover it: silently local, nothing refused",
  },
  {
    agent: "a stranger",
    client: "curl with a made-up token",
    path: "/v1/messages",
    body: messages,
    cloud: "answer",
    lesson: "an unknown token gets nothing, and the cloud is not asked",
  },
];
