import { toJsonSchema } from "../../src/config/json-schema.ts";
import { configKeys, type ConfigKey } from "./config-keys.ts";
import { configNotes, type ConfigNote } from "./config-notes.ts";
import { code, fence, page, sentences, table } from "./page.ts";

/** For editors: the file itself, not a page. */
export function configSchemaText(): string {
  return `${JSON.stringify(toJsonSchema(), null, 2)}\n`;
}

export function configPage(): string {
  const keys = configKeys(toJsonSchema());
  const notes = sentences("configuration", configNotes);
  const described = keys.map((key) => ({ key, note: notes.of(key.path) }));
  notes.end();
  return page(
    "Configuration",
    introduction,
    fence("yaml", example),
    editors,
    units,
    "## What has no effect yet",
    "These are read and checked, so that a file written for a later version is not refused. This version does not act on them:",
    described
      .flatMap(({ key, note }) => (note.pending === undefined ? [] : `- ${code(key.path)}: ${note.pending}`))
      .join("\n"),
    ...sections(described),
  );
}

interface Described {
  readonly key: ConfigKey;
  readonly note: ConfigNote;
}

const introduction = `
Everything is in one file: \`sanctum-proxy/config.yaml\` in \`SANCTUM_HOME\`, which is \`~/.sanctum\` unless it is set.
\`--config FILE\` names another one. It is YAML 1.2, or JSON.

Every key is optional, and an empty or missing file works. The file can hold no secret, so it may be committed. A key that is
not known, a value of the wrong kind, and anything that looks like a secret are faults. \`sanctum check\` tells all of them
at once, each with its line and what to do.

A change is live within a second of the save. A faulty file changes nothing: the old configuration stays, and \`/stats\` and
\`sanctum status\` tell the fault. Requests in flight end on the configuration that they began with. What is marked
"restart" is read at the start only: \`sanctum restart\` brings it into force without cutting anything.`;

const example = `
# yaml-language-server: $schema=./config.schema.json
listen: 127.0.0.1:4040
timezone: Europe/Berlin
agents:
  windu:
    daily_usd: 2.00
    requests_per_minute: 60
    models: ["claude-*", "coder-14b"]
    tokens: ["sha256:fe0c4bd1cad4e8f337794217247cae130c26606f167e49bc77a1c1078d552e6b"]
  default: { daily_usd: 0.50 }
providers:
  anthropic:
    key: { command: [op, read, "op://Private/Anthropic/credential"] }
    limits: { requests_per_minute: 50, concurrent: 8 }
  workstation: { url: "http://192.168.1.20:11434/v1", dialects: [chat], local: true }
models:
  coder-14b: { provider: workstation, model: "qwen2.5-coder:14b", context: 32768 }
fallback: [coder-14b]
routes:
  - name: small-things-stay-home
    when: { input_tokens: "<2000", has: { tools: false } }
    use: [coder-14b]`.trimStart();

const editors = `
The first line is for editors with the YAML language server (VS Code, Neovim, Helix and others): with it they complete keys
and mark mistakes while you type. Put the path of [config.schema.json](config.schema.json) there, absolute or relative to
your file. Without the line the file works the same.`;

const units = `
## How values are written

| Kind | Written as |
|---|---|
| USD | \`2\`, \`0.50\`, or \`"0.50"\`; from 0 to 9,000,000 |
| duration | \`500ms\`, \`5s\`, \`2m\`, \`1h\`; above 0, up to a day |
| size | \`100MB\` (decimal) or \`64MiB\` (binary) |
| path | absolute, or relative to the folder of the file; \`~\` is not expanded |
| glob | \`*\` stands for any run of characters, \`?\` for one |`;

/** A section for each key at the top, with its members in it. */
function sections(described: readonly Described[]): string[] {
  const tops = described.filter(({ key }) => !key.path.includes("."));
  return tops.flatMap(({ key: { path: top } }) => {
    const members = described.filter(
      ({ key: { path } }) => path === top || path.startsWith(`${top}.`) || path.startsWith(`${top}[`),
    );
    return [`## ${top}`, table(["Key", "Type", "Default", "What it does", "Change"], members.map(row))];
  });
}

function row({ key, note }: Described): string[] {
  const pending = note.pending === undefined ? undefined : `**Not built yet:** ${note.pending}`;
  const about = [note.about ?? key.about, note.more, pending].filter((text) => text !== undefined && text !== "");
  const usual = note.yaml === undefined ? (note.says ?? "–") : code(note.yaml);
  return [code(key.path), key.type, usual, about.join(" "), note.restart === true ? "restart" : "live"];
}
