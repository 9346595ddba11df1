import { auditPage } from "./audit-page.ts";
import { cliPage } from "./cli-page.ts";
import { configPage, configSchemaText } from "./config-page.ts";
import { errorsPage } from "./errors-page.ts";
import { faultsPage } from "./faults-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { page, table } from "./page.ts";
import { routesPage } from "./routes-page.ts";
import { serversPage } from "./servers-page.ts";
import { statsPage } from "./stats-page.ts";
import { wirePage } from "./wire-page.ts";

interface Page {
  readonly about: string;
  readonly make: () => string;
}

const pages: Readonly<Record<string, Page>> = {
  "configuration.md": { about: "Every key of `config.yaml`", make: configPage },
  "config.schema.json": { about: "The same for editors", make: configSchemaText },
  "cli.md": { about: "Every command of `sanctum`", make: cliPage },
  "routes.md": { about: "What is served on the port", make: routesPage },
  "errors.md": { about: "Every error code, and what to do", make: errorsPage },
  "audit.md": { about: "The lines of the audit trail", make: auditPage },
  "stats.md": { about: "The fields of `/stats`", make: statsPage },
  "metrics.md": { about: "The metrics for Prometheus", make: metricsPage },
  "wire.md": { about: "What holds between any client and any provider, rule by rule", make: wirePage },
  "faults.md": { about: "What a client gets, whatever a provider does", make: faultsPage },
  "servers.md": { about: "What each kind of server takes", make: serversPage },
};

/** Every file of `docs/reference`, by name. Throws where something in the program is not described. */
export function referencePages(): ReadonlyMap<string, string> {
  const made = Object.entries(pages).map(([name, { make }]) => [name, make()] as const);
  return new Map([["README.md", indexPage()], ...made]);
}

function indexPage(): string {
  const rows = Object.entries(pages).map(([name, { about }]) => [`[${name}](${name})`, about]);
  return page(
    "Reference",
    "Made from the source by `npm run generate`; a test keeps it so.",
    table(["Page", "What is in it"], rows),
  );
}
