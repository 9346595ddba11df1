// Programs that behave as zenity (3.44), kdialog (22.12) and osascript do, without a screen: same options, output and exit
// codes. A person's answers come from a folder, so that a test decides when.

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../harness.ts";

export type DialogKind = "zenity" | "kdialog" | "osascript";

/** One dialog that was opened. */
export interface OpenedDialog {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * What each of them does with the options that it gets:
 * - zenity(1): 0 and the text with a line break; 1 where it is cancelled or closed, 5 where `--timeout` has passed, with what
 *   was typed so far; 255 for an option that it does not know. `--password` takes no `--text`.
 * - kdialog: 0 and the text with a line break, 1 cancelled, 254 for an option that it does not know.
 * - osascript(1): 0 and the script's result with a line break; 1 and an error on standard error, -128 where cancelled.
 */
const behaviour: Readonly<Record<DialogKind, string>> = {
  zenity: `
    for option; do case $option in
      --entry|--hide-text|--title=*|--text=*|--ok-label=*|--cancel-label=*|--width=*) ;;
      --timeout=*) limit=\${option#--timeout=} ;;
      *) echo "This option is not available. Please see --help for all possible usages." >&2; exit 255 ;;
    esac; done
    cancelled() { exit 1; }
    expired() { echo; exit 5; }`,
  kdialog: `
    [ "$1 $3" = "--title --password" ] && [ $# = 4 ] || { echo "kdialog: unknown option" >&2; exit 254; }
    cancelled() { exit 1; }
    expired() { exit 1; }`,
  osascript: `
    script=
    while [ "$1" = -e ]; do script="$script$2
"; shift 2; done
    case $script in *'display dialog'*'with hidden answer'*'giving up after'*) ;; *) echo "syntax error (-2741)" >&2; exit 1 ;; esac
    [ $# = 3 ] || { echo "execution error: Can't get item 3 (-1728)" >&2; exit 1; }
    cancelled() { echo "0:99: execution error: User canceled. (-128)" >&2; exit 1; }
    expired() { cancelled; }`,
};

/** A folder to be put in front of PATH, with one of the programs in it. */
export class DialogDesk {
  readonly path: string;
  readonly #folder: string;
  readonly kind: DialogKind;

  constructor(folder: string, kind: DialogKind) {
    this.kind = kind;
    this.#folder = folder;
    this.path = join(folder, "bin");
    for (const name of ["bin", "opened", "answers"]) mkdirSync(join(folder, name), { recursive: true });
    const file = join(this.path, kind);
    writeFileSync(file, this.#program());
    chmodSync(file, 0o755);
  }

  /** In the order in which they were opened, closed ones too. */
  opened(): OpenedDialog[] {
    const folder = join(this.#folder, "opened");
    return readdirSync(folder)
      .filter((name) => name.endsWith(".done"))
      .sort()
      .map((name) => {
        const [pid, argv, env] = readFileSync(join(folder, name), "utf8").split("\u0001");
        const variables = env!.split("\n").flatMap((line) => (line.includes("=") ? [line.split(/=(.*)/s)] : []));
        return {
          pid: Number(pid),
          argv: argv!.split("\u0002").slice(0, -1),
          env: Object.fromEntries(variables.map(([name, value]) => [name!, value ?? ""])),
        };
      });
  }

  /** The one that was opened as number `count`, from 1. */
  async untilOpened(count: number): Promise<OpenedDialog> {
    return await eventually(() => {
      const dialog = this.opened()[count - 1];
      if (dialog === undefined) throw new Error(`${this.opened().length} dialogs were opened, not ${count}`);
      return dialog;
    }, 15_000);
  }

  /** What the person at this dialog does. */
  answer(dialog: OpenedDialog, what: { readonly typed: string } | "cancel" | "expire"): void {
    const file = join(this.#folder, "answers", String(dialog.pid));
    writeFileSync(`${file}.new`, typeof what === "string" ? what : `typed\n${what.typed}`);
    renameSync(`${file}.new`, file);
  }

  isOpen({ pid }: OpenedDialog): boolean {
    return existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  }

  #program(): string {
    const { kind } = this;
    // Names sort in the order of opening: nanoseconds, then the process.
    return `#!/bin/sh
name=${this.#folder}/opened/$(date +%s%N)-$$
{ printf '%s\\001' $$; for word; do printf '%s\\002' "$word"; done; printf '\\001'; env; } > "$name"
mv "$name" "$name.done"
${behaviour[kind]}
answer=${this.#folder}/answers/$$
until [ -e "$answer" ]; do sleep 0.02; done
{ read -r what; case $what in
  typed) cat; echo; exit 0 ;;
  expire) expired ;;
  *) cancelled ;;
esac; } < "$answer"
`;
  }
}
