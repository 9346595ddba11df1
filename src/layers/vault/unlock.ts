import { AttemptError } from "../../errors.ts";
import type { Funded, GatewayResponse, Keyed, Layer } from "../../request.ts";
import type { KeyRing, Loan } from "./key-ring.ts";

/**
 * Lends the provider's key to this one attempt and takes it back when the answer is over. Throws AttemptError
 * `skipped_key` where there is none: the next candidate may have one. Marks a failure that another key of the provider
 * may not meet.
 */
export function unlock({ keys }: { readonly keys: KeyRing }): Layer<Funded, Keyed> {
  return (next) => async (funded) => {
    const { provider } = funded.candidate;
    const borrowed = keys.borrow(provider, funded.request.passthrough);
    const loan = borrowed instanceof Promise ? await borrowed : borrowed;
    if ("unavailable" in loan) throw new AttemptError("skipped_key", { note: `${loan.unavailable}: ${loan.reason}` });
    // The last line of defence against a key that goes to somebody else: a defect here ends the request, loudly.
    if (loan.provider !== provider.name) throw new Error("a key was lent for another provider");
    let response: GatewayResponse;
    try {
      response = await next({
        request: funded.request,
        candidate: funded.candidate,
        attempt: funded.attempt,
        signal: funded.signal,
        permit: funded.permit,
        allowance: funded.allowance,
        key: loan.key,
      });
    } catch (error) {
      if (error instanceof AttemptError) error.otherKey = blamed(keys, loan, error);
      keys.giveBack(loan);
      throw error;
    }
    if (response.status < 400) keys.accepted(loan);
    return returnedAtEnd(keys, loan, response);
  };
}

/** Tells the ring what the failure says of this key; true: the provider has another one that may be tried now. */
function blamed(keys: KeyRing, loan: Loan, error: AttemptError): boolean {
  const status = error.status || (error.fault?.status ?? 0);
  if (status === 401 || status === 403) return keys.rejected(loan);
  // Limits and credit are an account's own: another key may belong to another account.
  if (status === 402 || status === 429 || error.outOfCredit) return keys.limited(loan, error.retryAfterMs);
  return false;
}

function returnedAtEnd(keys: KeyRing, loan: Loan, response: GatewayResponse): GatewayResponse {
  const finished = response.finished.finally(() => keys.giveBack(loan));
  return { status: response.status, headers: response.headers, body: response.body, finished };
}
