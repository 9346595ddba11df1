// The operations plane: what people and monitors ask the gateway about itself.

import { GatewayError } from "../errors.ts";
import { modelAnswer, modelsAnswer, type ListedModel } from "./models.ts";

export interface ModelsQuestion {
  readonly headers: Headers;
  readonly claimedAgent: string | undefined;
  readonly fromLoopback: boolean;
  /** Null: the whole list. */
  readonly id: string | null;
  readonly query: URLSearchParams;
}

export interface Operations {
  readonly paths: readonly string[];
  answer(path: string, request: Request, loopback: boolean): Response;
  models(question: ModelsQuestion): Response;
}

export interface OperationsParts {
  /** The whole document, as JSON text. */
  readonly stats: () => string;
  readonly metrics: () => string;
  /** The document now and after each change, at most 4 a second, until the signal aborts; null: too many watch already. */
  readonly watchStats: (signal: AbortSignal) => AsyncIterable<string> | null;
  /** Why the gateway can't serve now; empty: it can. */
  readonly notReady: () => readonly string[];
  readonly access: () => "loopback" | "token";
  /** Throws IDENTITY_* where the caller has no valid token. */
  readonly requireToken: (headers: Headers) => void;
  /** What this caller may ask for; throws IDENTITY_*. */
  readonly listModels: (question: ModelsQuestion) => readonly ListedModel[];
}

const encoder = new TextEncoder();
const keepAlive = encoder.encode(": keep-alive\n\n");
/** Idle proxies and browsers close silent streams after half a minute or so. */
const keepAliveMs = 15_000;
const json = { "content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff" };

export function createOperations(parts: OperationsParts): Operations {
  const handlers: Readonly<Record<string, (request: Request) => Response>> = {
    "/stats": () => new Response(parts.stats(), { headers: json }),
    "/stats/stream": (request) => statsStream(parts, request.signal),
    "/metrics": () =>
      new Response(parts.metrics(), { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } }),
    "/healthz": () => Response.json({ status: "ok" }, { headers: json }),
    "/readyz": () => {
      const reasons = parts.notReady();
      const status = reasons.length === 0 ? 200 : 503;
      return Response.json({ status: status === 200 ? "ready" : "not ready", reasons }, { status, headers: json });
    },
  };
  return {
    paths: Object.keys(handlers),
    answer(path, request, loopback) {
      if (request.method !== "GET" && request.method !== "HEAD")
        throw new GatewayError("DOOR_METHOD", { allow: "GET, HEAD" });
      const open = path === "/healthz" || path === "/readyz";
      if (!open && (!loopback || parts.access() === "token")) parts.requireToken(request.headers);
      return handlers[path]!(request);
    },
    models(question) {
      const models = parts.listModels(question);
      if (question.id === null) {
        return Response.json(modelsAnswer(models, question.headers, question.query), { headers: json });
      }
      const model = models.find((m) => m.id === question.id);
      if (model === undefined) throw new GatewayError("ROUTE_MODEL_UNKNOWN", { dialectCode: "model_not_found" });
      return Response.json(modelAnswer(model), { headers: json });
    },
  };
}

/**
 * Pulled by the watcher: who does not read holds one document back and gets the newest one when it reads again, so that
 * a stalled watcher costs no memory.
 */
function statsStream(parts: OperationsParts, signal: AbortSignal): Response {
  const watching = new AbortController();
  const texts = parts.watchStats(AbortSignal.any([signal, watching.signal]));
  if (texts === null) throw new GatewayError("DOOR_BUSY");
  const documents = texts[Symbol.asyncIterator]();
  let timer: ReturnType<typeof setInterval> | undefined;
  const leave = (): void => {
    clearInterval(timer);
    watching.abort();
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(keepAlive);
      }, keepAliveMs);
    },
    async pull(controller) {
      const { done, value } = await documents.next();
      if (done !== true) return controller.enqueue(encoder.encode(`data: ${value}\n\n`));
      leave();
      controller.close();
    },
    cancel: leave,
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}
