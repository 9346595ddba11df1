// Requests of broken or hostile clients, to servers of every kind: refused by name, or made into one that the server takes.

import { AttemptError, GatewayError } from "../../src/errors.ts";
import { codecs } from "../../src/wire/codecs.ts";
import { guardJson } from "../../src/wire/json-guard.ts";
import type { Dialect, Json, JsonObject, ServerKind } from "../../src/wire/neutral.ts";
import { serverProfiles } from "../../src/wire/profiles/server-profiles.ts";
import { dialects } from "../fakes/house.ts";
import { objectsOf } from "../fakes/json-access.ts";
import { faultsOfChat, faultsOfMessages, faultsOfResponses } from "../fakes/legal.ts";
import { goldenRequests } from "./golden-requests.ts";
import { halfCharacter } from "./legal-answers.ts";
import { mutateJson } from "./mutate-json.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

interface RequestCase extends JsonObject {
  client: Dialect;
  upstream: Dialect;
  kind: ServerKind;
  model: string;
  body: Json;
}

export const clientRequests: FuzzTarget = { name: "client-request", rounds: 4_000, make, judge };

const kinds: Readonly<Record<Dialect, readonly ServerKind[]>> = {
  messages: ["anthropic"],
  chat: ["openai", "openrouter", "ollama", "llamacpp", "lmstudio", "vllm", "mlx", "generic"],
  responses: ["openai"],
};
const models = ["claude-sonnet-4-5", "claude-opus-5-5", "gpt-4o-mini", "gpt-5", "qwen2.5-coder:14b"];

function make(random: SeededRandom): Json {
  const client = random.pick(dialects);
  const upstream = random.pick(dialects);
  return {
    client,
    upstream,
    kind: random.pick(kinds[upstream]),
    model: random.pick(models),
    body: mutateJson(random.pick(goldenRequests[client]), random, random.integer(5)),
  };
}

/** True for a refusal that is meant: it blames the request, or leaves it to another candidate. */
function isRefusal(error: unknown): boolean {
  if (error instanceof AttemptError) return error.outcome === "skipped_policy";
  return error instanceof GatewayError && error.code.startsWith("REQUEST_");
}

function judge(input: Json): string | null {
  try {
    return judgeAccepted(input as RequestCase);
  } catch (error) {
    if (isRefusal(error)) return null;
    throw error;
  }
}

function judgeAccepted({ client, upstream, kind, model, body }: RequestCase): string | null {
  const text = JSON.stringify(body) ?? "";
  const bytes = new TextEncoder().encode(text);
  const guarded = guardJson(bytes).body;
  const facts = codecs[client].facts(guarded, bytes.length);
  if (!Number.isSafeInteger(facts.inputTokenBound) || facts.inputTokenBound < 0) return "a bound that is no count";
  if (!Number.isSafeInteger(facts.choices) || facts.choices < 1) return "a number of answers that is no count";
  const asked = facts.maxOutputTokens;
  if (asked !== undefined && !(Number.isSafeInteger(asked) && asked >= 0)) return "a limit that is no count";
  const patched = codecs[client].patchRequest(text, guarded, {
    model: "other",
    maxOutputTokens: 5,
    includeUsage: true,
  });
  if ((JSON.parse(patched) as JsonObject)["model"] !== "other") return "a model that was not replaced";
  const neutral = codecs[client].toNeutral(guarded);
  // 0 is a cache warm-up, which goes no further than to the vendor itself.
  const limit = asked === undefined || asked === 0 ? 4_096 : asked;
  const sent = codecs[upstream].fromNeutral(neutral, { profile: kind, model: model || "m", maxOutputTokens: limit });
  const out = JSON.stringify(sent);
  if (out.length > 4 * text.length + 20_000) return "a request that is far larger than what was asked";
  const half = halfCharacter(JSON.parse(out) as Json);
  if (half !== null) return `${client} to ${kind}: ${half}`;
  const [fault] = faultsOf(upstream, kind, JSON.parse(out) as JsonObject);
  return fault === undefined
    ? null
    : `${client} to ${upstream} (${kind}): ${fault.replaceAll(/[a-z]+_[\w-]*\d[\w-]*/g, "ID")}`;
}

function faultsOf(upstream: Dialect, kind: ServerKind, body: JsonObject): string[] {
  if (upstream === "messages") return faultsOfMessages(body);
  if (upstream === "responses") return faultsOfResponses(body);
  // One id for several calls of a turn is how some servers at home count: it is kept, and each has its result.
  const ids = objectsOf(body["messages"]).flatMap((message) =>
    objectsOf(message["tool_calls"]).map((call) => call["id"]),
  );
  const twice = new Set(ids).size < ids.length;
  const faults = faultsOfChat(body, {
    strictTemplate: serverProfiles[kind].mergeTurns && !serverProfiles[kind].midSystem,
  });
  return faults.filter((fault) => !(twice && fault.includes("answers no open call")));
}
