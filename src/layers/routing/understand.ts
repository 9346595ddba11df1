import { GatewayError } from "../../errors.ts";
import type { Identified, Layer, Operation, Understood } from "../../request.ts";
import { guardJson } from "../../wire/json-guard.ts";
import type { Codec, Dialect, JsonObject, WireFacts } from "../../wire/neutral.ts";

/** Adds what is asked for, strictly read: what two parsers could read in two ways is refused. */
export function understand(codecs: Readonly<Record<Dialect, Codec>>): Layer<Identified, Understood> {
  return (next) => async (request) => {
    checkType(request.headers);
    const bytes = await request.readBody();
    request.record.bytesIn = bytes.byteLength;
    const { text, body } = guardJson(bytes);
    const facts = factsOf(request.operation, codecs[request.dialect], body, bytes.byteLength);
    request.record.requestedModel = facts.model;
    request.record.stream = facts.stream;
    return next(Object.assign(request, { facts, body, text, intent: null }));
  };
}

/** RFC 9110 section 8.3. A browser can send text/plain to anywhere without asking: only JSON is taken. */
function checkType(headers: Headers): void {
  const type = headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) throw new GatewayError("DOOR_CONTENT_TYPE");
}

function factsOf(operation: Operation, codec: Codec, body: JsonObject, byteLength: number): WireFacts {
  if (operation === "generate") return codec.facts(body, byteLength);
  return operation === "count_tokens" ? countFacts(codec, body, byteLength) : plainFacts(body, byteLength, operation);
}

/**
 * What the real request would be, so that it is routed alike; but what would be refused there for its price is counted
 * all the same.
 */
function countFacts(codec: Codec, body: JsonObject, byteLength: number): WireFacts {
  const plain = plainFacts(body, byteLength, "count_tokens");
  try {
    return { ...codec.facts(body, byteLength), stream: false, maxOutputTokens: 0 };
  } catch (error) {
    if (error instanceof GatewayError) return plain;
    throw error;
  }
}

/** Nothing is generated: only the model and the size matter. */
function plainFacts(body: JsonObject, byteLength: number, operation: Operation): WireFacts {
  const { model } = body;
  if (typeof model !== "string" || model === "" || model.length > 256) {
    throw new GatewayError("REQUEST_INVALID", {
      publicMessage: "model: expected a model name of at most 256 characters",
    });
  }
  if (operation === "embeddings" && body["input"] === undefined) {
    throw new GatewayError("REQUEST_INVALID", { publicMessage: "input: expected a string or an array" });
  }
  return {
    model,
    stream: false,
    maxOutputTokens: 0,
    choices: 1,
    hasTools: false,
    hasImages: false,
    hasThinking: false,
    hasJsonFormat: false,
    wantsUsageEvent: false,
    inputTokenBound: byteLength,
  };
}
