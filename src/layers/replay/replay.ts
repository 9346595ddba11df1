import { createHash } from "node:crypto";
import { GatewayError } from "../../errors.ts";
import type { GatewayResponse, Layer, Understood, Unrepeated } from "../../request.ts";
import type { AnswerStore, Ending, KeptAnswer, Known } from "./answer-store.ts";

/** Visible ASCII, as a header can carry it. */
const readableKey = /^[\x21-\x7e]{1,255}$/;

/**
 * Requests that carry an `idempotency-key` and are not streamed are made once: a repeat of the same agent waits for the
 * first one, or gets its answer again, and costs nothing. Throws REQUEST_KEY_REUSED where the same key comes with another
 * request. An error goes to those that wait and is not kept; where the first one's client leaves, the next one asks.
 */
export function replay(store: AnswerStore): Layer<Understood, Unrepeated> {
  return (next) => async (request) => {
    const key = keyOf(request);
    const unrepeated: Unrepeated = Object.assign(request, { repeatKey: key });
    if (key === null) return next(unrepeated);
    const name = `${request.agent.name}\n${key}`;
    const digest = createHash("sha256").update(request.path).update("\n").update(request.text).digest("base64");
    for (;;) {
      const known = store.get(name);
      if (known === undefined) return first(store.begin(name, digest), unrepeated, next);
      if (known.digest !== digest) throw new GatewayError("REQUEST_KEY_REUSED");
      const ending = await whileHere(known, request.signal);
      if (ending !== null) return again(ending, request);
    }
  };
}

/** Null: the request has no key, or is one that is never answered twice. */
function keyOf({ headers, operation, facts }: Understood): string | null {
  const key = headers.get("idempotency-key");
  if (key === null || operation !== "generate" || facts.stream) return null;
  if (!readableKey.test(key)) {
    const publicMessage = "Idempotency-Key: expected at most 255 visible ASCII characters";
    throw new GatewayError("REQUEST_INVALID", { publicMessage });
  }
  return key;
}

async function first(
  end: (ending: Ending) => void,
  request: Unrepeated,
  next: (request: Unrepeated) => Promise<GatewayResponse>,
): Promise<GatewayResponse> {
  try {
    const response = await next(request);
    end(endingOf(response, request.id));
    return response;
  } catch (error) {
    // That its client left says nothing to the others: one of them asks anew.
    end(request.signal.aborted ? null : { error, requestId: request.id });
    throw error;
  }
}

function endingOf({ status, headers, body }: GatewayResponse, requestId: string): Ending {
  // What comes bit by bit can't be given twice.
  if (body instanceof ReadableStream) return null;
  return { answer: { status, headers: { ...headers }, body, requestId } };
}

/** Throws CLIENT_GONE where the client leaves before the ending is known. */
async function whileHere({ ending }: Known, signal: AbortSignal): Promise<Ending> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(new GatewayError("CLIENT_GONE"));
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([ending, gone]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

function again(ending: NonNullable<Ending>, { record }: Understood): GatewayResponse {
  if ("error" in ending) {
    record.replayOf = ending.requestId;
    throw ending.error;
  }
  record.replayOf = ending.answer.requestId;
  return copyOf(ending.answer);
}

function copyOf({ status, headers, body }: KeptAnswer): GatewayResponse {
  const outcome = status === 200 ? ("ok" as const) : ("client_error" as const);
  const finished = Promise.resolve({ outcome, bytesOut: Buffer.byteLength(body) });
  return { status, headers: { ...headers, "x-sanctum-replayed": "true" }, body, finished };
}
