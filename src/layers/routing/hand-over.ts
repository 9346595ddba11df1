// What becomes of an answer that breaks off after the client has seen some of it (wire.md 4): another local candidate goes on
// with it, once. `tryEach` makes the attempts; here is who may make them, and how two ends become one.

import { AttemptError, GatewayError } from "../../errors.ts";
import type {
  AttemptRecord,
  BegunAnswer,
  Candidate,
  Finish,
  GatewayResponse,
  HandOver as Hand,
  Kept,
} from "../../request.ts";

/** One attempt at going on; rejects as an attempt does. */
export type GoOn = (candidate: Candidate, begun: BegunAnswer) => Promise<GatewayResponse>;

/** Characters a token, to see that what was shown fits behind the prompt. */
const CHARS_PER_TOKEN = 3;

export class HandOver implements Hand {
  readonly #request: Kept;
  readonly #candidates: readonly Candidate[];
  readonly #attempt: AttemptRecord;
  readonly #goOn: GoOn;
  #rest: Promise<GatewayResponse | null> | null = null;
  #bytes = 0;

  /** `attempt`: the one whose answer it is. `tried`: those that have failed already. */
  constructor(request: Kept, chosen: Candidate, attempt: AttemptRecord, tried: ReadonlySet<Candidate>, goOn: GoOn) {
    this.#request = request;
    this.#attempt = attempt;
    this.#goOn = goOn;
    const at = request.candidates.indexOf(chosen);
    // In the order of the plan; those before this one were only passed over, and may be free by now.
    const inOrder = [...request.candidates.slice(at + 1), ...request.candidates.slice(0, Math.max(0, at))];
    this.#candidates = inOrder.filter((one) => one.local && !tried.has(one));
  }

  carryOn(begun: BegunAnswer): Promise<GatewayResponse | null> {
    this.#rest ??= this.#ask(begun);
    return this.#rest;
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
  }

  /** The answer, whose end is that of the one who went on. */
  joined(response: GatewayResponse): GatewayResponse {
    const { status, headers, body } = response;
    const finished = response.finished.then((finish) =>
      this.#rest === null ? finish : this.#ended(finish, this.#rest),
    );
    return { status, headers, body, finished };
  }

  async #ask(begun: BegunAnswer): Promise<GatewayResponse | null> {
    const shownTokens = Math.ceil(begun.text.length / CHARS_PER_TOKEN);
    for (const candidate of this.#candidates) {
      const { context } = candidate;
      // What was shown is part of the prompt now.
      const roomy = context === undefined ? candidate : { ...candidate, context: Math.max(1, context - shownTokens) };
      try {
        return await this.#goOn(roomy, begun);
      } catch (error) {
        if (this.#request.line.aborted) throw new GatewayError("CLIENT_GONE", { cause: error });
        if (!(error instanceof AttemptError)) throw error;
      }
    }
    return null;
  }

  /** Here the books of the first attempt are closed; what it ended with is told beside who went on. */
  async #ended(first: Finish, rest: Promise<GatewayResponse | null>): Promise<Finish> {
    const bytesOut = (): number => first.bytesOut + this.#bytes;
    let answer: GatewayResponse | null;
    try {
      answer = await rest;
    } catch (error) {
      const gone = error instanceof GatewayError && error.code === "CLIENT_GONE";
      return { outcome: gone ? "client_gone" : "internal_error", bytesOut: bytesOut() };
    }
    if (answer === null) return { outcome: first.outcome, bytesOut: bytesOut() };
    const { outcome, note } = this.#attempt;
    this.#attempt.note = note === null ? outcome : `${outcome}: ${note}`;
    this.#attempt.outcome = "taken_over";
    const last = await answer.finished;
    return { outcome: last.outcome, bytesOut: bytesOut() + last.bytesOut };
  }
}
