import { code, fence, page, sentences, table } from "./page.ts";
import { sampleStats } from "./sample-day.ts";

const fieldSentences: Readonly<Record<string, string>> = {
  version: "Of the gateway.",
  now: "Time of the document, in `timezone`.",
  day: "The budget day.",
  day_ends_at: "When the next one begins and the caps are full again.",
  uptime_s: "Seconds since the start.",
  in_flight: "Requests being served.",
  "config.generation": "Configurations loaded since the start.",
  "config.loaded_at": "When the one in force was loaded.",
  "config.fault":
    "Null, or since when the file is faulty (`since`) and each fault (`messages`). The old configuration is in force.",
  "agents.NAME.daily_usd": "Cap of the day.",
  "agents.NAME.spent_usd": "Spent in the day.",
  "agents.NAME.held_usd": "Put aside for requests in flight.",
  "agents.NAME.remaining_usd": "What is left: cap less spent less held.",
  "agents.NAME.over_budget": "Nothing is left.",
  "agents.NAME.requests": "Requests of the day that have ended.",
  "agents.NAME.cloud": "Served by a provider that is not local.",
  "agents.NAME.local": "Served by a local model.",
  "agents.NAME.fallbacks": "Served by another candidate than the first.",
  "agents.NAME.refused": "Refused: identity, budget or limits.",
  "agents.NAME.errors": "Neither served, nor refused, nor left by the client.",
  "agents.NAME.input_tokens": "Prompt tokens, from and into caches included.",
  "agents.NAME.output_tokens": "Output tokens.",
  "agents.NAME.hour.cap_usd": "Only where the agent has `hourly_usd`: cap of the present hour.",
  "agents.NAME.hour.spent_usd": "Spent in the hour.",
  "agents.NAME.hour.held_usd": "Put aside for requests in flight that began in it.",
  "agents.NAME.hour.remaining_usd": "What is left of it.",
  "agents.NAME.month.cap_usd": "Only where the agent has `monthly_usd`: cap of the present month.",
  "agents.NAME.month.spent_usd": "Spent in the month.",
  "agents.NAME.month.held_usd": "Put aside for requests in flight.",
  "agents.NAME.month.remaining_usd": "What is left of it.",
  "providers.NAME.state":
    "`closed`: it is asked. `open`: it failed too often and is left alone. `half_open`: one request finds out. Where one " +
    "model alone was asked since it last answered, it is that model's.",
  "providers.NAME.requests": "Attempts that were sent in the day.",
  "providers.NAME.errors": "Those that failed.",
  "providers.NAME.key": "`ok`, `missing`, `locked`, `rejected` (by the provider), or `none` (it needs none).",
  "providers.NAME.latency_ms.p50":
    "Median of the last 512 good attempts, whole answers, in milliseconds; null before the first.",
  "providers.NAME.latency_ms.p95": "95th percentile.",
  "providers.NAME.latency_ms.p99": "99th percentile.",
  "providers.NAME.limits.requests.limit":
    "Requests in a window (a minute, as a rule), from the configuration or from the provider's answers, whichever is tighter " +
    "now. `tokens` (both directions together), `input_tokens` and `output_tokens` stand beside `requests` where they are known.",
  "providers.NAME.limits.requests.remaining": "What is left of it.",
  "providers.NAME.limits.requests.resets_at": "When it is full again; null where that is not known.",
  "providers.NAME.limits.configured.requests.limit":
    "Only where the configuration has limits: its own, for all models together. `concurrent` stands beside `requests`.",
  "providers.NAME.limits.configured.requests.remaining": "What is left of it.",
  "providers.NAME.limits.configured.requests.resets_at": "When it is full again.",
  "providers.NAME.limits.models.NAME.requests.limit":
    "Only where the provider told: by the name under which it counts models (`claude-sonnet-4` for all of that generation). " +
    "Where each agent brings a key of its own, the same stands in `limits.agents`, by agent.",
  "providers.NAME.limits.models.NAME.requests.remaining":
    "What was left of it at the last answer, less what was sent since.",
  "providers.NAME.limits.models.NAME.requests.resets_at": "When it is full again; null where that is not known.",
  "providers.NAME.waiting": "Requests that stand in line for their turn.",
  "providers.NAME.backoff_until":
    "Until when the provider, or else the model of it that rests longest, is left alone after a refusal, UTC; null where none " +
    "is. Credit that is used up rests until the time that the provider stated; one request looks every five minutes.",
  "providers.NAME.models.MODEL.state":
    "Only where one is: of a model that is left alone by itself, its breaker, as above. What the vendor limits together stands as one, such as " +
    "`claude-opus-4`. Models that are asked as usual are not listed.",
  "providers.NAME.models.MODEL.backoff_until": "Until when after a refusal, UTC; null where only its breaker is open.",
  "providers.NAME.server.state":
    "Only where it is local, as it was seen last. `ready`; `loading`: it is there, its model is not yet; `down`: nobody " +
    "answers there, so it is passed over; `unknown`: not seen yet.",
  "providers.NAME.server.since": "Since when.",
  "providers.NAME.server.loaded": "The models in its memory; null where it does not say.",
  "providers.NAME.server.concurrent":
    "Requests that it is given at once; the others wait in line. Null: all that come.",
  missing_models:
    "Only where there is one: names of the configuration whose model its local server does not have (`name`, `provider`, " +
    "`model`), the one that answers in its place or null (`instead`), and what helps (`message`). Requests for the name go " +
    "to the next candidate until the model is there.",
  "models.NAME.requests": "Attempts at this candidate in the day. Beyond 200 names the rest is counted as `other`.",
  "models.NAME.spent_usd": "What they cost.",
  "models.NAME.input_tokens": "Their prompt tokens.",
  "models.NAME.output_tokens": "Their output tokens.",
  "models.NAME.price_drift":
    "Only where the provider tells its own figures (OpenRouter): by which share they differ from the price list (0.05: 5 % " +
    "dearer); null where the list has the model as free. Above 2 % the log says so once a day.",
  "audit.entries": "Number of the last line of the trail.",
  "audit.head": "Its hash.",
  "audit.last_written_at": "When it was written; null where none was since the start.",
  "audit.fault": "Null, or since when lines can't be written (`since`) and why (`message`).",
  "audit.seal.key":
    "Where the key of the trail's seals is: `keychain`, `vault` or `file` (weaker); null while there is none, and nothing is sealed.",
  "audit.seal.seq": "The last line that is sealed.",
  "audit.seal.fault": "Null, or why nothing is sealed now.",
  "audit.alarms":
    "What somebody has done to the trail (`at`, `text`), newest last, twenty at most; `sanctum audit accept` closes them.",
  "ledger.fault": "Null, or why nothing is spent at present, and what to do.",
  "ledger.exceeded": "Settlements above their hold since the start: a bound was wrong. The real cost is charged.",
  "ledger.expired": "Holds that nobody ended before their deadline, since the start. They are charged in full.",
  "ledger.notes":
    "What was odd since the start, newest last, twenty at most: a clock that was set, holds that were forgotten, charges " +
    "that were restored from the audit trail. The ledger's file keeps the last thousand, in the table `notes`.",
  "overload.level":
    "`none`; `closing_connections`: answers end their connection; `shedding`: new requests get 503 as well.",
  "overload.reasons": "What is short: event loop, memory, file descriptors, or requests in flight.",
  "overload.shed": "Requests turned away for that since the start of this process.",
  "totals.requests": "Requests of the day that have ended, with or without an agent.",
  "totals.spent_usd": "Spent by all agents.",
  "totals.saved_usd": "What local answers would have cost at the models that were asked for.",
  "totals.local_share": "Share of served requests that a local model served, 0 to 1.",
};

/** Members of these are named by users, and how they stand in the table. */
const named: ReadonlyMap<string, string> = new Map([
  ["agents", "NAME"],
  ["providers", "NAME"],
  ["models", "NAME"],
  ["providers.NAME.models", "MODEL"],
  ["providers.NAME.limits.models", "NAME"],
]);

export function statsPage(): string {
  const { stats } = sampleStats();
  const told = sentences("stats", fieldSentences);
  const names = new Set(leavesOf(sampleStats(true).stats, ""));
  const rows = [...names].map((name) => [code(name), told.of(name)]);
  told.end();
  return page(
    "/stats",
    introduction,
    fence("json", JSON.stringify(stats, null, 2)),
    "## Fields",
    table(["Field", "What it is"], rows),
  );
}

const introduction = `
\`GET /stats\` is the day as one JSON document; \`sanctum stats\` shows the same as tables. Money is in USD with six decimals at
most. What is counted is counted for the current budget day and survives a restart; latency is that of this process.

\`GET /stats/stream\` sends the document as a server-sent event at once and after each change, four a second at most.

\`\`\`sh
curl http://127.0.0.1:4040/stats
curl http://127.0.0.1:4040/stats -H 'authorization: Bearer TOKEN'    # with stats.access: token, or from another machine
\`\`\``;

function leavesOf(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path];
  return Object.entries(value as Readonly<Record<string, unknown>>).flatMap(([name, member]) => {
    const own = named.get(path) ?? name;
    return leavesOf(member, path === "" ? own : `${path}.${own}`);
  });
}
