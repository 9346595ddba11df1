import { AttemptError } from "../../errors.ts";
import { LentKey } from "../../lent-key.ts";
import { takesOwn } from "../../own-credential.ts";
import type { AttemptRecord, Funded, GatewayResponse, Keyed, Layer, Planned, Provider } from "../../request.ts";
import { Scrubber } from "../../scrubber.ts";
import type { Secret } from "../../secret.ts";
import { failureOf } from "../../wire/failure-table.ts";
import type { KeyRing, Loan } from "./key-ring.ts";

interface UnlockParts {
  readonly keys: KeyRing;
  /** Told of every attempt that its provider's key is missing for; must return at once. */
  readonly onMissing?: (provider: Provider) => void;
}

/**
 * Lends the provider's key to this one attempt and takes it back when the answer is over. Throws AttemptError
 * `skipped_key` where there is none: the next candidate may have one. Marks a failure that another key of the provider
 * may not meet. What comes back holds no key that its providers may know; a stream is scrubbed where it is rendered.
 */
export function unlock({ keys, onMissing }: UnlockParts): Layer<Funded, Keyed> {
  // A first attempt that answers, as almost all do, needs no memory of it.
  const lentBefore = new WeakMap<Planned, readonly Secret[]>();
  return (next) => async (funded) => {
    const { provider } = funded.candidate;
    const own = takesOwn(provider, funded.request) ? funded.request.passthrough : null;
    const borrowed = keys.borrow(provider, own);
    const loan = borrowed instanceof Promise ? await borrowed : borrowed;
    if ("unavailable" in loan && loan.unavailable === "missing") onMissing?.(provider);
    if ("unavailable" in loan) throw new AttemptError("skipped_key", { note: `${loan.unavailable}: ${loan.reason}` });
    // The last line of defence against a key that goes to somebody else: a defect here ends the request, loudly.
    if (loan.provider !== provider.name) throw new Error("a key was lent for another provider");
    const lent = lentSoFar(lentBefore.get(funded.request), loan);
    const key = loan.key === null ? null : new LentKey(loan.key, loan.origin);
    const scrubber = lent.length === 0 ? null : new Scrubber(lent.map((secret) => secret.forms()));
    const over = (): void => {
      // Before the key goes back: who gives it back last wipes it.
      if (scrubber !== null) cleanRecord(funded.attempt, scrubber);
      key?.end();
      keys.giveBack(loan);
    };
    let response: GatewayResponse;
    try {
      response = await next({
        request: funded.request,
        candidate: funded.candidate,
        attempt: funded.attempt,
        signal: funded.signal,
        handOver: funded.handOver,
        begun: funded.begun,
        permit: funded.permit,
        allowance: funded.allowance,
        key,
        scrubber,
      });
    } catch (error) {
      if (error instanceof AttemptError) {
        error.otherKey = blamed(keys, loan, error);
        if (scrubber !== null) cleanFailure(error, scrubber);
      }
      over();
      if (lent.length > 0) lentBefore.set(funded.request, lent);
      throw error;
    }
    if (response.status < 400) keys.accepted(loan);
    const clean = scrubber === null ? response : cleaned(response, scrubber);
    const { status, headers, body } = clean;
    return { status, headers, body, finished: clean.finished.finally(over) };
  };
}

const none: readonly Secret[] = [];

/** A client's own key is no secret to it. */
function lentSoFar(before: readonly Secret[] = none, { known }: Loan): readonly Secret[] {
  return before.length === 0 ? known : [...new Set([...before, ...known])];
}

/** The answer without a key in its headers, and in its body where it is there as a whole. */
function cleaned(response: GatewayResponse, scrubber: Scrubber): GatewayResponse {
  const { headers, body } = response;
  for (const name in headers) headers[name] = scrubber.clean(headers[name]!);
  if (typeof body !== "string") return response;
  const clean = scrubber.clean(body);
  if (clean === body) return response;
  const bytesOut = Buffer.byteLength(clean);
  return { ...response, body: clean, finished: response.finished.then((finish) => ({ ...finish, bytesOut })) };
}

function cleanFailure(error: AttemptError, scrubber: Scrubber): void {
  if (error.relay !== undefined) error.relay = cleaned(error.relay, scrubber);
  if (error.note !== undefined) error.note = scrubber.clean(error.note);
}

/** What an upstream says of itself gets into the trail: the name of its model, the id of its answer, what was noted of it. */
function cleanRecord(attempt: AttemptRecord, scrubber: Scrubber): void {
  const { reportedModel, upstreamId, note } = attempt;
  if (reportedModel !== null) attempt.reportedModel = scrubber.clean(reportedModel);
  if (upstreamId !== undefined && scrubber.clean(upstreamId) !== upstreamId) delete attempt.upstreamId;
  if (note !== null) attempt.note = scrubber.clean(note);
}

/** Tells the ring what the failure says of this key; true: the provider has another one that may be tried now. */
function blamed(keys: KeyRing, loan: Loan, error: AttemptError): boolean {
  const { scope, rest } = failureOf(error);
  if (scope === "key") return keys.rejected(loan);
  // Limits and credit are an account's own, by model too: another key may belong to another account.
  const status = error.status || (error.fault?.status ?? 0);
  const limited = rest === "exhausted" || (rest === "asked" && status === 429);
  return limited || error.outOfCredit ? keys.limited(loan, error.retryAfterMs) : false;
}
