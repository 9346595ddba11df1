import { metricsText } from "../../src/layers/audit/index.ts";
import { code, fence, page, table } from "./page.ts";
import { sampleStats } from "./sample-day.ts";

export function metricsPage(): string {
  const { stats, tally } = sampleStats();
  const text = metricsText(stats, tally, 0);
  return page(
    "/metrics",
    introduction,
    fence("yaml prometheus", scrape),
    "## Metrics",
    table(["Name", "Type", "Labels", "What it is"], familiesOf(text)),
    labels,
    "## An example",
    fence("text", text),
  );
}

const introduction = `
\`GET /metrics\` is for Prometheus, in its text format. Who may read it is \`stats.access\`: whoever calls from this machine, or
whoever has a token. In \`prometheus.yml\`:`;

const scrape = `
scrape_configs:
  - job_name: sanctum
    static_configs: [{ targets: ["127.0.0.1:4040"] }]
    authorization: { credentials_file: /etc/prometheus/sanctum-token }   # only where a token is needed`.trimStart();

const labels = `
\`agent\` is a configured agent, or \`none\` where nobody was recognised. \`outcome\` is one of those of
[the audit trail](audit.md). \`provider\` is a provider in use, \`quantile\` is 0.5, 0.95 or 0.99. No label holds what a client
sent, so the number of series is bounded.`;

/** From the exposition itself: `# HELP`, `# TYPE`, and the names of the labels of its samples. */
function familiesOf(text: string): string[][] {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((match) => [match[1]!, match[2]!]));
  return [...text.matchAll(/^# HELP (\S+) (.+)$/gm)].map(([, name, help]) => {
    const sample = new RegExp(`^${name!}\\{([^}]*)\\}`, "m").exec(text)?.[1] ?? "";
    const names = [...sample.matchAll(/(\w+)="/g)].map((match) => code(match[1]!));
    return [code(name!), types.get(name!)!, names.join(", "), help!];
  });
}
