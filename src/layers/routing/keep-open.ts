import type { GatewayResponse, Handler, Kept, Layer, Planned } from "../../request.ts";
import { OpenLine, type OpenLineParts } from "./open-line.ts";

/**
 * Opens the answer of a stream before anybody has answered, once the client has waited for `keepAliveMs`, and keeps it
 * alive. What happens inside stays free: any candidate may still answer, and where all fail the failure is told in the
 * stream. Within that time it adds nothing but a timer, and a failure keeps its own status and headers.
 */
export function keepOpen(parts: OpenLineParts): Layer<Planned, Kept> {
  return (next) => (request) => {
    if (!request.facts.stream || request.operation !== "generate") return next({ ...request, line: request.signal });
    return answeredInTime(parts, next, request);
  };
}

function answeredInTime(parts: OpenLineParts, next: Handler<Kept>, request: Planned): Promise<GatewayResponse> {
  const line = new AbortController();
  if (request.signal.aborted) line.abort();
  else request.signal.addEventListener("abort", () => line.abort(), { once: true });
  const answer = next({ ...request, line: line.signal });
  // One promise and one timer: this stands in the way of every stream.
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(new OpenLine(parts, request, answer, line).response), parts.keepAliveMs);
    answer.then(
      (response) => {
        clearTimeout(timer);
        resolve(response);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
