import type { Agent, Identified, Layer, Recorded } from "../../request.ts";
import type { Caller, Claim } from "./authenticate.ts";

interface Parts {
  readonly authenticate: (claim: Claim) => Caller;
  /** Counts the agent's own limits; returns how to give the place back. Throws LIMITS_AGENT_*. */
  readonly admit: (agent: Agent) => () => void;
}

/** Adds who calls, or ends the request with IDENTITY_* or LIMITS_AGENT_*. */
export function identify({ authenticate, admit }: Parts): Layer<Recorded, Identified> {
  return (next) => async (request) => {
    const { agent, passthrough } = authenticate(request);
    request.record.agent = agent.name;
    request.record.auth = agent.auth;
    // Counting costs nothing and comes in bursts of dozens: it takes nobody's place.
    const leave = request.operation === "count_tokens" ? stay : admit(agent);
    const close = (): void => {
      passthrough?.wipe();
      leave();
    };
    try {
      const response = await next(Object.assign(request, { agent, passthrough }));
      // A stream holds its place until it ends.
      void response.finished.then(close);
      return response;
    } catch (error) {
      close();
      throw error;
    }
  };
}

const stay = (): void => undefined;
