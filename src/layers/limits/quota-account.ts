import type { ProviderLimits } from "../../request.ts";
import { ConfiguredLimits } from "./configured-limits.ts";
import { fastFamily } from "./quota-headers.ts";
import type { Ask, MemoryQuotaParts, QuotaRefusal, Ticket, Used } from "./quota.ts";
import { Scope, type Ahead, type Likely, type Sent, type Wait } from "./scope.ts";
import { Shares, type Share } from "./shares.ts";
import { WaitingLine, type Patience, type Standing } from "./waiting-line.ts";

/** Where nothing is known of how long answers take. */
const PLACE_WAIT_MS = 1_000;
/** Of one agent. Longer lines would outlast the patience of those at their end. */
const MOST_WAITING = 32;
/** Of all agents, whose bodies must fit into memory; beyond it each may still have one. */
const MOST_WAITING_IN_ALL = 512;
/** Models are named by clients. */
const MOST_SCOPES = 256;
/** What a request costs where no quota is known that it is a part of. */
const USUAL_COST = 1 / 60;
/** The last ten answers or so decide how long one takes. */
const NEWS = 0.1;

export interface AccountTicket extends Ticket, Sent {
  readonly owner: QuotaAccount;
  readonly ask: Ask;
  readonly scope: Scope;
  /** What was taken of the configured limits. */
  readonly charged: boolean;
  readonly chargedInput: number;
  readonly chargedOutput: number;
  open: boolean;
}

/** Who stands in line. */
interface Waiter extends Standing, Likely {
  readonly ask: Ask;
  readonly scope: Scope;
  readonly share: Share;
  readonly cost: number;
  readonly untilMs: number;
  /** Takes it out of the line and tells it what became of it. */
  readonly leave: (taken: AccountTicket | QuotaRefusal) => void;
}

/** Whom a lack keeps waiting: everybody at the account, everybody who asks for these models, or this agent alone. */
type Holds = "account" | "scope" | "agent";

/** Quotas, agents' shares and the line of one account. */
export class QuotaAccount {
  readonly name: string;
  readonly provider: string;
  readonly configured: ConfiguredLimits;
  readonly scopes = new Map<string, Scope>();
  readonly #parts: MemoryQuotaParts;
  readonly #shares = new Shares();
  readonly #line = new WaitingLine<Waiter>();
  #inFlight = 0;
  /** Mean of the last answers; undefined: none has ended yet. */
  #answerMs: number | undefined;
  #wakeAtMs = Infinity;
  #alarm: AbortController | null = null;
  readonly #longest: Wait & { holds: Holds } = { kind: "requests", ms: 0, holds: "agent" };
  #kept: number | null = null;
  readonly #nobody: Ahead = { requests: 0, input: 0, output: 0 };

  constructor(name: string, provider: string, parts: MemoryQuotaParts) {
    this.name = name;
    this.provider = provider;
    this.#parts = parts;
    this.configured = new ConfiguredLimits(name, parts.shelf);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get waiting(): number {
    return this.#line.length;
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.#line.length === 0;
  }

  configure(limits: ProviderLimits | undefined): void {
    this.configured.adopt(limits, this.#parts.clock.monotonic());
    this.#serve();
  }

  take(ask: Ask, patience: Patience): AccountTicket | QuotaRefusal | Promise<AccountTicket | QuotaRefusal> {
    const nowMs = this.#parts.clock.monotonic();
    const scope = this.#scope(ask.scope);
    const input = scope.likelyInput(ask);
    const output = scope.likelyOutput(ask);
    // As almost all are: nothing is known that could be short.
    if (!scope.limited && !this.configured.limited && this.#line.length === 0) {
      return this.#admit(ask, scope, input, output, null, nowMs);
    }
    const share = this.#shares.of(ask.agent, nowMs);
    const likely: Likely = { input, output };
    const cost = Math.min(1, Math.max(scope.costOf(likely), this.configured.costOf(ask)) || USUAL_COST);
    const gated = scope.unknowingMs(nowMs) > 0 && scope.unknowingMs(nowMs) <= patience.ms;
    if (this.#line.length === 0 && !gated && this.#room(ask, scope, likely, share, nowMs)) {
      this.#shares.served(share, this.#shares.placeOf(share, cost), cost, nowMs);
      return this.#admit(ask, scope, input, output, this.#kept, nowMs);
    }
    return this.#stand({ ask, scope, share, cost, input, output }, patience, nowMs);
  }

  settle(ticket: AccountTicket, used: Used | null): void {
    if (!this.#close(ticket)) return;
    const nowMs = this.#parts.clock.monotonic();
    const tookMs = nowMs - ticket.startedMs;
    this.#answerMs = this.#answerMs === undefined ? tookMs : this.#answerMs + NEWS * (tookMs - this.#answerMs);
    ticket.scope.settle(ticket, ticket.ask, used);
    if (used !== null) this.configured.correct(ticket, used, nowMs);
    this.#serve();
  }

  giveBack(ticket: AccountTicket): void {
    if (!this.#close(ticket)) return;
    ticket.scope.takeBack(ticket);
    this.configured.giveBack(ticket, this.#parts.clock.monotonic());
    this.#serve();
  }

  learn(ticket: AccountTicket, headers: Headers, refusedForMs: number | undefined): void {
    const { clock } = this.#parts;
    ticket.scope.learn(ticket, headers, refusedForMs, clock.now(), clock.monotonic());
    this.#serve();
  }

  forget({ scope }: AccountTicket): void {
    scope.forget();
    this.#serve();
  }

  #admit(ask: Ask, scope: Scope, input: number, output: number, kept: number | null, nowMs: number): AccountTicket {
    this.#inFlight++;
    const { name: account, configured } = this;
    configured.take(ask, nowMs);
    const attempt = scope.send(input, output, kept, nowMs);
    const { sentInput, sentTokens } = scope;
    const ticket: AccountTicket = {
      account,
      owner: this,
      ask,
      scope,
      input,
      output,
      attempt,
      sentInput,
      sentTokens,
      startedMs: nowMs,
      charged: configured.buckets.requests !== null,
      chargedInput: configured.buckets.input_tokens?.clamp(ask.inputTokens) ?? 0,
      chargedOutput: configured.buckets.output_tokens?.clamp(ask.outputTokens) ?? 0,
      open: true,
      before: null,
      after: null,
      answered: false,
      overtakenBy: 0,
    };
    scope.sent(ticket);
    return ticket;
  }

  #close(ticket: AccountTicket): boolean {
    if (!ticket.open) return false;
    ticket.open = false;
    this.#inFlight--;
    return true;
  }

  /** Whether there is room now. Where not, `#longest` says why; where there is, `#kept` is what is kept from its agent. */
  #room(ask: Ask, scope: Scope, likely: Likely, share: Share, nowMs: number): boolean {
    const longest = this.#longest;
    longest.ms = 0;
    this.configured.waitMs(ask, this.#nobody, null, nowMs, longest);
    longest.holds = longest.ms > 0 ? "account" : "scope";
    scope.waitMs(likely, this.#nobody, null, false, nowMs, longest);
    if (longest.ms > 0 || !this.#hasPlace) return false;
    const kept = this.#shares.keptFrom(share, nowMs);
    this.#kept = kept;
    if (kept === null) return true;
    this.configured.waitMs(ask, this.#nobody, kept, nowMs, longest);
    scope.waitMs(likely, this.#nobody, kept, false, nowMs, longest);
    longest.holds = "agent";
    return longest.ms === 0;
  }

  get #hasPlace(): boolean {
    return this.#inFlight < this.configured.concurrent;
  }

  /** What it would have to wait for at that place of the line, as far as anybody knows. */
  #foresee(one: Omit<Waiter, "untilMs" | "leave">, nowMs: number): QuotaRefusal {
    const { ask, scope, place, share } = one;
    const all: Ahead = { requests: 0, input: 0, output: 0 };
    const same: Ahead = { requests: 0, input: 0, output: 0 };
    for (const before of this.#line.ahead(place)) {
      if (before === one) break;
      all.requests++;
      all.input += before.ask.inputTokens;
      all.output += before.ask.outputTokens;
      if (before.scope !== scope) continue;
      same.requests++;
      same.input += before.input;
      same.output += before.output;
    }
    const longest: Wait = { kind: "requests", ms: 0 };
    const kept = this.#shares.keptFrom(share, nowMs);
    this.configured.waitMs(ask, all, kept, nowMs, longest);
    scope.waitMs(one, same, kept, true, nowMs, longest);
    const { concurrent } = this.configured;
    const turns = all.requests + 1 - Math.max(0, concurrent - this.#inFlight);
    const placeMs = turns <= 0 ? 0 : this.#answerMs === undefined ? 0 : (turns * this.#answerMs) / concurrent;
    if (turns > 0 && placeMs >= longest.ms) return { refusedBy: "concurrent", waitMs: placeMs };
    return { refusedBy: longest.kind, waitMs: longest.ms };
  }

  #stand(
    asked: Omit<Waiter, "place" | "untilMs" | "leave">,
    { signal, ms }: Patience,
    nowMs: number,
  ): AccountTicket | QuotaRefusal | Promise<AccountTicket | QuotaRefusal> {
    const { share, cost, scope } = asked;
    const one = { ...asked, place: this.#shares.placeOf(share, cost) };
    const foreseen = this.#foresee(one, nowMs);
    if (this.#isFull(share.waiting, scope, nowMs) || signal.aborted || foreseen.waitMs > ms) {
      this.#shares.leave(share, cost);
      return told(foreseen);
    }
    let outcome: AccountTicket | QuotaRefusal | null = null;
    const called = Promise.withResolvers<AccountTicket | QuotaRefusal>();
    const gone = (): void => {
      waiter.leave(told(this.#foresee(waiter, this.#parts.clock.monotonic())));
      // It may have stood in the way of smaller ones.
      this.#serve();
    };
    const waiter: Waiter = {
      ...one,
      untilMs: nowMs + ms,
      leave: (taken) => {
        if (!this.#line.leave(waiter)) return;
        signal.removeEventListener("abort", gone);
        share.waiting--;
        scope.users--;
        if ("refusedBy" in taken) this.#shares.leave(share, cost);
        outcome = taken;
        called.resolve(taken);
      },
    };
    this.#line.join(waiter);
    share.waiting++;
    scope.users++;
    signal.addEventListener("abort", gone, { once: true });
    this.#serve();
    return outcome ?? called.promise;
  }

  /** For a first answer all wait, as it comes in a moment: whoever stands too far behind then is sent on. */
  #isFull(before: number, scope: Scope, nowMs: number): boolean {
    if (scope.unknowingMs(nowMs) > 0) return false;
    return before >= MOST_WAITING || (this.#line.length >= MOST_WAITING_IN_ALL && before > 0);
  }

  /** Hands on what is free, place by place, and sends on whose patience would end before it. */
  #serve(): void {
    if (this.#line.length === 0) {
      this.#wakeAtMs = Infinity;
      this.#alarm?.abort();
      this.#alarm = null;
      return;
    }
    const nowMs = this.#parts.clock.monotonic();
    const held = new Set<Scope>();
    const before = new Map<Share, number>();
    let all = !this.#hasPlace;
    let nextMs = Infinity;
    for (const one of this.#line.inOrder()) {
      const { ask, scope, share, place, cost, input, output, untilMs } = one;
      // Who has waited to the end has a last look: it may have waited for this very moment.
      const last = nowMs >= untilMs;
      const unknowingMs = last ? 0 : scope.unknowingMs(nowMs);
      if (unknowingMs > 0) {
        held.add(scope);
        nextMs = Math.min(nextMs, nowMs + unknowingMs);
      } else if (!all && !held.has(scope)) {
        if (this.#room(ask, scope, one, share, nowMs)) {
          this.#shares.served(share, place, cost, nowMs);
          one.leave(this.#admit(ask, scope, input, output, this.#kept, nowMs));
          all = !this.#hasPlace;
          continue;
        }
        const { ms, holds } = this.#longest;
        const foreseen = nowMs + ms > untilMs ? this.#foresee(one, nowMs) : null;
        if (foreseen !== null && nowMs + foreseen.waitMs > untilMs) {
          one.leave(told(foreseen));
          continue;
        }
        nextMs = Math.min(nextMs, nowMs + ms);
        if (holds === "account") all = true;
        else if (holds === "scope") held.add(scope);
      }
      const already = before.get(share) ?? 0;
      if (last || this.#isFull(already, scope, nowMs)) {
        one.leave(told(this.#foresee(one, nowMs)));
        continue;
      }
      before.set(share, already + 1);
      nextMs = Math.min(nextMs, untilMs);
    }
    if (this.#line.length === 0) this.#serve();
    else this.#wakeAt(nextMs, nowMs);
  }

  #wakeAt(atMs: number, nowMs: number): void {
    if (atMs >= this.#wakeAtMs) return;
    this.#alarm?.abort();
    const alarm = new AbortController();
    this.#alarm = alarm;
    this.#wakeAtMs = atMs;
    void this.#parts.wait(Math.max(1, Math.ceil(atMs - nowMs)), alarm.signal).then(() => {
      if (this.#alarm !== alarm) return;
      this.#alarm = null;
      this.#wakeAtMs = Infinity;
      this.#serve();
    });
  }

  #scope(name: string): Scope {
    const known = this.scopes.get(name);
    if (known !== undefined) return known;
    if (this.scopes.size >= MOST_SCOPES) this.#forgetAScope();
    const scope = new Scope(name.endsWith(":fast") ? fastFamily : undefined);
    this.scopes.set(name, scope);
    return scope;
  }

  #forgetAScope(): void {
    const idle = [...this.scopes].filter(([, { users }]) => users === 0);
    const [name] = idle.find(([, { limited }]) => !limited) ?? idle[0] ?? [];
    if (name !== undefined) this.scopes.delete(name);
  }
}

/** Nobody is told to come back at once. */
function told({ refusedBy, waitMs }: QuotaRefusal): QuotaRefusal {
  return { refusedBy, waitMs: Math.max(waitMs, refusedBy === "concurrent" ? PLACE_WAIT_MS : 1) };
}
