// The shape of config.yaml: one place that says what each key takes, for the check, for the JSON Schema of editors and for
// the reference.

import * as v from "valibot";

import { parseListen, parseProviderUrl } from "./addresses.ts";
import type { UrlFault } from "./addresses.ts";
import { intents } from "./defaults.ts";
import { say } from "./fault.ts";
import { namePattern } from "./name-pattern.ts";
import {
  parseDuration,
  parseRetention,
  parseShareBounds,
  parseSize,
  parseTimeRange,
  parseTokenBounds,
  retentionPattern,
  sizePattern,
} from "./quantities.ts";
import { parseTokenText, tokenTextPattern } from "./token-text.ts";
import { choice, count, duration, flag, keys, list, named, parsed, path, text, usd, wait } from "./schema-parts.ts";

const nameMessage = say("is not a valid name", "use a-z, 0-9, - and _, beginning with a letter, 32 characters at most");
const name = v.pipe(v.string(nameMessage), v.regex(namePattern, nameMessage));

const aliasMessage = say(
  "is not a valid model name",
  "use letters, digits and . _ : / - (128 characters at most), and not the prefix sanctum/",
);
const alias = v.pipe(
  v.string(aliasMessage),
  v.regex(/^(?!sanctum\/)[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}$/, aliasMessage),
);

const modelNameMessage = say("must be the name of a model", "write an alias or provider/model");
const modelName = v.pipe(v.string(modelNameMessage), v.regex(/^[\x21-\x7e]{1,256}$/, modelNameMessage));

const globMessage = say("must be a name, in which * stands for anything", "write for example claude-*");
const glob = v.pipe(v.string(globMessage), v.regex(/^[\x20-\x7e]{1,256}$/, globMessage));

// ------------------------------------------------------------------------------------------------------ agents

const tokenMessage = say(
  "must be the sha256 of a token, never the token itself",
  "let `sanctum agents add` or `rotate` write it (sha256: and 64 hex digits)",
);
const momentMessage = say("ends at a moment that does not exist", "write it as 2026-11-28T06:45:00Z");
const tokenText = v.pipe(
  v.string(tokenMessage),
  v.regex(tokenTextPattern, tokenMessage),
  v.check((input) => !tokenTextPattern.test(input) || parseTokenText(input) !== undefined, momentMessage),
);

const agent = keys("Caps, tokens and permissions of one agent.", {
  daily_usd: v.optional(usd("USD a day; 0 allows local models only.")),
  hourly_usd: v.optional(usd("USD an hour.")),
  monthly_usd: v.optional(usd("USD a month.")),
  requests_per_minute: v.optional(count("Requests a minute.", 1_000_000)),
  max_concurrent: v.optional(count("Requests in flight at a time.", 100_000)),
  models: v.optional(list("Globs of model names that the agent may ask for; all where absent.", glob)),
  over_budget: v.optional(
    choice("What happens when the budget is used up: local models, or a refusal.", ["local", "refuse"]),
  ),
  tokens: v.optional(list("SHA-256 of each token of the agent, and until when where it ends by itself.", tokenText)),
});

// --------------------------------------------------------------------------------------------------- providers

const urlRemedies: Readonly<Record<UrlFault, string>> = {
  syntax: say("is not a URL", "write the base that the vendor's SDK takes, such as https://api.example.com/v1"),
  scheme: say("must begin with https:// or http://", "use https://, or http:// on loopback and private addresses"),
  credentials: say("has credentials in it", "take them out and store the key with `sanctum keys set PROVIDER`"),
  query: say("has a query or a fragment", "take out everything from ? or # on"),
  plain_http: say(
    "is http: to an address that is not loopback or private, so that keys and prompts could be read on the way",
    "use https:, or the private IP address (names ending in .local, .internal and .home.arpa count as private)",
  ),
};

const url = v.pipe(
  v.string(urlRemedies.syntax),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const result = parseProviderUrl(dataset.value);
    if ("fault" in result) addIssue({ message: urlRemedies[result.fault] });
  }),
  v.description("The base that the vendor's own SDK takes."),
);

const keyMessage = say(
  "must be keychain, vault, none, passthrough, or { command: [program, argument, …] }",
  "a key itself never goes in here: store it with `sanctum keys set PROVIDER`",
);
const argument = v.pipe(v.string(keyMessage), v.minLength(1, keyMessage), v.maxLength(4_096, keyMessage));
const keyWord = v.picklist(["keychain", "vault", "none", "passthrough"], keyMessage);
const keyCommand = v.strictObject(
  { command: v.pipe(v.array(argument, keyMessage), v.minLength(1, keyMessage)) },
  keyMessage,
);
const key = v.pipe(v.union([keyWord, keyCommand], keyMessage), v.description("Where the key comes from."));

const headerNameMessage = say("is not a header name", "use letters, digits and -");
const headerName = v.pipe(
  v.string(headerNameMessage),
  v.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, headerNameMessage),
);
const headerValueMessage = say("must be visible ASCII text", "put numbers in quotes");
const headerValue = v.pipe(v.string(headerValueMessage), v.regex(/^[\x20-\x7e]{0,1024}$/, headerValueMessage));

const dialect = choice("A wire format.", ["messages", "chat", "responses"]);

const timeouts = keys("How long each step of an attempt may take.", {
  connect: v.optional(duration("Until the connection is open, its TLS handshake included.")),
  first_byte: v.optional(duration("Until the answer's headers.")),
  first_content: v.optional(duration("Until the first content of the answer.")),
  idle: v.optional(duration("Between two pieces of a stream.")),
  loading: v.optional(duration("Until a local server has loaded its model.")),
  total: v.optional(duration("Until the end of the answer.")),
});

const limits = keys("What the account allows; the gateway keeps below it.", {
  requests_per_minute: v.optional(count("Requests a minute.", 10_000_000)),
  input_tokens_per_minute: v.optional(count("Prompt tokens a minute.", 10_000_000_000)),
  output_tokens_per_minute: v.optional(count("Output tokens a minute.", 10_000_000_000)),
  concurrent: v.optional(count("Requests in flight at a time.", 100_000)),
  max_wait: v.optional(wait("How long a request waits for its turn before the next candidate has one.")),
});

const retry = keys("Tries at the same candidate.", {
  attempts: v.optional(count("Tries in all, the first one included.", 10)),
  base: v.optional(duration("First wait; it doubles, with full jitter.")),
  max: v.optional(duration("Longest wait.")),
});

const provider = keys("An upstream account.", {
  url: v.optional(url),
  dialects: v.optional(
    v.pipe(list("What it speaks, best first.", dialect), v.minLength(1, say("is empty", "name at least one dialect"))),
  ),
  key: v.optional(key),
  local: v.optional(flag("On your own hardware: costs nothing, and prompts stay in the house.")),
  headers: v.optional(named("Extra request headers; no credentials.", headerName, headerValue)),
  ca_file: v.optional(path("PEM file of a private certificate authority.")),
  timeouts: v.nullish(timeouts),
  limits: v.nullish(limits),
  retry: v.nullish(retry),
});

// --------------------------------------------------------------------------------------------- models and routes

const mostUsdPerMillion = 10_000;
function pricePart(about: string) {
  const message = say("must be USD per million tokens, from 0 to 10,000", "write a plain number such as 3.00");
  return v.pipe(
    v.number(message),
    v.minValue(0, message),
    v.maxValue(mostUsdPerMillion, message),
    v.description(about),
  );
}

const price = keys("USD per million tokens; overrides the catalogue.", {
  input: pricePart("Prompt tokens."),
  output: pricePart("Output tokens."),
  cache_read: v.optional(pricePart("Prompt tokens read from the provider's cache.")),
  cache_write: v.optional(pricePart("Prompt tokens written to the provider's cache.")),
});

const model = keys("A model under a name of your own.", {
  provider: name,
  model: text("The provider's own name of it.", say("must be the provider's name of the model", "copy it from there")),
  context: v.optional(count("Context window in tokens.", 100_000_000)),
  max_output: v.optional(count("Longest answer in tokens.", 100_000_000)),
  price: v.optional(price),
});

const when = keys("All conditions that are present must hold.", {
  model: v.optional(v.pipe(glob, v.description("Glob of the requested name."))),
  agent: v.optional(v.pipe(name, v.description("Who calls."))),
  intent: v.optional(choice("What the request is about.", intents)),
  dialect: v.optional(dialect),
  input_tokens: v.optional(
    parsed(
      "Size of the prompt.",
      say("must be a bound on tokens", 'write "<8000", ">=1000" or ">1000 <8000", in quotes'),
      parseTokenBounds,
    ),
  ),
  has: v.optional(
    keys("What the request has or lacks.", {
      tools: v.optional(flag("Tools are offered.")),
      images: v.optional(flag("Images are in it.")),
      thinking: v.optional(flag("Thinking is asked for.")),
      json: v.optional(flag("A JSON answer is asked for.")),
    }),
  ),
  time: v.optional(
    parsed("Local time of day.", say("must be a span of the day", 'write "22:00-06:00"'), parseTimeRange),
  ),
  budget_used: v.optional(
    parsed(
      "Share of the daily cap that is used.",
      say("must be a bound on a share", 'write ">0.8" or "<50%", in quotes'),
      parseShareBounds,
    ),
  ),
  header: v.optional(keys("A request header and the glob of its value.", { name: headerName, value: glob })),
});

const routeNameMessage = say("is not a valid route name", "use a-z, 0-9, - and _ (64 characters at most)");
const route = keys("A rule; the first one that matches is taken.", {
  name: v.optional(v.pipe(v.string(routeNameMessage), v.regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, routeNameMessage))),
  when: v.nullish(when),
  use: v.pipe(
    list("Models to try, in this order.", modelName),
    v.minLength(1, say("is empty", "name at least one model")),
  ),
});

// ------------------------------------------------------------------------------------------------------ the rest

const listenMessage = say(
  "is not an address to listen on",
  'write "127.0.0.1:4040", "[::1]:4040", "unix:/run/sanctum.sock", or a list of these (IP addresses, no names but localhost)',
);
const listenAddress = v.pipe(
  v.string(listenMessage),
  v.check((input) => parseListen(input) !== undefined, listenMessage),
);
const listenList = v.pipe(v.array(listenAddress, listenMessage), v.minLength(1, listenMessage));

const hostMessage = say("is not a host name", "write it without scheme and port, such as gateway.home.arpa");
const hostName = v.pipe(
  v.string(hostMessage),
  v.regex(/^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*$/, hostMessage),
);

const zoneMessage = say("is not a time zone", 'write an IANA name such as Europe/Berlin, or "local"');

/** True for IANA names that this machine knows. */
export function isTimeZone(zone: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(zone)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    // A RangeError is the only way that Intl has to say no.
    return false;
  }
}

const timeZone = v.pipe(
  v.string(zoneMessage),
  v.check((input) => input === "local" || isTimeZone(input), zoneMessage),
  v.description("When a budget day begins: an IANA name, or local."),
);

const audit = keys("The audit trail.", {
  file: v.optional(path("Where it is written.")),
  content: v.optional(choice("What of the prompts is kept.", ["none", "sha256", "full"])),
  rotate: v.nullish(
    keys("When a new file is begun.", {
      size: v.optional(
        v.pipe(
          v.string(say("must be a size", "write it with its unit: 100MB, 64MiB")),
          v.regex(sizePattern, say("must be a size", "write it with its unit: 100MB, 64MiB")),
          v.check(
            (input) => !sizePattern.test(input) || (parseSize(input) ?? 0) >= 4_096,
            say("is too small", "write 4KiB or more"),
          ),
          v.description("Size of one file."),
        ),
      ),
      keep: v.optional(count("How many old files are kept.", 100_000)),
      every: v.optional(choice("A new file also begins with each.", ["day", "week", "month"])),
    }),
  ),
  content_files: v.nullish(
    keys("The encrypted files of content: full.", {
      keep: v.optional(
        v.pipe(
          v.string(say("must be a time", "write it with its unit: 12h, 7d, 4w")),
          v.regex(retentionPattern, say("must be a time", "write it with its unit: 12h, 7d, 4w")),
          v.check(
            (input) => !retentionPattern.test(input) || parseRetention(input) !== undefined,
            say("is out of range", "write 1h or more, and ten years (3650d) or less"),
          ),
          v.description("How long they are kept."),
        ),
      ),
      recipient: v.optional(
        v.pipe(
          v.string(say("must be an age recipient", "write age1…, as age-keygen -y prints it")),
          v.regex(
            /^age1[02-9ac-hj-np-z]{58}$/,
            say("must be an age recipient", "write age1…, as age-keygen -y prints it"),
          ),
          v.description("The age recipient who alone can read them."),
        ),
      ),
    }),
  ),
  on_failure: v.optional(choice("When it can't be written.", ["refuse", "continue"])),
});

const graceMessage = say("must be a duration of 5m at most", "write e.g. `30s`");
/** A service manager kills what takes longer to stop. */
const longestGraceMs = 300_000;

function parseGrace(text: string): number | undefined {
  const ms = /^0(?:ms|s|m)$/.test(text) ? 0 : parseDuration(text);
  return ms !== undefined && ms <= longestGraceMs ? ms : undefined;
}

/** The whole file. */
export const configSchema = keys("Configuration of Sanctum Cloud Proxy.", {
  listen: v.optional(
    v.pipe(v.union([listenAddress, listenList], listenMessage), v.description("Address or addresses to listen on.")),
  ),
  host_names: v.optional(list("Names beside the listen addresses and localhost that clients may use.", hostName)),
  tls: v.nullish(
    keys("Certificate for all TCP addresses.", {
      cert_file: path("PEM file of the certificate chain."),
      key_file: path("PEM file of its key."),
    }),
  ),
  timezone: v.optional(timeZone),
  identity: v.nullish(
    keys("Who may call.", {
      anonymous: v.optional(choice("Who may call without a token, as agent default.", ["loopback", "never"])),
    }),
  ),
  agents: v.nullish(named("Agents by name.", name, v.nullish(agent))),
  providers: v.nullish(named("Providers by name.", name, v.nullish(provider))),
  models: v.nullish(named("Names that agents may use beside provider/model and catalogue names.", alias, model)),
  fallback: v.nullish(list("Models to try after the requested one, in this order.", modelName)),
  routes: v.nullish(list("Rules that choose models by what is asked.", route)),
  stream: v.nullish(
    keys("Streams that die.", {
      takeover: v.optional(choice("text: a local model carries on inside the same answer.", ["off", "text"])),
      keep_alive: v.optional(duration("The client of a stream hears something at least this often.")),
    }),
  ),
  stop: v.nullish(
    keys("Stopping.", {
      grace: v.optional(
        parsed("How long running requests may go on after SIGTERM and `sanctum stop`.", graceMessage, parseGrace),
      ),
    }),
  ),
  overload: v.nullish(
    keys("When new requests are turned away.", {
      in_flight: v.optional(count("How many requests may run at once.", 1_000_000)),
    }),
  ),
  attempts: v.nullish(
    keys("All attempts of one request together.", {
      deadline: v.optional(duration("Until an answer has begun; after it no candidate is asked any more.")),
      cost_factor: v.optional(
        count("What they may be charged, failed ones included, in times of the dearest of them.", 100),
      ),
    }),
  ),
  vault: v.nullish(
    keys("The encrypted file that holds the keys where there is no keychain.", {
      identity: v.optional(path("File with the age identity that opens it, instead of a passphrase.")),
    }),
  ),
  keys: v.nullish(
    keys("Keys that are missing.", {
      dialog: v.optional(flag("Whether a missing key is asked for in a dialog on the desktop.")),
    }),
  ),
  audit: v.nullish(audit),
  stats: v.nullish(
    keys("Who may read /stats.", {
      access: v.optional(choice("loopback, or whoever has a token.", ["loopback", "token"])),
    }),
  ),
});

/** The file's content once it has passed the check. */
export type ConfigFile = v.InferOutput<typeof configSchema>;
