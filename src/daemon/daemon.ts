// The whole gateway as one object: opened in the order in which the parts need each other, closed in the reverse.

import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { serveAdmin, type AdminActions, type AdminServer, type LentToken } from "../admin/admin-server.ts";
import { systemSinceBootMs, type Clock, type Random } from "../clock.ts";
import { createToken } from "../config/agent-token.ts";
import { formatFault } from "../config/fault.ts";
import { Generations } from "../config/generations.ts";
import { loadConfigApart } from "../config/load-apart.ts";
import { readConfigText, type ConfigText } from "../config/read-file.ts";
import { watchConfig } from "../config/watch.ts";
import type { Config, Fault } from "../config/types.ts";
import { GatewayError } from "../errors.ts";
import {
  StatsChanges,
  Tally,
  createStats,
  createStatsText,
  metricsText,
  recordInterrupted,
  type ContentStore,
  type RequestTally,
  type SealStatus,
  type PriceDrift,
  type StatsDocument,
} from "../layers/audit/index.ts";
import { RoomLine, type Ledger, type OpenRequest, type SqliteLedgerOptions } from "../layers/budget/index.ts";
import { RunTokens, digestOf } from "../layers/identity/index.ts";
import { AgentLimiter, BucketShelf, Limits } from "../layers/limits/index.ts";
import { AnswerStore } from "../layers/replay/index.ts";
import { ResponseTimes } from "../layers/routing/index.ts";
import {
  AskedMarks,
  KeyFault,
  KeyRing,
  MissingKeys,
  VaultStore,
  createKeySources,
  createKeyStores,
  createRedactor,
  createVaultCipher,
  vaultKey,
  type KeyDescription,
  type Prompter,
  type StartProviders,
  type VaultKey,
} from "../layers/vault/index.ts";
import type { Arrived, GatewayResponse, Provider } from "../request.ts";
import type { Handed } from "../handover/messages.ts";
import { successorEnded } from "../handover/succession.ts";
import type { Predecessor } from "../handover/predecessor.ts";
import { askSocket } from "../handover/line.ts";
import type { Remnants } from "../handover/remnants.ts";
import { listen, type Listener, type ListenerParts, type ListenOn, type SharedPlace } from "../server/listener.ts";
import { listenOnLoopback } from "../server/loopback.ts";
import { createOperations, type Operations, type Pages } from "../server/operations.ts";
import { SharedPort } from "../server/port-sharing.ts";
import { createRequestIds } from "../server/request-id.ts";
import { Overload } from "../server/overload.ts";
import { Resources } from "../server/resources.ts";
import { removeStaleSocket } from "../server/stale-socket.ts";
import { checkKeyAt } from "../upstream/check-key.ts";
import { Dispatcher } from "../upstream/dispatch.ts";
import { TokenRatios } from "../upstream/token-ratios.ts";
import { WindowLearner } from "../upstream/window-learner.ts";
import { Books } from "./books.ts";
import { DashboardFeed } from "./dashboard-feed.ts";
import { createContents } from "./open-trail.ts";
import { Generation, type Shared } from "./generation.ts";
import { HandOver, type Ending } from "./hand-over.ts";
import { HomeServers } from "./home-servers.ts";
import type { LocalServers } from "./local-servers.ts";
import { configStatusOf, modelsFor, providerStatuses, whyNotReady } from "./views.ts";
import { wait } from "./wait.ts";

export const version = "1.0.0";

export interface DaemonOptions {
  readonly home: string;
  readonly configFile: string;
  readonly clock: Clock;
  readonly random: Random;
  /** The operational log, a line at a time. */
  readonly report: (line: string) => void;
  /** Another way to keep the books than the file: for measuring what the file costs. */
  readonly openLedger?: (options: SqliteLedgerOptions) => Ledger;
  /** What opens the vault without asking anyone; null: nothing is given. Throws a KeyFault. */
  readonly vaultKey?: (identityFile: string | undefined) => VaultKey | null;
  /** The running process to take over from; its configuration counts where `keepsConfig`, else the file. */
  readonly takeOver?: { readonly predecessor: Predecessor; readonly keepsConfig: boolean };
  /** Starts a process that takes over from this one; rejects with why it ended where it does before it says so itself. */
  readonly startSuccessor?: () => Promise<string>;
  /** Who can be asked for a key that is missing; absent: nobody. On a terminal nobody is asked but by `askForKeys`. */
  readonly prompter?: Prompter | undefined;
}

/** The configuration can't be used: each fault says where and what to do. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super("the configuration is faulty");
    this.faults = faults;
  }
}

/** How often the local ports are asked again: a model server that is started later is found by itself. */
const discoverEveryMs = 30_000;
/** How long the start waits for the keys and for the local servers, so that it can say which are there. */
const keysAtStartMs = 1_500;
const overloadEveryMs = 250;
/** Counters are kept so often that a crash loses little; money never waits for this. */
const saveCountersEveryMs = 1_000;

/** Under which the ledger keeps what was taken of rate limits. */
const bucketKeys = "bucket:";
/** Longer than thousands of cut requests take to settle. */
const cutSettledMs = 5_000;

/** Longer than the kernel takes to clear away after a process. */
const listenTries = 40;
const listenEveryMs = 50;

/** How long a request waits for money that is held and may come back, before the next candidate has its turn. */
const roomPatienceMs = 5_000;

/** Of a process that does not write the trail. */
const noSeal: SealStatus = { place: null, seq: 0, fault: null, alarms: [] };

/** Longer than a child takes to be reaped, and a check of the configuration. */
const deathToldMs = 12_000;
const never = new AbortController().signal;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #books: Books;
  readonly #agentLimiter: AgentLimiter;
  readonly #handOver: HandOver;
  readonly #resources: Resources;
  readonly #overload: Overload;
  readonly #newId: () => string;
  readonly #operations: Operations;
  readonly #contents: ContentStore;
  readonly #tally: Tally;
  readonly #limits: Limits;
  /** What was taken of configured limits before this process began. */
  readonly #savedBuckets: Map<string, string>;
  readonly #shelf: BucketShelf;
  readonly #keys: KeyRing;
  readonly #vault: VaultStore;
  readonly #dispatcher: Dispatcher;
  /** Null: nobody can be asked. */
  readonly #missing: MissingKeys | null;
  readonly #stats: () => StatsDocument;
  readonly #statsText: () => string;
  readonly #changes: StatsChanges;
  /** Made anew with the books of another process. */
  #dashboard: DashboardFeed;
  readonly #counts: RequestTally;
  readonly #runTokens = new RunTokens();
  readonly #firstConfig: Config;
  /** The configuration that is in force, as it was read. */
  #source: ConfigText;
  #admin: AdminServer | null = null;
  #watcher: AsyncDisposable | null = null;
  /** Until the books are here; null: requests are served. */
  #opening: PromiseWithResolvers<void> | null = null;
  readonly #drains = new AbortController();
  /** Absent only while the daemon opens. */
  #opened: Generations<Generation> | null = null;
  readonly #home: HomeServers;
  readonly #listeners: Listener[] = [];
  /** Of the listeners that the configuration names. */
  readonly #urls: string[] = [];
  #inFlight = 0;
  #whenIdle: (() => void)[] = [];
  #stopping = false;
  #savedRevision = -1;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #stopRequested: () => void = () => undefined;
  /** Resolves when somebody asked over the admin socket to stop. */
  readonly stopRequested = new Promise<void>((resolve) => {
    this.#stopRequested = resolve;
  });

  private constructor(given: DaemonOptions, config: Config, source: ConfigText) {
    const { clock, random } = given;
    // What is unforeseen is told with its cause, which may hold what an upstream wrote.
    const redact = createRedactor(() => this.#keys.secrets());
    const options = { ...given, report: (line: string): void => given.report(redact(line)) };
    this.#firstConfig = config;
    this.#source = source;
    this.#options = options;
    const { home, report, openLedger } = options;
    this.#vault = new VaultStore({
      file: join(home, "vault.age"),
      marksFile: join(home, "state/vault.json"),
      cipher: createVaultCipher(),
      clock,
    });
    const inFlight = (): number => this.#inFlight;
    this.#books = new Books({ home, clock, report, openLedger, inFlight, vault: this.#vault }, config);
    const { ledger, sink } = this.#books;
    this.#tally = new Tally(
      () => ledger.day().key,
      (drift) => options.report(driftText(drift)),
    );
    // Known before the books are: from the process that has them.
    this.#savedBuckets = new Map(given.takeOver?.predecessor.greeting.buckets);
    // A hold is written after what was taken for it, so that none is sent that a restart would forget.
    this.#shelf = new BucketShelf({
      clock,
      sinceBootMs: systemSinceBootMs,
      saved: this.#savedBuckets,
      save: (key, json) => ledger.saveCounters(key, json),
    });
    this.#limits = new Limits({ clock, random, wait, shelf: this.#shelf });
    this.#agentLimiter = new AgentLimiter(clock, this.#shelf);
    this.#contents = createContents({ home, config, clock, vault: this.#vault, report }, redact);
    this.#keys = new KeyRing({ clock, sourceOf: createKeySources({ vault: this.#vault }) });
    this.#dispatcher = new Dispatcher(clock);
    this.#home = new HomeServers({
      clock,
      wait,
      config: () => this.config,
      own: () => this.urls,
      onFound: () => this.#adopt(this.config),
      onReturn: (name) => this.#limits.returned(name),
      names: () => this.#generations.current.value.namesInUse(),
      meaning: (name) => this.#generations.current.value.directory.resolve(name),
      successors: () => this.#generations.current.value.successors(),
      report: options.report,
    });
    this.#missing = options.prompter === undefined ? null : this.#createMissingKeys(options.prompter);
    this.#stats = createStats({
      version,
      clock,
      tally: this.#tally,
      timezone: () => this.config.timezone,
      day: () => ledger.day(),
      agents: () => [...this.config.agents].map(([name, { caps }]) => [name, caps] as const),
      balances: (agent) => ledger.balances(agent),
      windowBalances: (agent) => ledger.windowBalances(agent),
      config: () => configStatusOf(this.#generations),
      providers: () =>
        providerStatuses(this.#generations.current.value, this.#limits, this.#keys, (provider) =>
          this.#home.statusOf(provider),
        ),
      missingModels: () => this.#home.missing,
      audit: () => sink.health(),
      seal: () => this.#books.own?.sealer.status() ?? noSeal,
      ledger: () => ledger.health(),
      overload: () => this.#overload.state,
    });
    this.#resources = new Resources({ monotonic: () => clock.monotonic() });
    this.#overload = new Overload({
      gauges: () => this.#resources.read(),
      inFlight: () => this.#inFlight,
      mostInFlight: () => this.config.mostInFlight,
      monotonic: () => clock.monotonic(),
      report,
    });
    // What changes without a request (a reload, a key) shows within the text's own age.
    this.#statsText = createStatsText({ clock, build: this.#stats, revision: () => this.#tally.revision });
    this.#changes = new StatsChanges(this.#stats);
    this.#dashboard = this.#createFeed();
    this.#counts = {
      opened: (request) => this.#dashboard.opened(request),
      closed: (facts) => this.#dashboard.closed(facts),
    };
    this.#handOver = this.#createHandOver();
    this.#newId = createRequestIds(clock);
    this.#operations = this.#createOperations();
  }

  #pages(): Pages {
    const { paths, streams } = this.#dashboard.pages;
    return { paths, streams, answer: (path, request, open) => this.#dashboard.pages.answer(path, request, open) };
  }

  #createFeed(): DashboardFeed {
    const { clock, report } = this.#options;
    const { ledger, sink } = this.#books;
    return new DashboardFeed({
      clock,
      tally: this.#tally,
      ledger,
      sink,
      trail: this.config.audit.file,
      zone: () => this.config.timezone,
      stats: this.#stats,
      requireToken: (headers) => this.#requireToken(headers),
      report,
    });
  }

  get #ledger(): Ledger {
    return this.#books.ledger;
  }

  /** Opens everything and listens. Throws ConfigurationError, or an Error that says what is in the way. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { home, configFile } = options;
    for (const folder of [home, join(home, "state"), join(home, "run"), join(home, "logs"), dirname(configFile)]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    const { keepsConfig, predecessor } = options.takeOver ?? {};
    const source = keepsConfig === true ? predecessor!.greeting.source : readConfigText(configFile);
    const loaded = await loadConfigApart(configFile, { home }, source);
    if ("faults" in loaded) throw new ConfigurationError(loaded.faults);
    const { config } = loaded;
    const daemon = new Daemon(options, config, source);
    try {
      // What is not there yet, or another gateway's, is told before anything else is done.
      if (predecessor === undefined) daemon.#openBooks();
      await daemon.#open(config, source);
      return daemon;
    } catch (error) {
      await daemon.close();
      throw error;
    }
  }

  #openBooks(): void {
    this.#books.open();
    for (const [key, json] of this.#ledger.loadCounters(bucketKeys)) this.#savedBuckets.set(key, json);
    // Its sums and sessions are in the books.
    this.#dashboard = this.#createFeed();
  }

  get config(): Config {
    return this.#opened?.current.config ?? this.#firstConfig;
  }

  get #generations(): Generations<Generation> {
    if (this.#opened === null) throw new Error("the daemon is not open yet");
    return this.#opened;
  }

  /** Where clients connect. */
  get urls(): readonly string[] {
    return this.#urls;
  }

  get local(): LocalServers {
    return this.#home.local;
  }

  stats(): StatsDocument {
    return this.#stats();
  }

  /** What the vault waits for; null: it is open, or there is none. */
  get vaultNeeds(): VaultKey["kind"] | null {
    return this.#vault.locked ? this.#vault.kind() : null;
  }

  /** Opens the vault; the key is taken over. The text says what came of it. Never rejects. */
  async unlockVault(key: VaultKey, acceptOlder = false): Promise<{ readonly ok: boolean; readonly text: string }> {
    try {
      await this.#vault.unlock(key, acceptOlder);
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      return { ok: false, text: error.message };
    }
    void this.#books.own?.sealer.retry();
    void this.#contents.turn();
    const waiting = this.#keys.describe().filter(({ state }) => state === "locked" || state === "missing");
    await Promise.all(waiting.map(({ provider }) => this.#keys.refresh(provider)));
    return { ok: true, text: "the vault is open" };
  }

  /**
   * Asks the person at the terminal for the keys that are missing. Rejects with what ended the asking before its time.
   */
  async askForKeys(): Promise<void> {
    await this.#missing?.askInTurn(this.#startProviders());
  }

  /** Closes the question that is open, if one is; nobody is asked any more. */
  endAsking(): void {
    this.#missing?.close();
  }

  /** Where each key comes from and whether it is there. */
  describeKeys(): readonly KeyDescription[] {
    return this.#keys.describe();
  }

  /** Reads the configuration file again. Never throws: a faulty file changes nothing. */
  async reload(): Promise<{ readonly ok: boolean; readonly text: string }> {
    const ok = await this.#applySource(readConfigText(this.#options.configFile));
    const { fault, current, restartNeeded } = this.#generations;
    if (!ok) return { ok, text: (fault?.faults ?? []).map(formatFault).join("\n") };
    const live = `configuration ${current.number} is live`;
    return { ok, text: restartNeeded.length === 0 ? live : `${live}\n${restartText(restartNeeded)}` };
  }

  /**
   * Takes no new work, lets what runs finish for `graceMs` (by default what the configuration says), then cuts it; settles and writes everything. Nothing is lost
   * on either way.
   */
  async stop(graceMs: number = this.config.stopGraceMs): Promise<void> {
    this.#stopping = true;
    this.endAsking();
    if (this.#handOver.draining) return this.#stopDraining(graceMs);
    // Who comes meanwhile is told to come again, and not met by a closed port: the listeners stay until the last answer.
    const before = this.#handOver.stopRemnants(graceMs);
    await this.#finish(graceMs);
    await before;
    await this.close();
  }

  /** Lets what runs here finish for so long, then cuts it. */
  async #finish(graceMs: number): Promise<void> {
    await this.#idleWithin(graceMs);
    await Promise.all(this.#listeners.map((listener) => listener.kill()));
    // Cut requests settle when their clients are gone, which is now: a turn or two of the event loop.
    await this.#idleWithin(cutSettledMs);
  }

  async #idleWithin(ms: number): Promise<void> {
    if (this.#inFlight === 0) return;
    const idle = new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([idle, late]);
    clearTimeout(timer);
  }

  /** Another process keeps the books: it stops too, or was told so already. */
  async #stopDraining(graceMs: number): Promise<void> {
    await askSocket(this.#socketPath, "/stop");
    await this.#finish(graceMs);
    await this.#handOver.leave();
    await Promise.race([this.#handOver.keeperGone(), wait(graceMs, never)]);
    await this.close();
  }

  /** Resolves when another process serves and everything that ran here has ended: this one is to end. */
  get ended(): Promise<Ending> {
    return this.#handOver.ended;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#resources[Symbol.dispose]();
    this.endAsking();
    await this.#home[Symbol.asyncDispose]();
    // Where opening failed half-way, the first ones listen already.
    await Promise.all(this.#listeners.map((listener) => listener.kill()));
    await this.#watcher?.[Symbol.asyncDispose]();
    await this.#admin?.[Symbol.asyncDispose]();
    if (this.#books.own !== null) {
      this.#saveCounters();
      this.#shelf.saveAll();
      this.#dashboard.close();
    }
    await this.#contents[Symbol.asyncDispose]();
    await this.#books.close();
    this.#keys.close();
    this.#vault.lock();
  }

  get #socketPath(): string {
    return join(this.#options.home, "run/admin.sock");
  }

  async #open(config: Config, source: ConfigText): Promise<void> {
    const { clock, random, report, takeOver } = this.#options;
    if (takeOver === undefined) this.#restoreCounters();
    const shared: Shared = {
      clock,
      random,
      ledger: this.#books.ledger,
      sink: this.#books.sink,
      tally: this.#counts,
      contents: this.#contents,
      limits: this.#limits,
      agentLimiter: this.#agentLimiter,
      runTokens: this.#runTokens,
      keys: this.#keys,
      onMissingKey: this.#askOnDesktop(),
      dispatcher: this.#dispatcher,
      answers: new AnswerStore(clock),
      ratios: new TokenRatios(),
      windows: new WindowLearner(clock),
      times: new ResponseTimes(clock),
      roomLine: new RoomLine({ patienceMs: roomPatienceMs, wait }),
      home: this.#home,
      report,
    };
    this.#opened = await Generations.start<Generation>(config, {
      clock,
      build: async (next) => {
        // Before the first request of the new configuration, which may ask for contents to be kept.
        if (next.audit.content === "full") await this.#contents.configure(next.audit.contentFiles);
        return new Generation(next, shared);
      },
      onFault: (faults, cause) => {
        report(`configuration refused, the old one stays: ${faults.map(formatFault).join(" | ")}`);
        if (cause !== undefined) report(cause instanceof Error ? (cause.stack ?? cause.message) : "unknown cause");
      },
      onLoaded: (generation) => {
        this.#adopt(generation.config);
        void this.#home.discover();
        report(`configuration ${generation.number} is live`);
      },
      onRestartNeeded: (keys) => report(restartText(keys)),
      onDisposeFailed: (error, number) => report(`configuration ${number} did not close: ${String(error)}`),
    });
    this.#adopt(config);
    await this.#openVault(config);
    await this.#openSeals();
    // The vault, which was closed a moment ago, may hold the key.
    if (config.audit.content === "full") await this.#contents.configure(config.audit.contentFiles);
    await this.#reconcile();
    // A keychain that waits for a person must not keep the gateway from starting.
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, keysAtStartMs);
    const soon = Promise.all([this.#keys.loadAll(), this.#home.seen()]);
    await Promise.all([this.#home.discover(), Promise.race([soon, late.promise])]);
    clearTimeout(timer);
    if (takeOver === undefined) await this.#listen(config, []);
    else await this.#takeOver(config, takeOver.predecessor);
    this.#watch(source);
    this.#timers.push(
      setInterval(() => void this.#home.discover(), discoverEveryMs),
      setInterval(() => this.#saveCounters(), saveCountersEveryMs),
      setInterval(() => this.#lookForOverload(), overloadEveryMs),
    );
    void this.#dashboard.readTrail();
    if (this.#onDesktop && takeOver === undefined) void this.#missing?.askAtStart(this.#startProviders());
  }

  async #listen(config: Config, shared: readonly SharedPlace[]): Promise<void> {
    for (const { socketPath } of config.listen) {
      if (socketPath !== undefined && shared.length === 0) await removeStaleSocket(socketPath);
    }
    await this.#listenAll(config.listen, shared);
    this.#admin = serveAdmin(this.#socketPath, this.#adminActions(), shared.length > 0);
    if (shared.length === 0 && this.#books.movable !== null) this.#handOver.keep();
  }

  /**
   * Listens beside the other process, then takes the books and what is in memory there, then serves. Whatever fails before
   * the end fails here alone: the other one goes on.
   */
  async #takeOver(config: Config, predecessor: Predecessor): Promise<void> {
    this.#opening = Promise.withResolvers<void>();
    await this.#listen(config, predecessor.greeting.places);
    HandOver.steerToBefore(this.#listeners);
    const handed: Handed = await predecessor.take();
    this.#books.open(handed.sessions);
    this.#restoreCounters();
    // Its sums and sessions are in the books.
    this.#dashboard = this.#createFeed();
    this.#handOver.keep(handed.sessions);
    this.#runTokens.inherit(handed.runTokens);
    await this.#reconcile();
    this.#handOver.steerHere();
    await predecessor.done();
    this.#admin!.takePlace();
    for (const listener of this.#listeners) listener.takePlace();
    this.#opening.resolve();
    this.#opening = null;
    // A keychain may take its time, and requests do not wait for it.
    void this.#books.own?.sealer.open();
  }

  #watch(source: ConfigText): void {
    const { configFile, clock } = this.#options;
    this.#watcher = watchConfig(configFile, async (changed) => void (await this.#applySource(changed)), {
      clock,
      loaded: source,
    });
  }

  #createHandOver(): HandOver {
    return new HandOver({
      socketPath: this.#socketPath,
      books: this.#books,
      runTokens: this.#runTokens,
      buckets: () => [...this.#ledger.loadCounters(bucketKeys)],
      listeners: () => this.#listeners,
      source: () => this.#source,
      report: (line) => this.#options.report(line),
      inFlight: () => this.#inFlight,
      remnants: {
        tally: this.#remnantTally(),
        recordLost: async (requests) => void (await this.#recordLost(requests)),
      },
      onGive: () => {
        this.#saveCounters();
        this.#shelf.saveAll();
        this.#dashboard.save(true);
      },
      onDrain: () => {
        this.#admin?.leavePlace();
        this.#drains.abort();
        void this.#watcher?.[Symbol.asyncDispose]();
        this.#watcher = null;
      },
      onReturn: () => this.#serveAgain(),
      onStopping: (graceMs) => void this.#finish(graceMs),
    });
  }

  /** The process that had taken over is gone. Requests that only it knew of are closed as after a crash. */
  async #serveAgain(): Promise<void> {
    const { report } = this.#options;
    this.#restoreCounters();
    await this.#reconcile();
    const left = this.#listeners.filter((listener) => listener.left);
    for (const listener of left) await this.#listenAgain(listener);
    this.#admin = serveAdmin(this.#socketPath, this.#adminActions());
    this.#watch(this.#source);
    void this.#books.own?.sealer.open();
    report("this process serves again");
  }

  /** A process that was killed gives its connections back one after the other: the port may be the last. */
  async #listenAgain({ address, bound }: Listener): Promise<void> {
    const again = { ...address, ...(bound === null ? {} : bound) };
    for (let left = listenTries; ; left--) {
      try {
        if (address.socketPath !== undefined) await removeStaleSocket(address.socketPath);
        // The port stays shareable for a while where the one that was killed had no time to end that.
        const shared = left < listenTries && bound !== null ? [{ text: address.text, ...bound }] : [];
        this.#listeners.push(this.#listenOn(again, shared));
        for (const place of shared) SharedPort.find(place)?.close(place);
        return;
      } catch (error) {
        if (left === 0) return this.#options.report(`${address.text} can't be listened on again: ${String(error)}`);
        await wait(listenEveryMs, never);
      }
    }
  }

  #remnantTally(): RequestTally & { setElsewhere(requests: number): void } {
    return {
      opened: () => this.#counts.opened(),
      closed: (facts) => this.#counts.closed(facts),
      setElsewhere: (requests) => this.#tally.setElsewhere(requests),
    };
  }

  #adminActions(): AdminActions {
    return {
      stats: () => this.#statsText(),
      // In one step: no line can come between the books and where the trail stands.
      ledger: (sinceDay) =>
        JSON.stringify({ ...this.#ledger.report(sinceDay), trail_seq: this.#books.sink.health().entries }),
      ledgerRequests: (agent, day) => JSON.stringify(this.#ledger.reportRequests(agent, day)),
      addresses: () => this.urls,
      reload: () => this.reload(),
      refreshKey: async (provider) => {
        await this.#keys.refresh(provider);
        // A new key may belong to an account that has credit.
        this.#limits.backoff.forgive(provider);
        return this.#keys.describe().find((one) => one.provider === provider)?.keys ?? 0;
      },
      lendToken: (agent, onRevoked) => this.#lendToken(agent, onRevoked),
      lendAgain: (agent, digest, onRevoked) => this.#runTokens.lendAgain(agent, digest, onRevoked),
      agents: () => [...this.config.agents.keys()],
      unlockVault: (kind, secret, acceptOlder) => this.unlockVault(vaultKey(kind, secret), acceptOlder),
      dashboard: {
        isOpen: () => this.config.stats.access === "loopback",
        invite: () => this.#dashboard.access.invite(),
        revokeAll: () => this.#dashboard.access.revokeAll(),
      },
      acceptTrail: () => this.#acceptTrail(),
      stop: () => this.#stopRequested(),
      restart: () => this.restart(),
      handover: {
        begin: (pid, signal) => this.#handOver.succession.begin(pid, signal),
        take: () => this.#handOver.succession.take(),
        vaultKey: () => this.#vault.copyKey(),
        done: () => this.#handOver.succession.done(),
        failed: (text) => this.#handOver.succession.failed(text),
        attach: (session, signal) => this.#keptFor()?.attach(session, signal) ?? null,
        errands: async (session, lane, batch) => (await this.#keptFor()?.take(session, lane, batch)) ?? null,
      },
    };
  }

  /** Processes from before, where the books are here. */
  #keptFor(): Remnants | null {
    return this.#books.movable === null ? null : this.#handOver.remnants;
  }

  /** Lets a new process take over: this one's program as it is on the disk, and the configuration as it is in its file. */
  async restart(): Promise<{ readonly ok: boolean; readonly text: string }> {
    const { startSuccessor } = this.#options;
    if (startSuccessor === undefined) return { ok: false, text: "this gateway can't start another process" };
    await this.#handOver.settled();
    const obstacle = this.#handOver.obstacle;
    if (obstacle !== null) return { ok: false, text: obstacle };
    const { succession } = this.#handOver;
    // Taken now: the end of a successor that never came is no outcome.
    const outcome = succession.outcome;
    const death = startSuccessor();
    let why = await Promise.race([outcome, death]);
    // Its exit code, and what a check of the file says, tell more.
    if (why === successorEnded) why = await Promise.race([death, wait(deathToldMs, never).then(() => why)]);
    if (why !== null) return { ok: false, text: why };
    return {
      ok: true,
      text: `process ${succession.successor} serves now; ${this.#inFlight} running requests finish in process ${process.pid}`,
    };
  }

  #createMissingKeys(prompter: Prompter): MissingKeys {
    const { home, clock, report } = this.#options;
    return new MissingKeys({
      prompter,
      keys: this.#keys,
      storeOf: createKeyStores({ vault: this.#vault }),
      vault: this.#vault,
      check: (provider, key, signal) => checkKeyAt(this.#dispatcher, provider, key, signal),
      marks: new AskedMarks(join(home, "state/asked.json"), () => clock.now()),
      mayAsk: () => this.config.keys.dialog,
      report,
    });
  }

  get #onDesktop(): boolean {
    const { prompter } = this.#options;
    return prompter !== undefined && prompter.kind !== "terminal";
  }

  /** What a request does that lacks a key: nothing where a person sits at the terminal, who was asked at the start. */
  #askOnDesktop(): (provider: Provider) => void {
    const missing = this.#onDesktop ? this.#missing : null;
    return missing === null ? () => undefined : (provider) => missing.ask(provider);
  }

  #startProviders(): StartProviders {
    const all = [...this.#generations.current.value.providers().values()];
    return { all, named: this.config.namedProviders };
  }

  /** A vault that stays locked keeps its keys, not the gateway. */
  async #openVault(config: Config): Promise<void> {
    const { vaultKey: find, report } = this.#options;
    try {
      const key = this.#vault.exists ? (find?.(config.vault.identityFile) ?? null) : null;
      if (key !== null) await this.#vault.unlock(key);
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      report(`vault: ${error.message}`);
    }
  }

  /** What was done to the trail is told before the first line follows it; a keychain that waits for a person is not waited for. */
  async #openSeals(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, keysAtStartMs);
    await Promise.race([this.#books.own?.sealer.open(), late.promise]);
    clearTimeout(timer);
  }

  async #applySource(source: ConfigText): Promise<boolean> {
    const { configFile, home } = this.#options;
    const ok = await this.#generations.apply(await loadConfigApart(configFile, { home }, source));
    if (ok) this.#source = source;
    return ok;
  }

  #lendToken(agent: string, onRevoked: () => void): LentToken | null {
    if (!this.config.agents.has(agent)) return null;
    const { token } = createToken(agent, randomBytes);
    return { token, giveBack: this.#runTokens.lend(agent, digestOf(token.reveal()), onRevoked) };
  }

  /** What lives outside the generations takes over what the new one says about it. */
  #adopt(config: Config): void {
    const providers = [...this.#generations.current.value.providers().values()];
    this.#limits.configure(providers);
    this.#keys.configure(providers);
    this.#home.adopt(providers);
    void this.#keys.loadAll();
    this.#books.configure(config);
    this.#runTokens.retain(config.agents);
    if (config.audit.content !== "full") void this.#contents.configure(null);
  }

  #acceptTrail(): { readonly ok: boolean; readonly text: string } {
    const { own } = this.#books;
    if (own === null) return { ok: false, text: "another process writes the trail; ask again" };
    const { alarms, fault } = own.sealer.status();
    if (!own.sealer.accept()) {
      return { ok: false, text: `the trail is not sealed: ${fault ?? "there is no key yet"}` };
    }
    const from = own.sink.health().entries;
    return {
      ok: true,
      text: `accepted: ${alarms.length} alarms are closed, and the trail is verified from line ${from} on`,
    };
  }

  /** Requests that the last process left open get their line before the first new one is served. */
  async #reconcile(): Promise<void> {
    const lines = await this.#recordLost(this.#ledger.openRequests());
    if (lines > 0) this.#options.report(`${lines} requests were interrupted by the last stop; their holds are charged`);
  }

  /** How many lines were written. */
  #recordLost(requests: readonly OpenRequest[]): Promise<number> {
    const { sink, ledger } = this.#books;
    return recordInterrupted(
      { sink, journal: ledger, tally: this.#counts, clock: this.#options.clock },
      requests.map(({ requestId, facts, attempts }) => ({
        id: requestId,
        facts,
        charges: attempts.map(({ candidate, chargedNanos }) => ({ candidate, nanos: chargedNanos })),
      })),
    );
  }

  /** `shared`: where another process listens, from which this one takes over. */
  async #listenAll(
    listen: readonly ListenOn[],
    shared: readonly (SharedPlace & { readonly text?: string })[],
  ): Promise<void> {
    for (const address of listen) {
      // Any free port: the one that the other process was given.
      const before = address.port === 0 ? shared.find(({ text }) => text === address.text) : undefined;
      const on = before?.port === undefined ? address : { ...address, port: before.port };
      const [asked, ...twins] = await listenOnLoopback(this.#listenerParts(on, shared), listen);
      this.#urls.push(asked!.url);
      this.#listeners.push(asked!, ...twins);
    }
  }

  #listenOn(address: ListenOn, shared: readonly SharedPlace[]): Listener {
    return listen(this.#listenerParts(address, shared));
  }

  #listenerParts(address: ListenOn, shared: readonly SharedPlace[]): ListenerParts {
    const { hostNames, tls } = this.config;
    return {
      address,
      hostNames,
      tls,
      shared,
      newId: this.#newId,
      handle: (arrived: Arrived) => this.#handle(arrived),
      operations: this.#operations,
      report: this.#options.report,
      opening: () => this.#opening?.promise ?? null,
      closesConnections: () => this.#handOver.draining || this.#stopping || this.#overload.closesConnections,
    };
  }

  async #handle(arrived: Arrived): Promise<GatewayResponse> {
    if (this.#stopping) throw new GatewayError("DOOR_STOPPING", { retryAfterSeconds: 2 });
    this.#overload.admit();
    const generation = this.#generations.acquire();
    this.#inFlight++;
    const leave = (): void => {
      this.#generations.release(generation);
      if (--this.#inFlight > 0) return;
      for (const resolve of this.#whenIdle.splice(0)) resolve();
    };
    try {
      const response = await generation.value.handle(arrived);
      void response.finished.then(leave);
      return response;
    } catch (error) {
      leave();
      throw error;
    }
  }

  #lookForOverload(): void {
    this.#overload.look();
    if (!this.#overload.shortOfDescriptors) return;
    // Silent connections go first, so that ledger, trail and admin socket have what they need.
    for (const listener of this.#listeners) listener.closeIdle();
  }

  #createOperations(): Operations {
    return createOperations({
      stats: this.#statsText,
      metrics: () => metricsText(this.#stats(), this.#tally, this.#ledger.health().exceeded),
      watchStats: (signal) => this.#changes.watch(AbortSignal.any([signal, this.#drains.signal])),
      notReady: () =>
        whyNotReady({
          stopping: this.#stopping,
          overload: this.#overload.state,
          auditFault: this.#books.sink.health().fault?.message ?? this.#contents.fault,
          ledgerFault: this.#ledger.health().fault,
          generation: this.#generations.current.value,
          keys: this.#keys,
        }),
      access: () => this.config.stats.access,
      requireToken: (headers) => this.#requireToken(headers),
      dashboard: this.#pages(),
      listModels: (question) => modelsFor(question, this.#generations.current.value, this.#keys),
    });
  }

  #requireToken(headers: Headers): void {
    const claim = { headers, claimedAgent: undefined, fromLoopback: false };
    const { agent } = this.#generations.current.value.authenticate(claim);
    if (agent.auth !== "token") throw new GatewayError("IDENTITY_REQUIRED");
  }

  #saveCounters(): void {
    this.#dashboard.save();
    if (this.#tally.revision === this.#savedRevision) return;
    this.#savedRevision = this.#tally.revision;
    this.#ledger.saveCounters("tally", JSON.stringify(this.#tally.snapshot()));
  }

  #restoreCounters(): void {
    const saved = this.#ledger.loadCounters("tally").get("tally");
    if (saved !== undefined) this.#tally.restore(JSON.parse(saved));
  }
}

function restartText(keys: readonly string[]): string {
  const names = keys.map((key) => `\`${key}\``).join(", ");
  return `${names}: the change needs a restart (\`sanctum restart\`, which cuts nothing)`;
}

/** Once a day and model, for the log. */
function driftText({ model, reportedNanos, listedNanos, share }: PriceDrift): string {
  const [charged, listed] = [reportedNanos, listedNanos].map((nanos) => `$${(nanos / 1e9).toFixed(6)}`);
  const by = Number.isFinite(share) ? `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)} %` : "listed as free";
  return (
    `prices: ${model}: its provider charges ${charged} where the price list says ${listed} (${by}); the provider's figure ` +
    "counts. `sanctum reconcile` tells more; a `price` in the configuration makes the holds fit it."
  );
}
