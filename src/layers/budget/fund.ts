import { bareName, ceilingOf, priceOf } from "../../catalogue/index.ts";
import { AttemptError } from "../../errors.ts";
import type { Nanos } from "../../money.ts";
import { isSubscription, takesOwn } from "../../own-credential.ts";
import type { AttemptRecord, Finish, Funded, Handler, Layer, Paced, Planned, Price, Provider } from "../../request.ts";
import type { JsonObject, ServerKind, Usage } from "../../wire/neutral.ts";
import { noUsage } from "../../wire/usage.ts";
import { unpricedSwitches } from "../../wire/unpriced-switches.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import { cacheLifetimeOf } from "../../wire/cache-lifetime.ts";
import { freeAllowance, HeldAllowance, type Need, needOf } from "./allowance.ts";
import { costNanos, reportedNanos, wouldHaveNanos, type Terms } from "./cost.ts";
import type { Hold, Ledger } from "./ledger.ts";
import { countPrompt } from "./count-prompt.ts";
import type { RoomLine } from "./room-line.ts";
import { billedFactor } from "./surcharge.ts";

export interface FundParts {
  readonly ledger: Pick<Ledger, "hold" | "room" | "unspent">;
  readonly line: RoomLine;
  /** JSON text about a request, kept with its first hold until its audit line is durable. */
  readonly facts: (request: Planned) => string;
  /** One line for the operational log. */
  readonly report: (line: string) => void;
}

/** Longer than any vendor answers one request, and than a stream goes on without drawing a slice; milliseconds. */
const longestAnswerMs = 6 * 3_600_000;

/** Somebody else can answer: a person who waits at a local agent's prompt would notice more. Milliseconds. */
const shortPatienceMs = 1_000;
/** When to come back where money is only held: streams settle within seconds. */
const comeBackMs = 2_000;

/**
 * Puts an attempt's worst case aside before it is sent, and ends the hold on every way out, exactly once: by the usage
 * that is known, in full where none is, at nothing where the attempt certainly was not billed. Throws an AttemptError
 * `skipped_budget` where the caps do not cover it (with `retryAfterMs` where other holds alone are the reason), and a GatewayError BUDGET_LEDGER while the ledger stands still.
 */
export function fund(parts: FundParts): Layer<Paced, Funded> {
  const flag = createFlag(parts.report);
  return (next) => async (paced) => {
    // Anthropic, docs "Token counting": free of charge.
    const price = paced.request.operation === "count_tokens" || paidByMonth(paced) ? null : paced.candidate.price;
    return price === null ? serveFree(parts, next, paced) : servePaid(parts, next, flag(paced), price);
  };
}

/** The client's own subscription pays: no token of it costs anything, and none costs the house. */
function paidByMonth({ request, candidate }: Paced): boolean {
  const { passthrough } = request;
  return passthrough !== null && takesOwn(candidate.provider, request) && isSubscription(passthrough);
}

/** No log grows by what clients invent. */
const mostTold = 100;

/** Marks attempts whose request may cost more than anything here knows, and tells each such switch once. */
function createFlag(report: (line: string) => void): (paced: Paced) => Paced {
  const told = new Set<string>();
  return (paced) => {
    const { request, candidate, attempt } = paced;
    // What is translated takes along only what is known.
    if (candidate.dialect !== request.dialect || request.facts.foreign === true) return paced;
    const betas = request.dialect === "messages" ? request.headers.get("anthropic-beta") : null;
    const names = unpricedSwitches(request.body, betas);
    if (names.length === 0) return paced;
    attempt.note ??= `no price is known here for: ${names.join(", ")}`;
    for (const name of names) {
      if (told.has(name) || told.size >= mostTold) continue;
      told.add(name);
      report(
        `budget: no price is known here for the switch ${name} (${candidate.name}); its cost is what the answer says`,
      );
    }
    return paced;
  };
}

async function serveFree(parts: FundParts, next: Handler<Funded>, paced: Paced): ReturnType<Handler<Paced>> {
  const { request, attempt } = paced;
  attempt.price = "free";
  const hold = await holdFor(parts, paced, 0);
  const close = (): void => {
    hold?.settle(0, "free");
    if (attempt.usage !== null && request.operation === "generate") {
      // The prompt of an answer that somebody else began was paid for there.
      const usage = paced.begun === undefined ? attempt.usage : { ...noUsage, output: attempt.usage.output };
      request.record.wouldHaveNanos = wouldHaveNanos(usage, askedPrice(request));
    }
  };
  return closing(next, { ...paced, allowance: freeAllowance }, close, close);
}

async function servePaid(
  parts: FundParts,
  next: Handler<Funded>,
  paced: Paced,
  price: Price,
): ReturnType<Handler<Paced>> {
  const { request, attempt } = paced;
  const { agent } = request;
  const { ledger, line } = parts;
  const room = (): Nanos => ledger.room(agent.name, agent.caps);
  attempt.price = price.source;
  const granted = await grantedTo(parts, next, paced, price);
  if (granted === null) {
    const retryAfterMs = needOf(paced, price)(ledger.unspent(agent.name, agent.caps)) !== null ? comeBackMs : undefined;
    const note =
      retryAfterMs === undefined ? "the budget does not cover the worst case" : "the budget is held by others";
    throw new AttemptError("skipped_budget", { note, retryAfterMs });
  }
  const { need, hold } = granted;
  attempt.heldNanos = hold.nanos;
  const allowance = new HeldAllowance(need, hold, room, (freed) => {
    attempt.heldNanos = Math.max(attempt.heldNanos, hold.nanos);
    if (freed) line.moved(agent.name);
  });
  const closeFinished = (finish: Finish): void => {
    // A refusal of the request itself is not billed; whatever else came back is.
    if (finish.outcome === "client_error" && attempt.usage === null) hold.void("refused");
    else settle(hold, paced, price, allowance.outputTokens);
    line.moved(agent.name);
  };
  const closeFailed = (error: unknown): void => {
    if (error instanceof AttemptError && error.billed === "none") hold.void(error.outcome);
    else if (error instanceof AttemptError) settle(hold, paced, price, allowance.outputTokens);
    else charge(hold, attempt, hold.nanos, "failed");
    line.moved(agent.name);
  };
  return closing(next, { ...paced, allowance }, closeFinished, closeFailed);
}

interface Granted {
  readonly need: Need;
  readonly hold: Hold;
}

/**
 * Puts the need aside: at once where the room covers it, else when others have given back what they did not spend. A prompt
 * whose bytes are too many is counted by its vendor first, once.
 */
async function grantedTo(parts: FundParts, next: Handler<Funded>, paced: Paced, price: Price): Promise<Granted | null> {
  const { agent } = paced.request;
  const { ledger, line } = parts;
  const room = (): Nanos => ledger.room(agent.name, agent.caps);
  let needed = needOf(paced, price);
  if (needed(room()) === null) {
    const counted = await countPrompt(paced, next, (tokens) => needOf(paced, price, tokens)(room()) !== null);
    if (counted !== undefined) needed = needOf(paced, price, counted);
  }
  const take = (): { need: Need; hold: Promise<Hold | null> } | null => {
    const need = needed(room());
    return need === null ? null : { need, hold: holdFor(parts, paced, need.nanos) };
  };
  const worthWaiting = (): boolean => needed(ledger.unspent(agent.name, agent.caps)) !== null;
  const turn = { agent: agent.name, signal: paced.signal, take, worthWaiting };
  const taken = await line.take(isLast(paced) ? turn : { ...turn, patienceMs: shortPatienceMs });
  const hold = taken === null ? null : await taken.hold;
  return hold === null ? null : { need: taken!.need, hold };
}

function isLast({ request, candidate }: Paced): boolean {
  return request.candidates.at(-1)?.name === candidate.name;
}

function holdFor({ ledger, facts }: FundParts, { request, candidate }: Paced, nanos: Nanos): Promise<Hold | null> {
  return ledger.hold({
    requestId: request.id,
    attempt: request.record.attempts.length,
    agent: request.agent.name,
    caps: request.agent.caps,
    nanos,
    candidate: candidate.name,
    lifeMs: longestLifeMs(candidate.provider.timeouts),
    facts: () => facts(request),
  });
}

function longestLifeMs({ connectMs, firstByteMs, firstContentMs, loadingMs = 0 }: Provider["timeouts"]): number {
  return connectMs + firstByteMs + firstContentMs + loadingMs + longestAnswerMs;
}

/** Calls `next` and one of the two closing steps: before its error goes on, or once the answer has ended. */
async function closing(
  next: Handler<Funded>,
  funded: Funded,
  closeFinished: (finish: Finish) => void,
  closeFailed: (error: unknown) => void,
): ReturnType<Handler<Paced>> {
  try {
    const response = await next(funded);
    const finished = response.finished.then(
      (finish) => {
        closeFinished(finish);
        return finish;
      },
      (error: unknown) => {
        closeFailed(error);
        throw error;
      },
    );
    return { ...response, finished };
  } catch (error) {
    closeFailed(error);
    throw error;
  }
}

/** Our own count of the output is on the high side: more than what was put aside for it no vendor bills. */
function billable({ usage, usageSource }: AttemptRecord, granted: number): Usage | null {
  return usage === null || usageSource !== "counted" ? usage : { ...usage, output: Math.min(usage.output, granted) };
}

function settle(hold: Hold, paced: Paced, price: Price, granted: number): void {
  const { attempt } = paced;
  const usage = billable(attempt, granted);
  if (usage === null) {
    charge(hold, attempt, hold.nanos, "unknown");
    return;
  }
  const cost = costOf(paced, knownLifetimes(usage, paced.request.body), price, hold.nanos);
  attempt.price = cost.source;
  if (cost.nanos > hold.nanos) attempt.note ??= "it cost more than was held for it";
  if (cost.listedNanos !== undefined) attempt.listedNanos = cost.listedNanos;
  charge(hold, attempt, cost.nanos, attempt.usageSource ?? "usage");
}

/** Cache writes of untold lifetime lived as long as the request's marks allow. */
function knownLifetimes(usage: Usage, body: JsonObject): Usage {
  if (usage.lifetimeUnknown !== true || cacheLifetimeOf(body) !== "long") return usage;
  return { ...usage, cacheWrite5m: 0, cacheWrite1h: usage.cacheWrite1h + usage.cacheWrite5m };
}

function charge(hold: Hold, attempt: AttemptRecord, nanos: Nanos, why: string): void {
  attempt.nanos = nanos;
  hold.settle(nanos, why);
}

function costOf(
  paced: Paced,
  usage: Usage,
  price: Price,
  heldNanos: Nanos,
): { nanos: Nanos; source: AttemptRecord["price"]; listedNanos?: Nanos } {
  const { candidate, attempt } = paced;
  const own = ownCostOf(paced, usage, price, heldNanos);
  if (serverKindOf(candidate.provider) !== "openrouter" || attempt.usageSource !== "upstream") return own;
  const reported = reportedNanos(usage.reportedUsd);
  // OpenRouter tells nothing of what goes through an account of one's own (docs "BYOK"), which is billed all the same.
  if (reported === null || (reported === 0 && own.nanos > 0)) return own;
  // Against a ceiling, which is dear by design, a comparison tells nothing.
  const comparable = own.source !== "ceiling";
  return { nanos: reported, source: "reported", ...(comparable && { listedNanos: own.nanos }) };
}

/** By our prices: the model that was sent or the one that says it answered, whichever is dearer. */
function ownCostOf(
  { candidate, attempt, request }: Paced,
  usage: Usage,
  price: Price,
  heldNanos: Nanos,
): { nanos: Nanos; source: AttemptRecord["price"] } {
  const provider = candidate.provider.name;
  const terms: Terms = {
    factor: billedFactor(candidate, request.body, usage),
    priceOfOther: (model) => priceOf(provider, model) ?? ceilingOf(provider),
  };
  const nanos = costNanos(usage, price, terms);
  if (isStranger(candidate, attempt.reportedModel)) {
    attempt.note ??= "a model without a known price answered: the dearest price of its vendor counts, up to the hold";
    const ceiling = costNanos(usage, ceilingOf(provider), terms);
    const charged = Math.max(nanos, Math.min(ceiling, heldNanos));
    return { nanos: charged, source: charged > nanos ? "ceiling" : price.source };
  }
  const other = otherPrice(provider, candidate.model, attempt.reportedModel, price);
  const otherNanos = other === null ? 0 : costNanos(usage, other, terms);
  return otherNanos > nanos ? { nanos: otherNanos, source: other!.source } : { nanos, source: price.source };
}

/** Vendors of whose own models all are listed (OpenRouter tells the cost itself): a name that is not, and is no version of the one that was sent, is another model. */
const listing: readonly ServerKind[] = ["anthropic", "openai"];

function isStranger({ provider, model }: Paced["candidate"], reported: string | null): boolean {
  if (reported === null || reported === model || !listing.includes(serverKindOf(provider))) return false;
  return (
    priceOf(provider.name, model) !== null && priceOf(provider.name, reported) === null && !reported.startsWith(model)
  );
}

/**
 * The listed price of a model that answered in the place of the one that was sent. A price from the configuration holds
 * for its model under all of that model's names: only another, listed as dearer, replaces it.
 */
function otherPrice(provider: string, sent: string, reported: string | null, price: Price): Price | null {
  if (reported === null || reported === sent) return null;
  const other = priceOf(provider, reported);
  if (other === null || price.source !== "config") return other;
  const listed = priceOf(provider, sent);
  return listed !== null && listed.output < other.output ? other : null;
}

/** What the client asked for, at its price: the first candidate of the plan that has one, else by the name alone. */
function askedPrice({ candidates, facts }: Planned): Price | null {
  const planned = candidates.find((candidate) => candidate.price !== null);
  if (planned !== undefined) return planned.price;
  const [listed] = bareName(facts.model);
  return listed === undefined ? null : priceOf(listed.provider, listed.model);
}
