// From the checked file to the configuration that the parts take: units are converted, defaults filled in.

import { dirname, join, resolve } from "node:path";

import { nanosFromUsd, picosPerToken } from "../money.ts";
import type { KeyReference, Price, Provider } from "../request.ts";
import { parseListen, parseProviderUrl } from "./addresses.ts";
import {
  builtInProviders,
  cloudTimeouts,
  defaultAttempts,
  defaultKeepAliveMs,
  defaultMostInFlight,
  defaultStopGraceMs,
  defaultListen,
  defaultRetry,
  defaultContentKeepMs,
  defaultRotate,
  localTimeouts,
  namedDailyUsd,
  otherDailyUsd,
} from "./defaults.ts";
import type { BuiltInProvider } from "./defaults.ts";
import {
  parseDuration,
  parseShareBounds,
  parseRetention,
  parseSize,
  parseTimeRange,
  parseTokenBounds,
  parseUsd,
  parseWait,
} from "./quantities.ts";
import type { ConfigFile } from "./schema.ts";
import { parseTokenText } from "./token-text.ts";
import type { AgentEntry, Config, ListenAddress, ModelEntry, RouteConditions, RouteRule } from "./types.ts";

export interface Surroundings {
  /** `SANCTUM_HOME`. */
  readonly home: string;
  /** What `timezone: local` means; the system's where absent. */
  readonly localTimezone?: string;
}

/** `content` must have passed `checkConfig`; anything else is a bug and throws. Relative paths begin at `file`'s folder. */
export function buildConfig(content: ConfigFile, file: string, surroundings: Surroundings): Config {
  const toPath = (path: string): string => resolve(dirname(file), path);
  const zone = content.timezone ?? "local";
  return {
    listen: buildListen(content.listen),
    hostNames: (content.host_names ?? []).map((name) => name.toLowerCase()),
    tls: content.tls ? { certFile: toPath(content.tls.cert_file), keyFile: toPath(content.tls.key_file) } : undefined,
    timezone: zone === "local" ? (surroundings.localTimezone ?? systemTimezone()) : zone,
    anonymous: content.identity?.anonymous ?? "loopback",
    agents: buildAgents(content.agents),
    providers: buildProviders(content.providers, toPath),
    models: buildModels(content.models),
    fallback: content.fallback ?? undefined,
    routes: (content.routes ?? []).map((route, index) => buildRoute(route, index)),
    takeover: content.stream?.takeover ?? "text",
    keepAliveMs: sure(parseDuration, content.stream?.keep_alive) ?? defaultKeepAliveMs,
    stopGraceMs: content.stop?.grace === undefined ? defaultStopGraceMs : (parseDuration(content.stop.grace) ?? 0),
    mostInFlight: content.overload?.in_flight ?? defaultMostInFlight,
    attempts: {
      deadlineMs: sure(parseDuration, content.attempts?.deadline) ?? defaultAttempts.deadlineMs,
      costFactor: content.attempts?.cost_factor ?? defaultAttempts.costFactor,
    },
    vault: { identityFile: content.vault?.identity === undefined ? undefined : toPath(content.vault.identity) },
    keys: { dialog: content.keys?.dialog ?? true },
    namedProviders: namedProviders(content),
    audit: {
      file:
        content.audit?.file === undefined
          ? join(surroundings.home, "logs", "cloud-proxy-audit.jsonl")
          : toPath(content.audit.file),
      content: content.audit?.content ?? "none",
      rotate: {
        sizeBytes: sure(parseSize, content.audit?.rotate?.size) ?? defaultRotate.sizeBytes,
        keep: content.audit?.rotate?.keep ?? defaultRotate.keep,
        every: content.audit?.rotate?.every,
      },
      contentFiles: {
        keepMs: sure(parseRetention, content.audit?.content_files?.keep) ?? defaultContentKeepMs,
        recipient: content.audit?.content_files?.recipient,
      },
      onFailure: content.audit?.on_failure ?? "refuse",
    },
    stats: { access: content.stats?.access ?? "loopback" },
  };
}

/** What was checked must parse again: a quiet default in its place could be a missing cap. */
function sure<In, Out>(parse: (value: In) => Out | undefined, value: In | undefined): Out | undefined {
  if (value === undefined) return undefined;
  const result = parse(value);
  if (result === undefined) throw new Error("a checked value can't be read");
  return result;
}

function systemTimezone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function buildListen(listen: ConfigFile["listen"]): ListenAddress[] {
  const texts = listen === undefined ? [defaultListen] : typeof listen === "string" ? [listen] : listen;
  return texts.map((text) => sure(parseListen, text)!);
}

type AgentFile = NonNullable<NonNullable<ConfigFile["agents"]>[string]>;
type ProviderFile = NonNullable<NonNullable<ConfigFile["providers"]>[string]>;
type ModelFile = NonNullable<ConfigFile["models"]>[string];
type RouteFile = NonNullable<ConfigFile["routes"]>[number];

function buildAgents(file: ConfigFile["agents"]): Map<string, AgentEntry> {
  const agents = new Map<string, AgentEntry>();
  for (const [name, agent] of Object.entries(file ?? {})) agents.set(name, buildAgent(name, agent ?? {}));
  if (!agents.has("default")) agents.set("default", buildAgent("default", {}));
  return agents;
}

function buildAgent(name: string, file: AgentFile): AgentEntry {
  const nanos = (usd: number | string | undefined): number | undefined => {
    const amount = sure(parseUsd, usd);
    return amount === undefined ? undefined : nanosFromUsd(amount);
  };
  return {
    name,
    caps: {
      daily: nanos(file.daily_usd) ?? nanosFromUsd(namedDailyUsd.get(name) ?? otherDailyUsd),
      hourly: nanos(file.hourly_usd),
      monthly: nanos(file.monthly_usd),
    },
    requestsPerMinute: file.requests_per_minute,
    maxConcurrent: file.max_concurrent,
    models: file.models,
    overBudget: file.over_budget ?? "local",
    tokens: (file.tokens ?? []).map((token) => sure(parseTokenText, token)!),
  };
}

function buildProviders(file: ConfigFile["providers"], toPath: (path: string) => string): Map<string, Provider> {
  const providers = new Map<string, Provider>();
  // The three of the house come first, in their order, whether the file changes them or not.
  for (const [name, base] of builtInProviders) providers.set(name, buildProvider(name, {}, base, toPath));
  for (const [name, entry] of Object.entries(file ?? {})) {
    providers.set(name, buildProvider(name, entry ?? {}, builtInProviders.get(name), toPath));
  }
  return providers;
}

/** A server found on this machine. `url` as `parseProviderUrl` takes it; throws an Error for another. */
export function localProvider(name: string, url: string): Provider {
  return buildProvider(name, { url, local: true }, undefined, (path) => path);
}

/** Defined, meant by a model's name, or asked for as `provider/model`. */
function namedProviders(file: ConfigFile): Set<string> {
  const named = new Set(Object.keys(file.providers ?? {}));
  for (const { provider } of Object.values(file.models ?? {})) named.add(provider);
  for (const model of [...(file.fallback ?? []), ...(file.routes ?? []).flatMap(({ use }) => use)]) {
    const [provider, ...rest] = model.split("/");
    if (rest.length > 0) named.add(provider!);
  }
  return named;
}

function buildProvider(
  name: string,
  file: ProviderFile,
  base: BuiltInProvider | undefined,
  toPath: (path: string) => string,
): Provider {
  const local = file.local ?? false;
  const url = parseProviderUrl(file.url ?? base?.url ?? "");
  if ("fault" in url) throw new Error("a checked URL can't be read");
  const usual = local ? localTimeouts : cloudTimeouts;
  const headers: Record<string, string> = {};
  for (const [header, value] of Object.entries(file.headers ?? {})) headers[header.toLowerCase()] = value;
  return {
    name,
    url: url.url,
    dialects: file.dialects ?? base?.dialects ?? ["chat"],
    local,
    key: buildKey(file.key, local),
    headers,
    caFile: file.ca_file === undefined ? undefined : toPath(file.ca_file),
    timeouts: {
      connectMs: sure(parseDuration, file.timeouts?.connect) ?? usual.connectMs,
      firstByteMs: sure(parseDuration, file.timeouts?.first_byte) ?? usual.firstByteMs,
      firstContentMs: sure(parseDuration, file.timeouts?.first_content) ?? usual.firstContentMs,
      idleMs: sure(parseDuration, file.timeouts?.idle) ?? usual.idleMs,
      ...(local ? { loadingMs: sure(parseDuration, file.timeouts?.loading) ?? localTimeouts.loadingMs } : {}),
      totalMs: sure(parseDuration, file.timeouts?.total) ?? usual.totalMs,
      elastic: {
        firstByte: file.timeouts?.first_byte === undefined,
        firstContent: file.timeouts?.first_content === undefined,
        idle: file.timeouts?.idle === undefined,
      },
    },
    limits: {
      requestsPerMinute: file.limits?.requests_per_minute,
      inputTokensPerMinute: file.limits?.input_tokens_per_minute,
      outputTokensPerMinute: file.limits?.output_tokens_per_minute,
      concurrent: file.limits?.concurrent,
      maxWaitMs: sure(parseWait, file.limits?.max_wait),
    },
    retry: {
      attempts: file.retry?.attempts ?? defaultRetry.attempts,
      baseMs: sure(parseDuration, file.retry?.base) ?? defaultRetry.baseMs,
      maxMs: sure(parseDuration, file.retry?.max) ?? defaultRetry.maxMs,
    },
  };
}

function buildKey(key: ProviderFile["key"], local: boolean): KeyReference {
  if (key === undefined) return { from: local ? "none" : "keychain" };
  return typeof key === "string" ? { from: key } : { from: "command", argv: key.command };
}

function buildModels(file: ConfigFile["models"]): Map<string, ModelEntry> {
  const models = new Map<string, ModelEntry>();
  for (const [name, model] of Object.entries(file ?? {})) {
    models.set(name, {
      name,
      provider: model.provider,
      model: model.model,
      context: model.context,
      maxOutput: model.max_output,
      price: model.price === undefined ? undefined : buildPrice(model.price),
    });
  }
  return models;
}

/** Anthropic's ratios, the dearest of any vendor, where the file gives none: a cost must not be understated. */
const cacheWrite5mRatio = 1.25;
const cacheWrite1hRatio = 2;

function buildPrice(file: NonNullable<ModelFile["price"]>): Price {
  const input = picosPerToken(file.input);
  const write = picosPerToken(file.cache_write ?? file.input * cacheWrite5mRatio);
  return {
    input,
    output: picosPerToken(file.output),
    cacheRead: picosPerToken(file.cache_read ?? file.input),
    cacheWrite5m: write,
    cacheWrite1h: Math.max(write, input * cacheWrite1hRatio),
    long: null,
    source: "config",
  };
}

function buildRoute(file: RouteFile, index: number): RouteRule {
  return { name: file.name ?? `route-${index + 1}`, when: buildConditions(file.when ?? {}), use: file.use };
}

function buildConditions(when: NonNullable<RouteFile["when"]>): RouteConditions {
  return {
    model: when.model,
    agent: when.agent,
    intent: when.intent,
    dialect: when.dialect,
    inputTokens: sure(parseTokenBounds, when.input_tokens),
    has: when.has === undefined ? undefined : buildHas(when.has),
    time: sure(parseTimeRange, when.time),
    budgetUsed: sure(parseShareBounds, when.budget_used),
    header: when.header && { name: when.header.name.toLowerCase(), value: when.header.value },
  };
}

function buildHas(has: NonNullable<NonNullable<RouteFile["when"]>["has"]>): NonNullable<RouteConditions["has"]> {
  return {
    ...(has.tools !== undefined && { tools: has.tools }),
    ...(has.images !== undefined && { images: has.images }),
    ...(has.thinking !== undefined && { thinking: has.thinking }),
    ...(has.json !== undefined && { json: has.json }),
  };
}
