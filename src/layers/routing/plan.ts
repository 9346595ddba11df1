import { GatewayError } from "../../errors.ts";
import type { Candidate, Layer, Planned, Understood, Unrepeated } from "../../request.ts";
import { candidateOf, type Directory } from "./directory.ts";
import { compileGlob } from "./glob.ts";
import { compileRoutes, type RouteRule, type Surroundings } from "./routes.ts";

interface Parts {
  readonly routes: readonly RouteRule[];
  /** Read per request: discovery replaces it. */
  readonly directory: () => Directory;
  readonly surroundings: Surroundings;
}

/** Adds the ordered candidates: the route's, or the requested model, then the fallback. */
export function plan(parts: Parts): Layer<Unrepeated, Planned> {
  const planRequest = createPlanner(parts);
  return (next) => async (request) => {
    const { candidates, route } = planRequest(request);
    request.record.intent = request.intent;
    request.record.route = route;
    return next(Object.assign(request, { candidates, route }));
  };
}

/** The plan alone, for `sanctum explain`; sends nothing. Throws ROUTE_* errors. */
export function createPlanner(parts: Parts): (request: Understood) => { candidates: Candidate[]; route: string } {
  const match = compileRoutes(parts.routes);
  const allowedBy = new Map<readonly string[], (name: string) => boolean>();

  return (request) => {
    const { model } = request.facts;
    checkAllowed(request.agent.models, model, allowedBy);
    const directory = parts.directory();
    const requested = directory.resolve(model);
    const rule = request.operation === "embeddings" ? null : match(request, parts.surroundings);
    const candidates: Candidate[] = [];
    const add = (entries: ReturnType<Directory["resolve"]>, reason: string): void => {
      for (const entry of entries) {
        const same = candidates.some((c) => c.provider === entry.provider && c.model === entry.model);
        if (!same) candidates.push(candidateOf(entry, request.dialect, reason));
      }
    };

    if (rule !== null) for (const name of rule.use) add(directory.resolve(name), `route ${rule.name}`);
    else if (requested.length === 0) throw unknownModel();
    else add(requested, "requested");
    // Vectors of two models can't be compared, and a count is estimated here where the vendor can't be asked.
    if (request.operation === "generate") add(directory.fallback, "fallback");
    if (request.operation === "embeddings") drop(candidates, (c) => c.dialect === "messages");
    if (candidates.length === 0) throw unknownModel();
    if (request.facts.unbounded !== undefined) keepFree(candidates, request.facts.unbounded);
    return {
      candidates: request.operation === "count_tokens" ? counting(candidates) : candidates,
      route: rule?.name ?? "default",
    };
  };
}

function unknownModel(): GatewayError {
  return new GatewayError("ROUTE_MODEL_UNKNOWN", { dialectCode: "model_not_found" });
}

function checkAllowed(
  globs: readonly string[] | undefined,
  model: string,
  compiled: Map<readonly string[], (name: string) => boolean>,
): void {
  if (globs === undefined) return;
  let allowed = compiled.get(globs);
  if (allowed === undefined) {
    const tests = globs.map(compileGlob);
    allowed = (name) => tests.some((test) => test(name));
    compiled.set(globs, allowed);
  }
  if (!allowed(model)) throw new GatewayError("ROUTE_MODEL_FORBIDDEN");
}

function drop(candidates: Candidate[], unwanted: (candidate: Candidate) => boolean): void {
  for (let i = candidates.length - 1; i >= 0; i--) if (unwanted(candidates[i]!)) candidates.splice(i, 1);
}

/** No hold covers what has no bound. A paid model that was asked for is not silently replaced by another one. */
function keepFree(candidates: Candidate[], publicMessage: string): void {
  if (candidates[0]!.price !== null) throw new GatewayError("REQUEST_INVALID", { publicMessage });
  drop(candidates, (c) => c.price !== null);
}

/** Who would answer counts, free of charge; another has another tokeniser, so that an estimate is as good. */
function counting(candidates: readonly Candidate[]): Candidate[] {
  return candidates.slice(0, 1).map((candidate) => ({ ...candidate, price: null }));
}
