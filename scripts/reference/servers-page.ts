import type { ServerKind } from "../../src/wire/neutral.ts";
import { serverProfiles, type ServerProfile } from "../../src/wire/profiles/server-profiles.ts";
import { code, page, sentences, table } from "./page.ts";

const names: Readonly<Record<ServerKind, string>> = {
  anthropic: "Anthropic",
  openai: "OpenAI",
  openrouter: "OpenRouter",
  ollama: "Ollama",
  llamacpp: "llama.cpp",
  lmstudio: "LM Studio",
  vllm: "vLLM",
  mlx: "MLX",
  generic: "others",
};

const told: Readonly<Record<keyof ServerProfile, string>> = {
  doors: "Where it speaks several dialects, but not the client's, the first of these is asked.",
  midSystem:
    "Instructions in the middle of a conversation keep their role; elsewhere they become text of the user's turn.",
  mergeTurns: "Neighbouring turns of one role are joined, and the first one is the user's.",
  topK: "Takes `top_k`.",
  sampling: "Settings of the Chat dialect alone that go along: the answer's `x-sanctum-ignored` names the others.",
  cacheMarks: "Cache marks that a request in Anthropic's dialect may hold.",
  leastOutput: "Output tokens that its Responses door gives at the least.",
  maxStops: "Stop sequences at most.",
  grammar: "Schemas of tools are freed of what breaks grammars (patterns, huge repetitions, unknown formats).",
  imageUrls: "Takes images by address; elsewhere only those that are in the request.",
  pdf: "Takes PDF documents.",
  toolChoice: "A forced tool: by name, by the word `required` alone, or not at all.",
  reasoning: "How reasoning is asked for.",
  reasoningHistory: "Earlier reasoning goes along.",
  continueFlags: "A begun answer is continued by flags of its own.",
  singleCalls: "Obeys a request for one tool call at a time; elsewhere the gateway keeps the first call alone.",
  toolStreams:
    "Tool calls come whole in streams; elsewhere the gateway asks in one piece and streams the answer itself.",
  refusesOverlong: "Refuses a prompt that is too long; elsewhere its beginning would be lost, so it is not sent.",
  assumedContext: "The window in tokens that is assumed where neither the server nor the configuration tells it.",
  pinned: "Fields that every request gets unless the client set them.",
  jsonMode: "Takes `json_object` as the answer's format; elsewhere it is asked for by the schema of any object.",
  schemaBinds: "A schema for the answer binds; elsewhere the gateway checks the answer.",
  base64Embeddings: "Gives embeddings as base64; elsewhere the gateway makes it of numbers.",
  places:
    "Requests that it is given at once where neither `limits.concurrent` nor the server (llama.cpp) says how many; the " +
    "others wait in line.",
  counting: "Where tokens are counted free of charge; elsewhere the gateway estimates.",
};

/** What each kind of server takes: the profiles as a table. */
export function serversPage(): string {
  const lookup = sentences("server profiles", told);
  const kinds = Object.keys(names) as ServerKind[];
  const keys = Object.keys(serverProfiles.generic) as (keyof ServerProfile)[];
  const rows = keys.map((key) => [code(key), ...kinds.map((kind) => shown(serverProfiles[kind][key]))]);
  const meanings = keys.map((key) => [code(key), lookup.of(key)]);
  lookup.end();
  return page(
    "What servers take",
    introduction,
    table(["", ...kinds.map((kind) => names[kind])], rows),
    "## Meaning",
    table(["Trait", "What it says"], meanings),
  );
}

function shown(value: ServerProfile[keyof ServerProfile]): string {
  if (value === true) return "yes";
  if (Array.isArray(value)) return value.map(code).join(", ") || "–";
  if (typeof value === "object" && value !== null) return Object.keys(value).map(code).join(", ") || "–";
  return value === false || value === null || value === undefined ? "–" : String(value);
}

const introduction = `
How a request is fitted to the server that it goes to when it is translated or falls back. A request that goes to its own vendor in
the vendor's own dialect is not fitted to anything: it arrives as the client wrote it. A provider's kind is told by its name or the
beginning of it ("ollama-desk"), by its host, or, for local servers, by what the server says of itself and by its usual port.
`;
