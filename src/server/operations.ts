// The operations plane: what people and monitors ask the gateway about itself.

import { GatewayError } from "../errors.ts";
import { eventStream, type Watch } from "./event-stream.ts";
import { modelAnswer, modelsAnswer, type ListedModel } from "./models.ts";

export interface ModelsQuestion {
  readonly headers: Headers;
  readonly claimedAgent: string | undefined;
  readonly fromLoopback: boolean;
  /** Null: the whole list. */
  readonly id: string | null;
  readonly query: URLSearchParams;
}

/** Pages of a part of their own. */
export interface Pages {
  readonly paths: readonly string[];
  /** Those of them that stay open. */
  readonly streams: readonly string[];
  /** `open`: this caller may look without a credential. Throws what the door answers. */
  answer(path: string, request: Request, open: boolean): Response | Promise<Response>;
}

export interface Operations {
  readonly paths: readonly string[];
  /** Those of them that stay open. */
  readonly streams: ReadonlySet<string>;
  answer(path: string, request: Request, loopback: boolean): Response | Promise<Response>;
  models(question: ModelsQuestion): Response;
}

export interface OperationsParts {
  /** The whole document, as JSON text. */
  readonly stats: () => string;
  readonly metrics: () => string;
  /** The document now and after each change, at most 4 a second, until the signal aborts; null: too many watch already. */
  readonly watchStats: Watch;
  /** Why the gateway can't serve now; empty: it can. */
  readonly notReady: () => readonly string[];
  readonly access: () => "loopback" | "token";
  /** Throws IDENTITY_* where the caller has no valid token. */
  readonly requireToken: (headers: Headers) => void;
  readonly dashboard: Pages;
  /** What this caller may ask for; throws IDENTITY_*. */
  readonly listModels: (question: ModelsQuestion) => readonly ListedModel[];
}

const json = { "content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff" };

export function createOperations(parts: OperationsParts): Operations {
  const handlers: Readonly<Record<string, (request: Request) => Response>> = {
    "/stats": () => new Response(parts.stats(), { headers: json }),
    "/stats/stream": (request) => eventStream(parts.watchStats, request.signal),
    "/metrics": () =>
      new Response(parts.metrics(), { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } }),
    "/healthz": () => Response.json({ status: "ok" }, { headers: json }),
    "/readyz": () => {
      const reasons = parts.notReady();
      const status = reasons.length === 0 ? 200 : 503;
      return Response.json({ status: status === 200 ? "ready" : "not ready", reasons }, { status, headers: json });
    },
  };
  const { dashboard } = parts;
  return {
    paths: [...Object.keys(handlers), ...dashboard.paths],
    streams: new Set(["/stats/stream", ...dashboard.streams]),
    answer(path, request, loopback) {
      if (request.method !== "GET" && request.method !== "HEAD")
        throw new GatewayError("DOOR_METHOD", { allow: "GET, HEAD" });
      const open = loopback && parts.access() === "loopback";
      const handler = handlers[path];
      if (handler === undefined) return dashboard.answer(path, request, open);
      if (!open && path !== "/healthz" && path !== "/readyz") parts.requireToken(request.headers);
      return handler(request);
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
