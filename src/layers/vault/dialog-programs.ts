// The programs that show a dialog with a hidden field on a desktop, and how each of them is called. Each ends with 0 and
// prints what was typed, and with another code where the person closed the dialog, did not answer, or there is no desktop.

import type { Prompter } from "./prompter.ts";

export interface Dialog {
  readonly title: string;
  readonly text: string;
  /** Seconds until it closes by itself, where the program can do that. */
  readonly seconds: number;
}

export interface DialogProgram {
  readonly kind: Exclude<Prompter["kind"], "terminal">;
  /** Absolute path. */
  readonly file: string;
}

interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
}

/** The one that fits this desktop; null: there is no desktop here, or no such program. */
export function findDialogProgram({ env, platform }: Surroundings): DialogProgram | null {
  const kinds = platform === "darwin" ? (["osascript"] as const) : hasDesktop(env, platform) ? linuxKinds(env) : [];
  for (const kind of kinds) {
    const file = Bun.which(kind, { PATH: env["PATH"] ?? "" });
    if (file !== null) return { kind, file };
  }
  return null;
}

function hasDesktop(env: Surroundings["env"], platform: NodeJS.Platform): boolean {
  return platform === "linux" && ((env["DISPLAY"] ?? "") !== "" || (env["WAYLAND_DISPLAY"] ?? "") !== "");
}

function linuxKinds(env: Surroundings["env"]): readonly ("kdialog" | "zenity")[] {
  const isKde = /\bKDE\b/i.test(env["XDG_CURRENT_DESKTOP"] ?? "");
  return isKde ? ["kdialog", "zenity"] : ["zenity", "kdialog"];
}

/**
 * osascript(1); AppleScript Language Guide, "display dialog". The texts are arguments of the script's `run` handler, so that
 * nothing in them is script. A dialog that gives up counts as cancelled (error -128).
 */
const script = [
  "on run argv",
  "activate",
  'set theAnswer to display dialog (item 2 of argv) with title (item 1 of argv) default answer "" with hidden answer ' +
    'buttons {"Not now", "Store"} default button "Store" cancel button "Not now" ' +
    "giving up after (item 3 of argv as integer)",
  "if gave up of theAnswer then error number -128",
  "return text returned of theAnswer",
  "end run",
];

/** What to run, program included. No shell reads any of it. */
export function dialogCommand({ kind, file }: DialogProgram, { title, text, seconds }: Dialog): string[] {
  switch (kind) {
    case "osascript":
      return [file, ...script.flatMap((line) => ["-e", line]), title, text, String(seconds)];
    case "zenity":
      // zenity(1). --entry and not --password: that one has no room for a text. It reads no markup here, only escapes.
      return [
        file,
        "--entry",
        "--hide-text",
        `--title=${title}`,
        `--text=${text.replaceAll("\\", "\\\\").replaceAll("_", "__")}`,
        "--ok-label=Store",
        "--cancel-label=Not now",
        "--width=480",
        `--timeout=${seconds}`,
      ];
    case "kdialog":
      // `kdialog --help`; it has no timeout of its own.
      return [file, "--title", title, "--password", text];
    default:
      return kind satisfies never;
  }
}
