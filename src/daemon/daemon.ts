// The whole gateway as one object: opened in the order in which the parts need each other, closed in the reverse.

import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { serveAdmin, type LentToken } from "../admin/admin-server.ts";
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
  recordedCosts,
  trailSince,
  type ContentStore,
  type FileSink,
  type PriceDrift,
  type Sealer,
  type StatsDocument,
} from "../layers/audit/index.ts";
import { openSqliteLedger, RoomLine, type Ledger, type SqliteLedgerOptions } from "../layers/budget/index.ts";
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
import type { Listener } from "../server/listener.ts";
import { listenOnLoopback } from "../server/loopback.ts";
import { createOperations, type Operations } from "../server/operations.ts";
import { createRequestIds } from "../server/request-id.ts";
import { removeStaleSocket } from "../server/stale-socket.ts";
import { checkKeyAt } from "../upstream/check-key.ts";
import { Dispatcher } from "../upstream/dispatch.ts";
import { TokenRatios } from "../upstream/token-ratios.ts";
import { WindowLearner } from "../upstream/window-learner.ts";
import { DashboardFeed } from "./dashboard-feed.ts";
import { createContents, openTrail, rotationOf } from "./open-trail.ts";
import { Generation, type Shared } from "./generation.ts";
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

/** What is written to disk, opened in this order. */
interface Books {
  readonly ledger: Ledger;
  readonly sink: FileSink;
  readonly sealer: Sealer;
  readonly vault: VaultStore;
}

/** How often the local ports are asked again: a model server that is started later is found by itself. */
const discoverEveryMs = 30_000;
/** How long the start waits for the keys and for the local servers, so that it can say which are there. */
const keysAtStartMs = 1_500;
/** Counters are kept so often that a crash loses little; money never waits for this. */
const saveCountersEveryMs = 1_000;

/** Under which the ledger keeps what was taken of rate limits. */
const bucketKeys = "bucket:";

/** How long a request waits for money that is held and may come back, before the next candidate has its turn. */
const roomPatienceMs = 5_000;

export class Daemon {
  readonly #options: DaemonOptions;
  readonly #ledger: Ledger;
  readonly #sink: FileSink;
  readonly #sealer: Sealer;
  readonly #contents: ContentStore;
  readonly #tally: Tally;
  readonly #limits: Limits;
  readonly #shelf: BucketShelf;
  readonly #keys: KeyRing;
  readonly #vault: VaultStore;
  readonly #dispatcher: Dispatcher;
  /** Null: nobody can be asked. */
  readonly #missing: MissingKeys | null;
  readonly #stats: () => StatsDocument;
  readonly #statsText: () => string;
  readonly #changes: StatsChanges;
  readonly #dashboard: DashboardFeed;
  readonly #runTokens = new RunTokens();
  readonly #firstConfig: Config;
  /** Absent only while the daemon opens. */
  #opened: Generations<Generation> | null = null;
  readonly #home: HomeServers;
  readonly #listeners: Listener[] = [];
  /** Of the listeners that the configuration names. */
  readonly #urls: string[] = [];
  #inFlight = 0;
  #idle: (() => void) | null = null;
  #stopping = false;
  #savedRevision = -1;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #disposables: AsyncDisposable[] = [];
  #stopRequested: () => void = () => undefined;
  /** Resolves when somebody asked over the admin socket to stop. */
  readonly stopRequested = new Promise<void>((resolve) => {
    this.#stopRequested = resolve;
  });

  private constructor(given: DaemonOptions, config: Config, { ledger, sink, sealer, vault }: Books) {
    const { clock, random } = given;
    // What is unforeseen is told with its cause, which may hold what an upstream wrote.
    const redact = createRedactor(() => this.#keys.secrets());
    const options = { ...given, report: (line: string): void => given.report(redact(line)) };
    this.#firstConfig = config;
    this.#options = options;
    this.#ledger = ledger;
    this.#sink = sink;
    this.#sealer = sealer;
    this.#tally = new Tally(
      () => ledger.day().key,
      (drift) => options.report(driftText(drift)),
    );
    // A hold is written after what was taken for it, so that none is sent that a restart would forget.
    this.#shelf = new BucketShelf({
      clock,
      sinceBootMs: systemSinceBootMs,
      saved: ledger.loadCounters(bucketKeys),
      save: (key, json) => ledger.saveCounters(key, json),
    });
    this.#limits = new Limits({ clock, random, wait, shelf: this.#shelf });
    this.#vault = vault;
    this.#contents = createContents({ home: options.home, config, clock, vault, report: options.report }, redact);
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
      seal: () => sealer.status(),
      ledger: () => ledger.health(),
    });
    // What changes without a request (a reload, a key) shows within the text's own age.
    this.#statsText = createStatsText({ clock, build: this.#stats, revision: () => this.#tally.revision });
    this.#changes = new StatsChanges(this.#stats);
    this.#dashboard = new DashboardFeed({
      clock,
      tally: this.#tally,
      ledger,
      sink,
      trail: config.audit.file,
      zone: () => this.config.timezone,
      stats: this.#stats,
      requireToken: (headers) => this.#requireToken(headers),
      report: options.report,
    });
  }

  /** Opens everything and listens. Throws ConfigurationError, or an Error that says what is in the way. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { home, configFile, clock, report } = options;
    for (const folder of [home, join(home, "state"), join(home, "run"), join(home, "logs"), dirname(configFile)]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    const source = readConfigText(configFile);
    const loaded = await loadConfigApart(configFile, { home }, source);
    if ("faults" in loaded) throw new ConfigurationError(loaded.faults);
    const { config } = loaded;
    let sink: FileSink | null = null;
    const ledger = (options.openLedger ?? openSqliteLedger)({
      file: join(home, "state/ledger.sqlite"),
      clock,
      timezone: config.timezone,
      sinceBootMs: systemSinceBootMs,
      recordedCosts: (ids) => recordedCosts(config.audit.file, ids),
      trail: {
        since: (mark, fromMs) => trailSince(config.audit.file, mark, fromMs),
        durable: () => sink?.durable() ?? null,
      },
      onNote: (note) => report(`ledger: ${note}`),
      onFault: (fault) => report(fault === null ? "ledger: works again" : `ledger: ${fault}`),
    });
    let daemon: Daemon | null = null;
    try {
      const { file } = config.audit;
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      const vault = new VaultStore({
        file: join(home, "vault.age"),
        marksFile: join(home, "state/vault.json"),
        cipher: createVaultCipher(),
        clock,
      });
      const trail = openTrail({ home, config, clock, vault, report });
      ({ sink } = trail);
      daemon = new Daemon(options, config, { ledger, vault, ...trail });
      await daemon.#open(config, source);
      return daemon;
    } catch (error) {
      await (daemon === null ? ledger.close() : daemon.close());
      throw error;
    }
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
    void this.#sealer.retry();
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
    const { configFile, home } = this.#options;
    const ok = await this.#generations.apply(await loadConfigApart(configFile, { home }));
    const { fault, current, restartNeeded } = this.#generations;
    if (!ok) return { ok, text: (fault?.faults ?? []).map(formatFault).join("\n") };
    const live = `configuration ${current.number} is live`;
    return { ok, text: restartNeeded.length === 0 ? live : `${live}\n${restartText(restartNeeded)}` };
  }

  /**
   * Takes no new work, lets what runs finish for `graceMs`, then cuts it; settles and writes everything. Nothing is lost
   * on either way.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const stopped = Promise.all(this.#listeners.map((listener) => listener.stop()));
    if (this.#inFlight > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, graceMs);
      await Promise.race([idle, late]);
      clearTimeout(timer);
    }
    await Promise.all(this.#listeners.map((listener) => listener.kill()));
    void stopped;
    if (this.#inFlight > 0) {
      // Cut requests settle when their clients are gone, which is now: a turn or two of the event loop.
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        setTimeout(resolve, 1_000);
      });
    }
    await this.close();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.endAsking();
    await this.#home[Symbol.asyncDispose]();
    // Where opening failed half-way, the first ones listen already.
    await Promise.all(this.#listeners.map((listener) => listener.kill()));
    for (const part of this.#disposables.toReversed()) await part[Symbol.asyncDispose]();
    this.#saveCounters();
    this.#shelf.saveAll();
    this.#dashboard.close();
    await this.#contents[Symbol.asyncDispose]();
    await this.#sink[Symbol.asyncDispose]();
    await this.#sealer[Symbol.asyncDispose]();
    await this.#ledger.close();
    this.#keys.close();
    this.#vault.lock();
  }

  async #open(config: Config, source: ConfigText): Promise<void> {
    const { clock, random, report, home, configFile } = this.#options;
    this.#restoreCounters();
    const shared: Shared = {
      clock,
      random,
      ledger: this.#ledger,
      sink: this.#sink,
      tally: this.#dashboard,
      contents: this.#contents,
      limits: this.#limits,
      agentLimiter: new AgentLimiter(clock, this.#shelf),
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
    for (const { socketPath } of config.listen) if (socketPath !== undefined) await removeStaleSocket(socketPath);
    await this.#listenAll(config);
    this.#timers.push(setInterval(() => void this.#home.discover(), discoverEveryMs));
    this.#disposables.push(
      watchConfig(configFile, (changed) => this.#applySource(changed), { clock, loaded: source }),
      serveAdmin(join(home, "run/admin.sock"), {
        stats: () => this.#statsText(),
        // In one step: no line can come between the books and where the trail stands.
        ledger: (sinceDay) =>
          JSON.stringify({ ...this.#ledger.report(sinceDay), trail_seq: this.#sink.health().entries }),
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
        agents: () => [...this.config.agents.keys()],
        unlockVault: (kind, secret, acceptOlder) => this.unlockVault(vaultKey(kind, secret), acceptOlder),
        dashboard: {
          isOpen: () => this.config.stats.access === "loopback",
          invite: () => this.#dashboard.access.invite(),
          revokeAll: () => this.#dashboard.access.revokeAll(),
        },
        acceptTrail: () => this.#acceptTrail(),
        stop: () => this.#stopRequested(),
      }),
    );
    this.#timers.push(setInterval(() => this.#saveCounters(), saveCountersEveryMs));
    void this.#dashboard.readTrail();
    if (this.#onDesktop) void this.#missing?.askAtStart(this.#startProviders());
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
    await Promise.race([this.#sealer.open(), late.promise]);
    clearTimeout(timer);
  }

  async #applySource(source: ConfigText): Promise<void> {
    const { configFile, home } = this.#options;
    await this.#generations.apply(await loadConfigApart(configFile, { home }, source));
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
    this.#ledger.setZone(config.timezone);
    this.#runTokens.retain(config.agents);
    this.#sink.configure(rotationOf(config));
    if (config.audit.content !== "full") void this.#contents.configure(null);
  }

  #acceptTrail(): { readonly ok: boolean; readonly text: string } {
    const { alarms, fault } = this.#sealer.status();
    if (!this.#sealer.accept())
      return { ok: false, text: `the trail is not sealed: ${fault ?? "there is no key yet"}` };
    const from = this.#sink.health().entries;
    return {
      ok: true,
      text: `accepted: ${alarms.length} alarms are closed, and the trail is verified from line ${from} on`,
    };
  }

  /** Requests that the last process left open get their line before the first new one is served. */
  async #reconcile(): Promise<void> {
    const open = this.#ledger.openRequests();
    const parts = { sink: this.#sink, journal: this.#ledger, tally: this.#dashboard, clock: this.#options.clock };
    const lines = await recordInterrupted(
      parts,
      open.map(({ requestId, facts, attempts }) => ({
        id: requestId,
        facts,
        charges: attempts.map(({ candidate, chargedNanos }) => ({ candidate, nanos: chargedNanos })),
      })),
    );
    if (lines > 0) this.#options.report(`${lines} requests were interrupted by the last stop; their holds are charged`);
  }

  async #listenAll(config: Config): Promise<void> {
    const newId = createRequestIds(this.#options.clock);
    const operations = this.#operations();
    for (const address of config.listen) {
      const parts = {
        address,
        hostNames: config.hostNames,
        tls: config.tls,
        newId,
        handle: (arrived: Arrived) => this.#handle(arrived),
        operations,
        report: this.#options.report,
      };
      const [asked, ...twins] = await listenOnLoopback(parts, config.listen);
      this.#urls.push(asked!.url);
      this.#listeners.push(asked!, ...twins);
    }
  }

  async #handle(arrived: Arrived): Promise<GatewayResponse> {
    if (this.#stopping) throw new GatewayError("DOOR_STOPPING", { retryAfterSeconds: 2 });
    const generation = this.#generations.acquire();
    this.#inFlight++;
    const leave = (): void => {
      this.#generations.release(generation);
      if (--this.#inFlight === 0) this.#idle?.();
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

  #operations(): Operations {
    return createOperations({
      stats: this.#statsText,
      metrics: () => metricsText(this.#stats(), this.#tally, this.#ledger.health().exceeded),
      watchStats: (signal) => this.#changes.watch(signal),
      notReady: () =>
        whyNotReady({
          stopping: this.#stopping,
          auditFault: this.#sink.health().fault?.message ?? this.#contents.fault,
          ledgerFault: this.#ledger.health().fault,
          generation: this.#generations.current.value,
          keys: this.#keys,
        }),
      access: () => this.config.stats.access,
      requireToken: (headers) => this.#requireToken(headers),
      dashboard: this.#dashboard.pages,
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
  return `${names}: the change needs a restart (\`sanctum stop\`, then \`sanctum start\`)`;
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
