// What the schema does not say of each key of config.yaml: what holds without it, when a change of it takes effect, and what
// else a person needs to know. `generate` fails where a key is missing here, or is here and nowhere else.

import {
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
} from "../../src/config/defaults.ts";
import type { Timeouts } from "../../src/request.ts";
import { serverProfiles } from "../../src/wire/profiles/server-profiles.ts";

export interface ConfigNote {
  /** As YAML where writing it is the same as leaving the key out. */
  readonly yaml?: string;
  /** In words where it depends on something, or where there is none. */
  readonly says?: string;
  /** Follows the schema's sentence. */
  readonly more?: string;
  /** Takes the place of the schema's sentence. */
  readonly about?: string;
  /** What is read and checked, but not built in this version. */
  readonly pending?: string;
  /** Read at the start only. */
  readonly restart?: true;
}

const required: ConfigNote = { says: "required" };
const nothing: ConfigNote = { says: "–" };
const noLimit: ConfigNote = { says: "no limit" };
const anything: ConfigNote = { says: "anything" };

function seconds(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** A local server is given more time. */
function timeout(name: Exclude<keyof Timeouts, "elastic" | "loadingMs">, more: string): ConfigNote {
  const cloud = seconds(cloudTimeouts[name]);
  const local = seconds(localTimeouts[name]);
  return cloud === local ? { yaml: cloud, more } : { says: `\`${cloud}\`; local: \`${local}\``, more };
}

const named = [...namedDailyUsd].map(([name, amount]) => `\`${amount}\` for \`${name}\``).join(", ");

export const configNotes: Readonly<Record<string, ConfigNote>> = {
  listen: {
    yaml: defaultListen,
    restart: true,
    more:
      "IP addresses with their port, `localhost`, or `unix:/path`. Off loopback there are no anonymous callers and " +
      "`/stats` needs a token. A public address needs `tls`. A loopback address takes its port on both `127.0.0.1` and " +
      "`::1`, so that nobody else answers under `localhost`. A Unix socket is made with mode 0600; who can open it is a " +
      "caller of this machine.",
  },
  host_names: {
    yaml: "[]",
    restart: true,
    more: "For a gateway behind a name or a reverse proxy. Any other `Host` is answered 421.",
  },
  tls: { says: "none", restart: true },
  "tls.cert_file": { ...required, restart: true },
  "tls.key_file": { ...required, restart: true },
  timezone: {
    yaml: "local",
    more: "`local` is the zone of this machine. A change counts from the next day on.",
  },
  identity: nothing,
  "identity.anonymous": {
    yaml: "loopback",
    more: "`loopback`: whoever calls from this machine. `never`: nobody.",
  },
  agents: {
    says: "`default` alone",
    more: "a-z, 0-9, - and _, beginning with a letter. `default` is who calls without a token. `sanctum agents add` writes here.",
  },
  "agents.NAME": nothing,
  "agents.NAME.daily_usd": {
    says: `\`${otherDailyUsd}\`; ${named}`,
    more: "A day is a calendar day in `timezone`.",
  },
  "agents.NAME.hourly_usd": { ...noLimit, more: "Beside the cap of the day, not in its place." },
  "agents.NAME.monthly_usd": { ...noLimit, more: "A calendar month." },
  "agents.NAME.requests_per_minute": { ...noLimit, more: "Beyond it: 429 `LIMITS_AGENT_RATE`." },
  "agents.NAME.max_concurrent": { ...noLimit, more: "Beyond it: 429 `LIMITS_AGENT_CONCURRENT`." },
  "agents.NAME.models": {
    says: "all",
    more: "Meant is the name that is asked for. Fallback is not bound by it.",
  },
  "agents.NAME.over_budget": {
    yaml: "local",
    more: "`refuse` ends the request at the first candidate that the caps do not cover.",
  },
  "agents.NAME.tokens": {
    yaml: "[]",
    more:
      "Without one, nobody can call as this agent, `default` excepted. The token itself is never in the file. One that " +
      "ends by itself has its moment behind it, in UTC: `sha256:… until 2026-11-28T06:45:00Z`, as " +
      "`sanctum agents rotate NAME --overlap 1h` writes it; from then on it is unknown, and the entry can stay or go.",
  },
  providers: { says: "`anthropic`, `openrouter`, `openai`, and local servers found on their usual ports" },
  "providers.NAME": { says: "–", more: "What is written for a built-in provider changes it; the rest stays." },
  "providers.NAME.url": {
    says: "required, unless built in",
    more: "`http:` only to loopback and private addresses.",
  },
  "providers.NAME.dialects": {
    says: "that of the built-in provider, else `[chat]`",
    about:
      "The wire formats that it speaks. The client's own is used where it is listed; otherwise the first of " +
      "`messages`, `chat`, `responses` that is.",
  },
  "providers.NAME.key": {
    says: "`keychain`; local: `none`",
    more:
      "`keychain`: the operating system's, filled by `sanctum keys set`. `passthrough`: each client brings its own. " +
      "`vault`: always the encrypted file, which otherwise stands in where there is no keychain. Or a command.",
  },
  "providers.NAME.key.command": {
    ...required,
    about:
      "A program and its arguments, run without a shell, for ten seconds at most. What it prints is the key; several keys " +
      "are printed a line each, and used in that order.",
  },
  "providers.NAME.local": {
    yaml: "false",
    more:
      "It is looked at every few seconds: passed over while nobody answers there, waited for while it loads its model. " +
      "`sanctum status` shows how it stands, and names whose model it does not have.",
  },
  "providers.NAME.headers": { yaml: "{}" },
  "providers.NAME.headers.HEADER": { says: "–", about: "The value of one header: visible ASCII." },
  "providers.NAME.ca_file": { says: "the system's authorities" },
  "providers.NAME.timeouts": nothing,
  "providers.NAME.timeouts.connect": timeout(
    "connectMs",
    "Then the next candidate. A name that means no host, a refused connection and a failed handshake are told at once.",
  ),
  "providers.NAME.timeouts.first_byte": timeout(
    "firstByteMs",
    "Then the next candidate. Unless it is set, an answer in one piece gets a second more for each 30 tokens of output that " +
      "the client allows, ten minutes at most: it comes when all of it is written.",
  ),
  "providers.NAME.timeouts.first_content": timeout(
    "firstContentMs",
    "Then the next candidate. The opening event of a stream, keep-alives and empty pieces are no content. Unless it is set, " +
      "an answer in one piece gets as much more as for `first_byte`, and a model that thinks unseen has five minutes.",
  ),
  "providers.NAME.timeouts.idle": timeout(
    "idleMs",
    "Then the stream ends in an error event. Keep-alives, comments and empty pieces do not count. Unless it is set, a model " +
      "that thinks unseen has two minutes.",
  ),
  "providers.NAME.timeouts.total": timeout(
    "totalMs",
    "Against answers that never end: whatever comes, the attempt is cut then. Bytes and events of a stream are bounded, too.",
  ),
  "providers.NAME.timeouts.loading": {
    says: `local: \`${seconds(localTimeouts.loadingMs)}\``,
    more:
      "A server that says that it is loading is waited for, while the client hears keep-alives; one that loads unasked " +
      "(Ollama, LM Studio) gets it on top of the two first ones. It is no failure.",
  },
  "providers.NAME.limits": {
    says: "–",
    more:
      "What the provider itself says in the headers of its answers is followed too, model by model, whatever is written here. " +
      "What was taken survives a restart.",
  },
  "providers.NAME.limits.requests_per_minute": noLimit,
  "providers.NAME.limits.input_tokens_per_minute": noLimit,
  "providers.NAME.limits.output_tokens_per_minute": noLimit,
  "providers.NAME.limits.concurrent": {
    says: `none; local: what llama.cpp tells (\`--parallel\`), else \`${serverProfiles.ollama.places}\` (vLLM \`${serverProfiles.vllm.places}\`, servers of unknown kind none)`,
    more: "Beyond it one waits for a place, as `max_wait` says.",
  },
  "providers.NAME.limits.max_wait": {
    says: "`2s`; `10s` where no other candidate is left; local: `timeouts.first_byte`",
    more:
      "Only where it will probably be served within that time; else the next candidate has its turn at once. `0s`: never. " +
      "From `0s` to `5m`. 32 requests of an agent wait at most.",
  },
  "providers.NAME.retry": {
    says: "–",
    more:
      "The next candidate is asked first, unless waiting is known to be quicker. A candidate is asked again only after what can " +
      "pass by itself, and second tries are at most a tenth of a provider's first ones (or three in ten seconds).",
  },
  "providers.NAME.retry.attempts": { yaml: String(defaultRetry.attempts) },
  "providers.NAME.retry.base": {
    yaml: seconds(defaultRetry.baseMs),
    more: "Where the provider says when to come back, that holds instead: up to ten seconds for a request that waits.",
  },
  "providers.NAME.retry.max": { yaml: seconds(defaultRetry.maxMs) },
  models: {
    says: "`coder-14b` and `gemma-4`, bound to the best match that a local server offers",
    more: "Letters, digits and `. _ : @ / -`.",
  },
  "models.ALIAS": nothing,
  "models.ALIAS.provider": {
    ...required,
    about: "The name of a provider: built in, configured, or one of `ollama`, `lmstudio`, `llamacpp`, `vllm`, `mlx`.",
  },
  "models.ALIAS.model": required,
  "models.ALIAS.context": {
    says: "what the local server tells; else the catalogue's; else 4096 for Ollama, unknown for others",
    more: "A prompt that certainly does not fit is not sent. Ollama would drop the beginning of a longer one without a word; what it holds (`OLLAMA_CONTEXT_LENGTH`, `num_ctx`) is asked of it when a prompt comes that needs more than 4096 tokens.",
  },
  "models.ALIAS.max_output": { says: "the catalogue's; unknown otherwise" },
  "models.ALIAS.price": {
    says: "the catalogue's; else the dearest known of the provider",
    more: "A local model is free, whatever is written here.",
  },
  "models.ALIAS.price.input": required,
  "models.ALIAS.price.output": required,
  "models.ALIAS.price.cache_read": { says: "that of `input`" },
  "models.ALIAS.price.cache_write": { says: "1.25 times `input`; twice for the cache of an hour" },
  fallback: {
    says: "`coder-14b`, `gemma-4`; where neither is there, every local model, largest window first",
    more: "`[]` switches it off.",
  },
  routes: { yaml: "[]", more: "The first rule that matches gives the candidates; `fallback` follows them." },
  "routes[].name": { says: "`route-1`, `route-2`, …", about: "Shown in the audit line. Not `default`." },
  "routes[].when": { says: "always" },
  "routes[].when.model": anything,
  "routes[].when.agent": anything,
  "routes[].when.intent": {
    ...anything,
    pending: "no request has an intent in this version, so a rule with this condition never matches.",
  },
  "routes[].when.dialect": { ...anything, about: "The client's wire format." },
  "routes[].when.input_tokens": {
    ...anything,
    more: 'A bound such as `"<8000"` or `">1000 <8000"`. An estimate: a token for each 3.5 bytes.',
  },
  "routes[].when.has": nothing,
  "routes[].when.has.tools": anything,
  "routes[].when.has.images": anything,
  "routes[].when.has.thinking": anything,
  "routes[].when.has.json": anything,
  "routes[].when.time": { ...anything, more: 'A span such as `"22:00-06:00"`, in `timezone`.' },
  "routes[].when.budget_used": { ...anything, more: 'A bound such as `">0.8"` or `"<50%"`; holds count as used.' },
  "routes[].when.header": anything,
  "routes[].when.header.name": { ...required, about: "In any case. Not a header for credentials." },
  "routes[].when.header.value": { ...required, about: "A glob; `*` asks only that the header is there." },
  "routes[].use": {
    ...required,
    more: "Aliases, `provider/model`, or names in a vendor's own form (`claude-*`, `gpt-*`).",
  },
  stream: nothing,
  "stream.takeover": {
    yaml: "text",
    more:
      "With `text` a stream that breaks off, stalls or reaches the agent's cap is carried on once, by the next local model of " +
      "the plan, and tool calls wait until they are complete. With `off` it ends in the dialect's error event, and tool calls " +
      "stream as they come.",
  },
  "stream.keep_alive": {
    yaml: `${defaultKeepAliveMs / 1_000}s`,
    more:
      "As the dialect's own keep-alive: an event `ping`, a comment, or `response.in_progress`. Where nobody has " +
      "answered for so long, the stream is opened with it; from then on a failure comes as an error event in it.",
  },
  stop: nothing,
  "stop.grace": {
    yaml: `${defaultStopGraceMs / 1_000}s`,
    more:
      "`5m` at most. New requests get 503 meanwhile. What runs longer is cut, settled and audited; a second signal does so at " +
      "once. `sanctum restart` cuts nothing. A service's unit allows for the longest.",
  },
  overload: nothing,
  "overload.in_flight": {
    yaml: String(defaultMostInFlight),
    more:
      "Beyond it new ones get 503 with `retry-after`. So they do while the event loop is more than 500 ms late, memory is at " +
      "85 % of what the process may have, or file descriptors are at 90 %; a step before each, answers close their " +
      "connections. `/stats` and `/readyz` tell it.",
  },
  audit: nothing,
  "audit.file": {
    says: "`logs/cloud-proxy-audit.jsonl` in `SANCTUM_HOME`",
    restart: true,
    more: "Rotated files lie beside it.",
  },
  "audit.content": {
    yaml: "none",
    more:
      "`sha256`: the line has the hash of the prompt and of the answer. `full`: both are also kept, encrypted, in files of " +
      "their own, which `sanctum audit show` reads.",
  },
  "audit.content_files": nothing,
  "audit.content_files.keep": {
    yaml: `${defaultContentKeepMs / 86_400_000}d`,
    more: "Older ones are deleted. The lines stay, with their hashes.",
  },
  "audit.content_files.recipient": {
    says: "–",
    more:
      "Made by `age-keygen`. With it not even the gateway can read back what it has kept; `sanctum audit show` then needs " +
      "`--identity`. Without it the key is in the keychain, the vault or `state/`.",
  },
  "audit.rotate": nothing,
  "audit.rotate.size": { yaml: `${defaultRotate.sizeBytes / 1_000_000}MB`, more: "4KiB or more." },
  "audit.rotate.keep": { yaml: String(defaultRotate.keep), more: "Older ones are deleted." },
  "audit.rotate.every": { says: "–", more: "In `timezone`. A week begins on Monday. Without it `size` alone decides." },
  "audit.on_failure": {
    yaml: "refuse",
    more: "`refuse`: every request is answered 503 `AUDIT_UNAVAILABLE`. `continue`: they are served, and their lines follow.",
  },
  attempts: nothing,
  "attempts.deadline": {
    yaml: `${defaultAttempts.deadlineMs / 60_000}m`,
    more:
      "A client that says how long it waits (`x-stainless-timeout`) shortens it. A stream that has begun goes on; " +
      "`providers.NAME.timeouts.total` bounds it.",
  },
  "attempts.cost_factor": {
    yaml: String(defaultAttempts.costFactor),
    more:
      "Attempts that fail after they were sent may be billed. Once what they were charged leaves no room for another one, only " +
      "models that cost nothing are asked. `1`: nothing is asked for money after a failure that was charged.",
  },
  vault: nothing,
  "vault.identity": {
    says: "–",
    more:
      "Made by `age-keygen`. Without it a passphrase opens the vault: asked for on the terminal, or given by " +
      "`SANCTUM_VAULT_PASSPHRASE_FD` or a systemd credential.",
  },
  keys: nothing,
  "keys.dialog": {
    yaml: "true",
    more:
      "Where the gateway was started without a terminal: by `osascript` on macOS, by `zenity` or `kdialog` on a Linux desktop, " +
      "once an hour and provider at most. See [Keys](../keys.md).",
  },
  stats: nothing,
  "stats.access": {
    yaml: "loopback",
    more: "`loopback`: whoever calls from this machine, without a token. It holds for `/stats`, `/stats/stream` and `/metrics`.",
  },
};
