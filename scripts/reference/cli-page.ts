import type { Argument, Command, Option } from "commander";
import { createProgram } from "../../src/cli/program.ts";
import type { Io } from "../../src/cli/io.ts";
import { code, page, table } from "./page.ts";

export function cliPage(): string {
  const program = createProgram(nowhere);
  const commands = program.commands.flatMap((command) => leavesOf(command, "sanctum"));
  return page(
    "Command line",
    introduction(program),
    table(
      ["Command", "What it does"],
      commands.map(({ words, command }) => [link(words), command.description()]),
    ),
    ...commands.flatMap(described),
    exitCodes,
  );
}

interface Leaf {
  /** E.g. `sanctum agents add`. */
  readonly words: string;
  readonly command: Command;
}

function leavesOf(command: Command, before: string): Leaf[] {
  const words = `${before} ${command.name()}`;
  const own = command.commands.length === 0 ? [{ words, command }] : [];
  return [...own, ...command.commands.flatMap((sub) => leavesOf(sub, words))];
}

function link(words: string): string {
  return `[${code(words)}](#${words.replaceAll(" ", "-")})`;
}

function described({ words, command }: Leaf): string[] {
  const args = command.registeredArguments;
  // `--config` is the same everywhere and told once.
  const options = command.options.filter((option) => !option.hidden && option.long !== "--config");
  const rows = [...args.map(argumentRow), ...options.map(optionRow)];
  return [
    `## ${words}`,
    code(
      [words, options.length > 0 ? "[options]" : "", ...args.map(argumentWords)]
        .filter((word) => word !== "")
        .join(" "),
    ),
    sentence(command.description()),
    ...(rows.length > 0 ? [table(["", "What it is"], rows)] : []),
    ...moreOf(command),
  ];
}

/** What `--help` tells behind the options: notes and examples. */
function moreOf(command: Command): string[] {
  let help = "";
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  const more = help.slice(command.helpInformation().length).trim();
  return more === "" ? [] : [`\`\`\`text\n${more}\n\`\`\``];
}

function argumentWords(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

function argumentRow(argument: Argument): string[] {
  return [code(argumentWords(argument)), argument.description];
}

function optionRow(option: Option): string[] {
  const usual: unknown = option.defaultValue;
  const told = usual === undefined ? "" : ` (usually ${code(JSON.stringify(usual))})`;
  return [code(option.flags), `${option.description}${told}`];
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

function introduction(program: Command): string {
  return `
${program.description()}

\`npx sanctum COMMAND\` in the repository, or \`sanctum COMMAND\` where the built file lies on the \`PATH\`. \`--config FILE\`, before
or after the command, names the configuration; \`SANCTUM_HOME\` the folder of everything else (\`~/.sanctum\`). \`--help\` tells
the same as this page, \`--version\` the version.

What prints something to parse has \`--json\`. Colour is for terminals only, and never where \`NO_COLOR\` is set.`;
}

const exitCodes = `
## Exit codes

| Code | Meaning |
|---|---|
| 0 | done |
| 1 | failed, or (\`status\`, \`service status\`, \`doctor\`, \`audit verify\`, \`reconcile\`) something is wrong or differs |
| 2 | the command line can't be understood |
| 78 | the configuration has faults |

\`sanctum start\` ends on SIGTERM, SIGINT or \`sanctum stop\`: it takes no new requests and lets running ones finish for 30
seconds; a second signal cuts them. SIGHUP reads the configuration again.`;

/** The commands are only looked at. */
const nowhere: Io = {
  out: () => undefined,
  err: () => undefined,
  isTty: false,
  env: {},
  home: "/nowhere",
  configFile: "/nowhere/config.yaml",
};
