import type { AttemptOutcome, AttemptRecord, Outcome } from "../../src/request.ts";
import { code, fence, page, sentences, table } from "./page.ts";
import { fullestLine, sampleLines } from "./sample-day.ts";

const fieldSentences: Readonly<Record<string, string>> = {
  v: "Version of this form: 1.",
  seq: "Number of the line, 1 for the first, without gaps, through all files.",
  prev: "`sha256:` and the hash of the line before (its bytes without the newline); 64 zeros for the first.",
  ts: "When the request arrived, UTC.",
  id: "As in the answer's `x-sanctum-request-id`. Ids sort by time.",
  agent: "Who called; null where nobody was recognised.",
  auth: "`token`, `anonymous`, or null.",
  peer: "Address of the caller; `unix` over a socket.",
  dialect: "`messages`, `chat` or `responses`: what the client speaks.",
  path: "The route, without prefix and query.",
  stream: "A streamed answer was asked for.",
  requested_model: "The name that was asked for.",
  intent: "Always null in this version.",
  route: "The rule that chose the candidates; `default` where none did.",
  attempts: "Every candidate that was tried or skipped, in order. Empty where the request was refused before.",
  "attempts[].candidate": "Alias, or `provider/model`.",
  "attempts[].outcome": "How it ended: see below.",
  "attempts[].status":
    "HTTP status of the provider, or what an error inside its 200 stands for; null where there was none.",
  "attempts[].ms": "Milliseconds from its start to its end.",
  "attempts[].ttft_ms": "Milliseconds to the first content. Absent where none came.",
  "attempts[].usd": "What it cost.",
  "attempts[].listed_usd":
    "What the price list says, where the provider's own figure was charged. Absent elsewhere, and where the list has none.",
  "attempts[].upstream": "`provider/model` behind an alias, as it was asked. Absent where the candidate says it.",
  "attempts[].upstream_id": "The provider's own id of its answer: its support asks for it. Absent where it gave none.",
  "attempts[].note": "Why, in the gateway's own words. Absent where there is nothing to say.",
  client_retry:
    "How often the client says that it has tried before (`x-stainless-retry-count`). Absent where it has not.",
  replay_of:
    "The request whose answer was given again, as both had one `Idempotency-Key`. Absent where the answer is its own.",
  content: "What is kept of prompt and answer. Absent with `audit.content: none`.",
  "content.request": "Hash of the request's body, unpacked; null where it was not read.",
  "content.answer":
    "Hash of the answer's body as the client got it; null where the gateway's own error was the answer.",
  "content.kept":
    "With `content: full`: where they are. Null where the disk was at fault; absent where there was nothing to keep.",
  "content.kept.file": "In `logs/cloud-proxy-audit-contents/`.",
  "content.kept.from": "Byte in that file from which on they are.",
  "content.kept.to": "Byte after them.",
  "content.redacted": "A key was taken out of what is kept, and the hashes are of what is kept. Absent where none was.",
  attempts_left_out:
    "How many attempts the list does not show, so that the line stays short. Absent where it shows all.",
  served_by: "The candidate whose answer the client got; null where it got none.",
  local: "That candidate is local.",
  outcome: "How the request ended: see below.",
  status: "HTTP status that the client got; 0 where the request was interrupted.",
  usage: "Tokens of the served attempt; null where there is none.",
  "usage.input": "Prompt tokens at the full price.",
  "usage.output": "Output tokens, reasoning included.",
  "usage.cache_read": "Prompt tokens read from the provider's cache.",
  "usage.cache_write": "Prompt tokens written to the provider's cache.",
  "usage.reasoning": "Output tokens that were reasoning.",
  "usage.source":
    "`upstream`: the provider's figures. `counted`: the gateway's own, where the provider gave none, or the stream was cut.",
  usd: "What the request cost, all attempts together.",
  held_usd: "The largest amount that was put aside for an attempt.",
  would_have_usd: "What the requested model would have cost, where a local one answered; else null.",
  price: "Where the price came from: see below.",
  ms: "Milliseconds from arrival to the last byte.",
  bytes_in: "Bytes of the request's body.",
  bytes_out: "Bytes of the answer's body.",
};

const outcomes: Readonly<Record<Outcome, string>> = {
  ok: "An answer came to its end.",
  client_error: "The request itself was at fault.",
  client_gone: "The client closed the connection.",
  upstream_error: "No candidate could answer, or the answer broke off.",
  refused_identity: "Unknown token, or a name that is not the token's own.",
  refused_budget: "The caps do not cover it, and no local model could serve.",
  refused_limit: "A limit of the agent, or of all providers that could answer.",
  interrupted: "Found open at a start, after a crash. Its hold was charged.",
  internal_error: "A fault of the gateway, or audit or ledger could not be written.",
};

const attemptOutcomes: Readonly<Record<Exclude<AttemptOutcome, `upstream_${number}`>, string>> = {
  ok: "It answered.",
  connect_failed: "No connection, or it broke before an answer.",
  timeout_connect: "No connection within `timeouts.connect`.",
  timeout_first_byte: "No answer within `timeouts.first_byte`.",
  timeout_first_content: "No content within `timeouts.first_content`.",
  timeout_idle: "Silence of `timeouts.idle` in the middle of a stream.",
  timeout_total: "Longer than `timeouts.total` from the first byte sent to the end.",
  timeout_deadline: "All attempts of the request together took `attempts.deadline`; this one was running then.",
  cut_stream: "The answer broke off.",
  error_event: "An error inside an answer that began as a success.",
  skipped_budget: "Not sent: the caps do not cover its worst case.",
  skipped_limit: "Not sent: the provider is at a limit, or asked to be left alone.",
  skipped_breaker: "Not sent: the provider failed too often a moment ago, or the local server is known to be down.",
  skipped_key: "Not sent: its key is missing or locked.",
  skipped_context: "Not sent: the prompt does not fit its window.",
  skipped_policy: "Not sent: it can't take what the request asks for.",
  skipped_model: "Not sent: its local server does not have the model.",
  taken_over: "Not in use in this version.",
  client_gone: "The client left while it ran.",
};

const prices: Readonly<Record<AttemptRecord["price"], string>> = {
  catalogue: "The price list that comes with the gateway.",
  config: "`models.ALIAS.price` in the configuration.",
  reported: "The provider's own figure (OpenRouter).",
  ceiling: "An unknown model: the dearest known price of its provider.",
  free: "A local model.",
};

export function auditPage(): string {
  const told = sentences("audit", fieldSentences);
  const rows = fieldsOf(JSON.parse(fullestLine()) as object, "").map((name) => [code(name), told.of(name)]);
  told.end();
  return page(
    "The audit trail",
    introduction,
    fence("json", sampleLines().join("\n")),
    "## Fields",
    table(["Field", "What it is"], rows),
    "## `outcome` of a request",
    listed(outcomes),
    "## `outcome` of an attempt",
    table(
      ["Value", "Meaning"],
      [
        [code("upstream_STATUS"), "The provider refused with this HTTP status, e.g. `upstream_429`."],
        ...Object.entries(attemptOutcomes).map(([name, text]) => [code(name), text]),
      ],
    ),
    "## `price`",
    listed(prices),
    checking,
  );
}

const introduction = `
\`logs/cloud-proxy-audit.jsonl\` in \`SANCTUM_HOME\` (\`audit.file\` in the configuration names another place). One JSON object a
line, one line for each request that could reach a provider, in the order in which requests ended; refused ones too. What the
door turns away (an unknown path, a foreign Host, a web page), the list of models and the operations pages leave none. The file is readable by its owner alone.
A line is printable ASCII and at most 4096 bytes; longer names are cut. It holds no prompt, no answer and no key.
[Read the audit](../audit.md) shows the commands.

Three lines as they stand in a file: a request that the cloud served, one that fell back to a local model, and one with an
unknown token.`;

const checking = `
## Sums

\`sanctum audit query --since 7d --by agent,model\` sums up requests, tokens and money by any of the columns above, over all
files; \`sanctum reconcile\` holds the trail against the ledger, and against what a provider says itself. Lines that can't be
read are left out and counted.

## The chain

Each line has the hash of the line before. Whoever changes, removes, adds or moves a line breaks the chain there.
\`sanctum audit verify\` reads all files and names the first break by file, line and kind; while the gateway runs, it also
compares the end with the gateway's own position, which \`/stats\` shows as \`audit.entries\` and \`audit.head\`. Exit code 0:
all is whole. A million lines take two seconds of a processor.

By hand: \`sed -n 1p FILE | tr -d '\\n' | sha256sum\` gives what \`prev\` of the second line says.

## The seals

A chain alone does not show that somebody wrote the whole file anew, or cut its end while the gateway was stopped. So the
gateway writes down where the trail stands, under a MAC (HMAC-SHA256) of a key that is not in the trail's files:

| What | Where | When |
|---|---|---|
| checkpoint: last line, where the trail begins, alarms | \`state/audit-checkpoint.json\` | about once a second while lines come |
| seal of a rotated file: its first and last line | beside it, \`….jsonl.seal\` | when it is full |
| mark: last line | the keychain | each minute, and at a stop |

The key is in the keychain; else in the vault, where one is open; else in \`state/audit.key\`, which is weaker, since who can
write the trail may read it. A place that is locked keeps nothing waiting: the trail is sealed when it opens, and until then
no rotated file is deleted. \`SANCTUM_KEYCHAIN=off\` keeps gateway and commands from using the keychain at all.

| Who can write | is found by |
|---|---|
| the trail alone | checkpoint and seals |
| everything in \`SANCTUM_HOME\`, but not the keychain | the key is missing for a forgery; an older copy of all of it lacks lines that the mark knows, but for those of the last minute |
| everything, and ask the keychain: a program of the same user | nothing on this machine. Run the gateway [as a user of its own](../service.md), or keep \`audit.head\` elsewhere: \`sanctum audit verify --expect NUMBER:HASH\` |

An alarm stays in \`/stats\`, \`sanctum status\` and \`verify\` until a person has looked into it: \`sanctum audit accept\`. From
then on the trail is verified from its end of that moment on; what is older stays where it is.

A home that is moved or copied to another machine has no key there: that is an alarm, once.

## Rotation

At \`audit.rotate.size\`, and with \`audit.rotate.every\` at the end of each day, week or month, the file is moved aside as
\`cloud-proxy-audit-20261123T180000Z.jsonl\`, and the chain runs on in the new one. Of the moved files \`audit.rotate.keep\` are
kept. Where older ones were deleted, \`….jsonl.pruned\` and the checkpoint say from where the trail goes on.

Another program may rotate it, too, by moving (\`….jsonl.1\`, \`….jsonl-20261123\`, \`…-20261123.jsonl\`) or by copying and emptying;
compressed files are not read.

## When somebody touches the file

| What is done under the running gateway | What it does |
|---|---|
| moved aside under one of these names; copied and emptied | goes on in a new file, and notes it |
| deleted, or replaced by another file | saves its lines, which it still has open, as a rotated file; moves what stands in its place to \`….jsonl.foreign-…\`; alarm |
| moved out of the folder, cut short, written to | goes on; alarm |
| made unwritable, disk full | refuses requests (\`audit.on_failure\`), tries again each second, and goes on by itself |

It looks with every write and each second. A line that a crash has torn is moved to \`….jsonl.torn-…\` at the next start.

## Prompts and answers

With \`audit.content: sha256\` a line has the hashes of both; with \`full\` both are kept in
\`logs/cloud-proxy-audit-contents/\`, a file an hour, and \`sanctum audit show ID\` prints them. Each file has an AES-256-GCM key of
its own, wrapped by the house's key (in the keychain, the vault, or \`state/audit-content.key\`) or for an age recipient
(\`audit.content_files.recipient\`). They are deleted after \`audit.content_files.keep\`; the line stays, and with it the chain. The
gateway's provider keys are taken out first. While they can't be kept, requests are refused, as while no line can be written.`;

function listed(told: Readonly<Record<string, string>>): string {
  return table(
    ["Value", "Meaning"],
    Object.entries(told).map(([name, text]) => [code(name), text]),
  );
}

/** Names in the order of the line, members of attempts and usage behind their own field. */
function fieldsOf(entry: object, before: string): string[] {
  const names: string[] = [];
  for (const [name, value] of Object.entries(entry) as [string, unknown][]) {
    const path = before + name;
    if (!names.includes(path)) names.push(path);
    const inner = Array.isArray(value)
      ? value.flatMap((item) => fieldsOf(item as object, `${path}[].`))
      : membersOf(value, path);
    for (const member of inner) if (!names.includes(member)) names.push(member);
  }
  return names;
}

function membersOf(value: unknown, path: string): string[] {
  return typeof value === "object" && value !== null ? fieldsOf(value, `${path}.`) : [];
}
