// `/metrics`: the text format of Prometheus, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Labels are names of configured agents and providers
// and of known outcomes, so their number is bounded.

import type { StatsDocument } from "./stats.ts";
import type { Tally } from "./tally.ts";

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** The samples of this moment. `holdsExceeded`: charges above their hold since the start. */
export function metricsText(stats: StatsDocument, tally: Tally, holdsExceeded: number): string {
  return [
    family("sanctum_requests_total", "counter", "Closed requests since the start.", requestSamples(tally)),
    ...agentFamilies(stats),
    ...providerFamilies(stats),
    family("sanctum_holds_exceeded_total", "counter", "Charges above what was held: a bound was wrong.", [
      [{}, holdsExceeded],
    ]),
    family("sanctum_in_flight", "gauge", "Requests being served.", [[{}, stats.in_flight]]),
    family("sanctum_saved_usd", "gauge", "What local answers of the day would have cost.", [
      [{}, stats.totals.saved_usd],
    ]),
    family("sanctum_audit_entries", "gauge", "Number of the last audit line.", [[{}, stats.audit.entries]]),
    family("sanctum_audit_up", "gauge", "1: audit lines can be written.", [[{}, stats.audit.fault === null ? 1 : 0]]),
    family("sanctum_audit_alarms", "gauge", "Signs of tampering that nobody has accepted.", [
      [{}, stats.audit.alarms.length],
    ]),
    family("sanctum_ledger_up", "gauge", "1: money can be spent.", [[{}, stats.ledger.fault === null ? 1 : 0]]),
    family("sanctum_ledger_holds_exceeded_total", "counter", "Settlements above their hold since the start.", [
      [{}, stats.ledger.exceeded],
    ]),
    family("sanctum_ledger_holds_expired_total", "counter", "Holds that nobody ended, since the start.", [
      [{}, stats.ledger.expired],
    ]),
    family("sanctum_overload_level", "gauge", "0: none, 1: answers close connections, 2: new requests get 503.", [
      [{}, ["none", "closing_connections", "shedding"].indexOf(stats.overload.level)],
    ]),
    family("sanctum_overload_shed_total", "counter", "Requests turned away for overload since the start.", [
      [{}, stats.overload.shed],
    ]),
    family("sanctum_config_generation", "gauge", "Configurations loaded since the start.", [
      [{}, stats.config.generation],
    ]),
    family("sanctum_config_up", "gauge", "1: the newest configuration file is in force.", [
      [{}, stats.config.fault === null ? 1 : 0],
    ]),
    family("sanctum_uptime_seconds", "counter", "Seconds since the start.", [[{}, stats.uptime_s]]),
  ].join("");
}

function requestSamples(tally: Tally): Sample[] {
  const samples: Sample[] = [];
  for (const [agent, outcomes] of tally.outcomes()) {
    for (const [outcome, count] of outcomes) samples.push([{ agent, outcome }, count]);
  }
  return samples;
}

function agentFamilies(stats: StatsDocument): string[] {
  const of = (pick: (agent: StatsDocument["agents"][string]) => number): Sample[] =>
    Object.entries(stats.agents).map(([agent, figures]) => [{ agent }, pick(figures)]);
  return [
    family(
      "sanctum_cap_usd",
      "gauge",
      "Cap of the day.",
      of((agent) => agent.daily_usd),
    ),
    family(
      "sanctum_spent_usd",
      "gauge",
      "Spent in the day.",
      of((agent) => agent.spent_usd),
    ),
    family(
      "sanctum_held_usd",
      "gauge",
      "Put aside for requests in progress.",
      of((agent) => agent.held_usd),
    ),
  ];
}

function providerFamilies(stats: StatsDocument): string[] {
  const of = (pick: (provider: StatsDocument["providers"][string]) => number): Sample[] =>
    Object.entries(stats.providers).map(([provider, figures]) => [{ provider }, pick(figures)]);
  const latencies: Sample[] = [];
  for (const [provider, { latency_ms }] of Object.entries(stats.providers)) {
    const { p50, p95, p99 } = latency_ms;
    if (p50 === null || p95 === null || p99 === null) continue;
    latencies.push([{ provider, quantile: "0.5" }, p50 / 1000]);
    latencies.push([{ provider, quantile: "0.95" }, p95 / 1000]);
    latencies.push([{ provider, quantile: "0.99" }, p99 / 1000]);
  }
  return [
    family(
      "sanctum_provider_up",
      "gauge",
      "1: the breaker is closed.",
      of((p) => (p.state === "closed" ? 1 : 0)),
    ),
    family(
      "sanctum_provider_models_down",
      "gauge",
      "Models of it that are left alone: broken, at their limit, or not there.",
      of((p) => Object.keys(p.models ?? {}).length),
    ),
    family(
      "sanctum_provider_backoff_seconds",
      "gauge",
      "Until it, or a model of it, is asked again after a refusal; 0: it is not left alone.",
      of(({ backoff_until }) => secondsUntil(backoff_until, stats.now)),
    ),
    family(
      "sanctum_provider_requests",
      "gauge",
      "Attempts sent in the day.",
      of((p) => p.requests),
    ),
    family(
      "sanctum_provider_errors",
      "gauge",
      "Attempts of the day that failed.",
      of((p) => p.errors),
    ),
    family(
      "sanctum_provider_waiting",
      "gauge",
      "Requests that stand in line for their turn.",
      of((p) => p.waiting),
    ),
    family(
      "sanctum_provider_limit",
      "gauge",
      "Limit of the account, the tightest of each kind.",
      limitSamples(stats, "limit"),
    ),
    family("sanctum_provider_limit_remaining", "gauge", "What is left of it.", limitSamples(stats, "remaining")),
    family("sanctum_provider_latency_seconds", "gauge", "Quantiles of the last good attempts.", latencies),
  ];
}

function secondsUntil(at: string | null, now: string): number {
  return at === null ? 0 : Math.max(0, Math.ceil((Date.parse(at) - Date.parse(now)) / 1_000));
}

const limitKinds = ["requests", "tokens", "input_tokens", "output_tokens"] as const;

/** Not by model: models are named by clients. */
function limitSamples(stats: StatsDocument, figure: "limit" | "remaining"): Sample[] {
  return Object.entries(stats.providers).flatMap(([provider, { limits }]) =>
    limitKinds.flatMap((kind): Sample[] => {
      const status = limits[kind];
      return status === undefined ? [] : [[{ provider, kind }, status[figure]]];
    }),
  );
}

function family(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return "";
  let text = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  for (const [labels, value] of samples) text += `${name}${labelText(labels)} ${value}\n`;
  return text;
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${labelValue(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function labelValue(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}
