// What is built from one configuration. Everything that must survive a reload comes from outside, in `Shared`.

import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/types.ts";
import {
  audit,
  hashesOnly,
  openRequestFacts,
  outcomeOf,
  type AuditSink,
  type ContentRecorder,
  type RequestTally,
} from "../layers/audit/index.ts";
import { fund, type Ledger, type RoomLine } from "../layers/budget/index.ts";
import { createAuthenticator, identify, type Caller, type Claim, type RunTokens } from "../layers/identity/index.ts";
import {
  backoffDelayMs,
  pace,
  toldRegainMs,
  toldWaitMs,
  type AgentLimiter,
  type Limits,
} from "../layers/limits/index.ts";
import { replay, type AnswerStore } from "../layers/replay/index.ts";
import {
  candidateOf,
  Directory,
  keepOpen,
  plan,
  tryEach,
  understand,
  type ResponseTimes,
} from "../layers/routing/index.ts";
import { createRedactor, unlock, type KeyRing } from "../layers/vault/index.ts";
import { createPipeline } from "../pipeline.ts";
import type { Arrived, Candidate, Handler, Provider } from "../request.ts";
import type { ListedModel } from "../server/models.ts";
import type { Dispatcher } from "../upstream/dispatch.ts";
import { streamHeaders } from "../upstream/headers.ts";
import { send } from "../upstream/send.ts";
import { countLocally } from "../upstream/count-locally.ts";
import { withCounting } from "../upstream/count-upstream.ts";
import type { WindowLearner } from "../upstream/window-learner.ts";
import type { TokenRatios } from "../upstream/token-ratios.ts";
import type { ServerFacts } from "../upstream/server-facts.ts";
import { codecs } from "../wire/codecs.ts";
import { errorAnswer } from "../wire/errors.ts";
import type { ServerKind } from "../wire/neutral.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import { serverProfiles } from "../wire/profiles/server-profiles.ts";
import type { HomeServers } from "./home-servers.ts";
import type { LocalServers } from "./local-servers.ts";
import { wait } from "./wait.ts";

/** Lives as long as the process. */
export interface Shared {
  readonly clock: Clock;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly sink: AuditSink;
  /** For `audit.content: full`. */
  readonly contents: ContentRecorder;
  readonly tally: RequestTally;
  readonly limits: Limits;
  readonly agentLimiter: AgentLimiter;
  readonly runTokens: RunTokens;
  readonly keys: KeyRing;
  /** Told of every attempt that lacks its provider's key. */
  readonly onMissingKey: (provider: Provider) => void;
  readonly dispatcher: Dispatcher;
  readonly answers: AnswerStore;
  readonly ratios: TokenRatios;
  readonly windows: WindowLearner;
  readonly times: ResponseTimes;
  readonly roomLine: RoomLine;
  readonly home: HomeServers;
  /** One line for the operational log. */
  readonly report: (line: string) => void;
}

export class Generation implements AsyncDisposable {
  readonly config: Config;
  readonly handle: Handler<Arrived>;
  readonly authenticate: (claim: Claim) => Caller;
  readonly #shared: Shared;
  #directory: Directory;
  #builtFor: LocalServers;

  constructor(config: Config, shared: Shared) {
    this.config = config;
    this.#shared = shared;
    this.#builtFor = shared.home.local;
    this.#directory = this.#build();
    this.authenticate = createAuthenticator(
      {
        anonymous: config.anonymous,
        passthrough: [...config.providers.values()].some(({ key }) => key.from === "passthrough"),
        agents: config.agents,
      },
      { runTokens: shared.runTokens, now: () => shared.clock.now() },
    );
    this.handle = this.#compose();
  }

  /** Rebuilt when discovery has found something else. */
  get directory(): Directory {
    const { local } = this.#shared.home;
    if (local !== this.#builtFor) {
      this.#builtFor = local;
      this.#directory = this.#build();
    }
    return this.#directory;
  }

  /** Configured and discovered ones. */
  providers(): ReadonlyMap<string, Provider> {
    const { found, kinds, facts } = this.#shared.home.local;
    const all = new Map(this.config.providers);
    for (const provider of found) if (!all.has(provider.name)) all.set(provider.name, provider);
    for (const [name, provider] of all) {
      if (provider.local) all.set(name, completed(provider, kinds[name], facts[name]));
    }
    return all;
  }

  /** What can be asked for by name beside the catalogue. */
  models(): readonly ListedModel[] {
    return this.directory.names();
  }

  /** The models of providers that `serves` lets pass, under a name that no list holds. */
  modelsNamed(id: string, serves: (provider: Provider) => boolean): readonly ListedModel[] {
    const meant = this.directory.spelledOtherwise(id).filter(({ provider }) => serves(provider));
    return meant.slice(0, 1).map(({ provider, context }) => ({ id, provider: provider.name, context }));
  }

  /** The names that the configuration itself uses for models. */
  *namesInUse(): Generator<string> {
    yield* this.config.models.keys();
    yield* this.config.fallback ?? [];
    for (const { use } of this.config.routes) yield* use;
  }

  /** The local models that may be asked to carry on an answer, in the order in which they would be. */
  successors(): readonly Candidate[] {
    const local = this.directory.fallback.filter(({ provider }) => provider.local);
    return local.map((entry) => candidateOf(entry, "chat", "fallback"));
  }

  /** Nothing of its own to close: connections and books are shared. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #build(): Directory {
    const providers = this.providers();
    return new Directory({
      providers,
      aliases: this.config.models,
      // The servers were asked for another configuration, which may have named some that this one does not.
      localModels: this.#builtFor.models.filter((model) => providers.has(model.provider)),
      fallback: this.config.fallback,
    });
  }

  #compose(): Handler<Arrived> {
    const {
      clock,
      random,
      ledger,
      sink,
      contents,
      tally,
      limits,
      agentLimiter,
      keys,
      onMissingKey,
      dispatcher,
      answers,
      ratios,
      windows,
      times,
      roomLine,
      home,
      report,
    } = this.#shared;
    const { config } = this;
    const redact = createRedactor(() => keys.secrets());
    return createPipeline({
      audit: audit({
        sink,
        journal: ledger,
        tally,
        clock,
        onFailure: config.audit.onFailure,
        contents: contentsOf(config.audit.content, contents),
        errorStatus: (dialect, error) => errorAnswer(dialect, error, "").status,
      }),
      identify: identify({ authenticate: this.authenticate, admit: (agent) => agentLimiter.admit(agent) }),
      understand: understand(codecs),
      replay: replay(answers),
      plan: plan({
        routes: config.routes,
        directory: () => this.directory,
        surroundings: {
          minuteOfDay: () => minuteOfDay(clock.now(), config.timezone),
          budgetUsed: ({ agent }) => {
            const { spentNanos, heldNanos } = ledger.balances(agent.name);
            return agent.caps.daily === 0 ? 1 : (spentNanos + heldNanos) / agent.caps.daily;
          },
        },
      }),
      keepOpen: keepOpen({
        clock,
        keepAliveMs: config.keepAliveMs,
        streamHeaders,
        outcomeOf,
        report,
      }),
      tryEach: tryEach({
        clock,
        wait,
        health: home.health,
        retryDelayMs: (failures, retry) => backoffDelayMs(failures, retry, random),
        retries: limits.retries,
        times,
        limits: config.attempts,
        learnWindow: (candidate) => windows.learn(candidate),
        takesOver: config.takeover === "text",
        answerAlone: (request) => (request.operation === "count_tokens" ? countLocally(request, ratios) : null),
      }),
      pace: pace(limits),
      fund: fund({ ledger, line: roomLine, facts: openRequestFacts, report }),
      unlock: unlock({ keys, onMissing: onMissingKey }),
      send: home.noticing(
        withCounting(
          { codecs, dispatcher, clock, ratios, redact },
          send({
            codecs,
            dispatcher,
            clock,
            holdsCalls: config.takeover === "text",
            told: (answer, body) => ({
              retryAfterMs: toldWaitMs(answer, body, clock.now()),
              regainMs: toldRegainMs(body, clock.now()),
            }),
            redact,
            keepAliveMs: config.keepAliveMs,
            continuations: home.continuations,
          }),
        ),
      ),
    });
  }
}

/** A local server's own word on what it is and how much it can do at once; for the latter the configuration comes first. */
function completed(provider: Provider, kind: ServerKind | undefined, facts: ServerFacts | undefined): Provider {
  const known = kind === undefined ? provider : { ...provider, kind };
  const concurrent = known.limits.concurrent ?? facts?.places ?? serverProfiles[serverKindOf(known)].places;
  return { ...known, limits: { ...known.limits, concurrent } };
}

function contentsOf(content: Config["audit"]["content"], full: ContentRecorder): ContentRecorder | null {
  return content === "none" ? null : content === "sha256" ? hashesOnly : full;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function minuteOfDay(nowMs: number, timezone: string): number {
  let format = formats.get(timezone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: timezone,
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    formats.set(timezone, format);
  }
  const [hour, minute] = format.format(nowMs).split(":");
  return Number(hour) * 60 + Number(minute);
}
