import { createOperations, type OperationsParts } from "../../src/server/operations.ts";
import { dataRoutes, modelsPath, prefixes } from "../../src/server/routes.ts";
import { dashboardPaths } from "../../src/dashboard/dashboard.ts";
import { code, page, sentences, table } from "./page.ts";

const dataSentences: Readonly<Record<string, string>> = {
  "/v1/messages": "Anthropic Messages, streamed or not.",
  "/v1/messages/count_tokens":
    "Counts tokens at the provider, or in the gateway where the provider can't. Costs nothing.",
  "/v1/chat/completions": "OpenAI Chat Completions, streamed or not.",
  "/v1/embeddings": "Vectors from the model that is asked for, and from no other.",
  "/v1/responses": "OpenAI Responses, streamed or not. A WebSocket upgrade is answered 426.",
};

const operationSentences: Readonly<Record<string, string>> = {
  "/stats": "The day in figures, as JSON: [fields](stats.md). Token where `stats.access` or the address asks for one.",
  "/stats/stream":
    "The same as server-sent events, on change, four a second at most, for 64 readers at most. Same access.",
  "/dashboard":
    "The page. Open where `/stats` is, and to the session of a link that `sanctum dashboard` made, or to an agent's token.",
  "/dashboard/": "Leads to the page.",
  "/dashboard/open": "Trades such a link's `code` for a session cookie: once, within two minutes.",
  "/dashboard/app.js": "The page's script. Open to everybody, like its style: there is nothing of yours in them.",
  "/dashboard/app.css": "The page's style.",
  "/dashboard/events":
    "What the page shows as server-sent events, on change, four a second at most, for 64 readers at most. Same access.",
  "/dashboard/api/history": "Sums by hour (a week), day (a quarter) and month (three years). Same access.",
  "/dashboard/api/requests":
    "Lines of the audit trail, newest first: `agent`, `outcome` (one of the trail's, or `fallback`, `local`, `failed`, " +
    "`refused`), `text`, `until` (a time), `limit` (200 at most); `next` in the answer is the `before` to go on with. Same access.",
  "/dashboard/api/request":
    "The line of the number `seq`, its hash, and whether the lines beside it link to it. Same access.",
  "/metrics": "The same for Prometheus: [metrics](metrics.md). Same access.",
  "/healthz": "200 while the process lives. Open to everybody.",
  "/readyz":
    "200 while requests can be served, else 503 with every reason: audit or ledger can't be written, nothing could " +
    "answer, or the gateway is stopping. Open to everybody.",
};

export function routesPage(): string {
  const data = sentences("routes", dataSentences);
  const operations = sentences("operations", operationSentences);
  const dataRows = dataRoutes.map((route) => ["POST", code(route.path), code(route.dialect), data.of(route.path)]);
  const operationRows = createOperations(silent).paths.map((path) => ["GET, HEAD", code(path), operations.of(path)]);
  data.end();
  operations.end();
  return page(
    "Routes",
    "## For agents",
    table(
      ["Method", "Path", "Dialect", "What it does"],
      [
        ...dataRows,
        [
          "GET",
          code(modelsPath),
          "",
          "What this agent can ask for, with the fields of both vendors; in pages where there is an `anthropic-version` header.",
        ],
        [
          "GET",
          code(`${modelsPath}/ID`),
          "",
          "One of them, under any name that it can be asked for. An id may hold slashes and colons, encoded or not.",
        ],
      ],
    ),
    `Each of these is also served under ${prefixes
      .filter(({ prefix }) => prefix !== "")
      .map(shown)
      .join(", ")}: under OpenRouter's ` +
      "base path, and under an agent's name. A name in the path must be that of the token's agent.",
    rules,
    "## For people and monitors",
    table(
      ["Method", "Path", "What it does"],
      [...operationRows, ["GET, HEAD", code("/"), "A line of text. Claude Code asks for it before its first request."]],
    ),
    socket,
  );
}

function shown({ prefix }: { readonly prefix: string }): string {
  return code(prefix.replace(":agent", "NAME"));
}

const rules = `
A path is compared with the table byte by byte: a doubled slash, a dot segment, an escape or a capital letter makes it
another path, and an unknown path is 404 in the dialect that it resembles. A query is allowed and not forwarded. Nothing
that is not in the table reaches a provider.

A slash at the end and a \`/v1\` too many (\`/v1/v1/messages\`) are in the table too, as some clients' base URLs lead to them;
the log tells each once.

A body is JSON with \`content-type: application/json\`, 32 MB at most, plain or under one \`content-encoding\` (\`gzip\`,
\`deflate\`, \`br\`, \`zstd\`) that unpacks to no more than that.

A request that is not streamed may carry an \`Idempotency-Key\` (255 visible ASCII characters at most): a repeat of the same
agent within ten minutes gets the answer of the first one with \`x-sanctum-replayed: true\` and costs nothing; another request
under the same key is 422. \`x-stainless-timeout\` (seconds) is how long the client waits: after it nothing more is asked.

A token comes in \`Authorization: Bearer\`, in \`x-api-key\`, or in \`x-sanctum-token\`, which wins: the other two are then free
for a provider with \`key: passthrough\`. Under \`/agent/default\`, where a provider has that, a credential of a known vendor's
form is the caller's own without \`x-sanctum-token\` too. No credential, or the word \`anonymous\`, is the agent \`default\` where
\`identity.anonymous\` and the address allow it.

\`x-sanctum-request-id\` is on every answer of the routes with POST, and on every refusal.

\`x-sanctum-ignored\` is on a translated answer where the request asked for something that the server which answered has no
word for: the names of those fields (\`seed, logit_bias\`). More than one answer (\`n\`) is refused instead where only one can
be given.`;

const socket = `
## Not on the network

The command line talks to the gateway over \`run/admin.sock\` in \`SANCTUM_HOME\`, a Unix socket that only its owner can open.
Nothing that changes the gateway is reachable over the network.`;

/** Only the names of the pages are asked for; none is opened. */
const silent: OperationsParts = {
  stats: () => "",
  metrics: () => "",
  watchStats: () => null,
  notReady: () => [],
  access: () => "loopback",
  requireToken: () => undefined,
  dashboard: { paths: dashboardPaths, streams: [], answer: () => new Response() },
  listModels: () => [],
};
