import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DialogDesk, type DialogKind } from "../../../test/fakes/dialog-programs.ts";
import { eventually } from "../../../test/harness.ts";
import { DialogPrompter } from "./dialog-prompter.ts";
import { findDialogProgram } from "./dialog-programs.ts";
import type { KeyQuestion } from "./prompter.ts";

const root = mkdtempSync(join(tmpdir(), "dialogs-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const key = "sk-canary|&<b>$(id)`id`'\"\\n;";
const question: KeyQuestion = { provider: "anthropic", host: "api.anthropic.com", remark: null };
const platforms = { zenity: "linux", kdialog: "linux", osascript: "darwin" } as const;
const { signal } = new AbortController();

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "desk-"));
});

interface Desk {
  readonly desk: DialogDesk;
  readonly prompter: DialogPrompter;
  /** The prompter's own deadline passes. */
  readonly expire: () => void;
}

function deskWith(kind: DialogKind): Desk {
  const desk = new DialogDesk(folder, kind);
  const env = {
    PATH: `${desk.path}:/usr/bin:/bin`,
    DISPLAY: ":7",
    HOME: "/nowhere",
    ANTHROPIC_API_KEY: "sk-not-yours",
  };
  const program = findDialogProgram({ env: { ...env, PATH: desk.path }, platform: platforms[kind] });
  expect(program?.kind).toBe(kind);
  let expire = (): void => undefined;
  const prompter = new DialogPrompter(program!, {
    env,
    timer: (_ms, run) => {
      expire = run;
      return () => undefined;
    },
  });
  return { desk, prompter, expire: () => expire() };
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes));

describe.each(["zenity", "kdialog", "osascript"] as const)("a dialog of %s", (kind) => {
  test("brings what was typed, whatever it is made of, without the line break behind it", async () => {
    const { desk, prompter } = deskWith(kind);
    const asked = prompter.askKey(question, signal);
    desk.answer(await desk.untilOpened(1), { typed: key });
    expect(text(await asked)).toBe(key);
    const empty = prompter.askKey(question, signal);
    desk.answer(await desk.untilOpened(2), { typed: "" });
    expect(text(await empty)).toBe("");
  });

  test("that is cancelled, or that nobody answers, brings nothing", async () => {
    const { desk, prompter, expire } = deskWith(kind);
    for (const [number, what] of (["cancel", "expire"] as const).entries()) {
      const asked = prompter.askKey(question, signal);
      desk.answer(await desk.untilOpened(number + 1), what);
      expect(await asked).toBeNull();
    }
    const hung = prompter.askKey(question, signal);
    const dialog = await desk.untilOpened(3);
    expire();
    expect(await hung).toBeNull();
    await eventually(() => expect(desk.isOpen(dialog)).toBe(false));
  });

  test("gets its text as one argument, in which nothing is script, and a small environment", async () => {
    const { desk, prompter } = deskWith(kind);
    const remark = `"; display dialog "x" -- $(touch ${folder}/hit) \`touch ${folder}/hit\``;
    const asked = prompter.askKey({ provider: "my_own", host: "h", remark }, signal);
    const { argv, env } = await desk.untilOpened(1);
    const shown = argv.find((word) => word.includes("Try another key"))!;
    expect(shown.replaceAll("__", "_")).toContain(`${remark} Try another key of my_own.`);
    expect(
      Object.keys(env)
        .filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name))
        .sort(),
    ).toEqual(["DISPLAY", "HOME", "PATH"]);
    expect(await Bun.file(join(folder, "hit")).exists()).toBe(false);
    desk.answer(desk.opened()[0]!, "cancel");
    await asked;
  });

  test("ends with the question that it was opened for", async () => {
    const { desk, prompter } = deskWith(kind);
    const ending = new AbortController();
    const asked = prompter.askKey(question, ending.signal);
    const dialog = await desk.untilOpened(1);
    ending.abort();
    expect(await asked.catch((error: unknown) => (error as Error).name)).toBe("AbortError");
    await eventually(() => expect(desk.isOpen(dialog)).toBe(false));
  });

  test("ends with the process that opened it, also where that is killed", async () => {
    const { desk } = deskWith(kind);
    const script = `
      import { DialogPrompter } from ${JSON.stringify(join(import.meta.dir, "dialog-prompter.ts"))};
      const prompter = new DialogPrompter({ kind: "${kind}", file: ${JSON.stringify(join(desk.path, kind))} });
      await prompter.askKey(${JSON.stringify(question)}, new AbortController().signal);
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
    const dialog = await desk.untilOpened(1);
    child.kill("SIGKILL");
    await child.exited;
    await eventually(() => expect(desk.isOpen(dialog)).toBe(false));
  });
});

describe("a passphrase for a new vault", () => {
  const noVault = { exists: false, locked: true, kind: () => null };

  test("is asked for twice, and again where the two differ or are short", async () => {
    const { desk, prompter } = deskWith("zenity");
    let taken = "";
    const opened = prompter.openVault(
      { ...noVault, unlock: async ({ secret }) => void (taken = secret.reveal()) },
      signal,
    );
    const typed = ["correct horse", "correct house", "short", "short", "correct horse", "correct horse"];
    for (const [index, what] of typed.entries()) {
      const dialog = await desk.untilOpened(index + 1);
      expect(dialog.argv.join(" ").includes("These two differ")).toBe(index === 2 || index === 4);
      desk.answer(dialog, { typed: what });
    }
    expect(await opened).toBe(true);
    expect(taken).toBe("correct horse");
  });

  test("that the person does not choose makes no vault", async () => {
    const { desk, prompter } = deskWith("kdialog");
    const opened = prompter.openVault({ ...noVault, unlock: () => Promise.reject(new Error("unlocked")) }, signal);
    desk.answer(await desk.untilOpened(1), "cancel");
    expect(await opened).toBe(false);
  });
});

describe("the program for a dialog", () => {
  test("is the desktop's own, and there is none without a desktop", () => {
    const zenity = new DialogDesk(join(folder, "z"), "zenity").path;
    const kdialog = new DialogDesk(join(folder, "k"), "kdialog").path;
    const osascript = new DialogDesk(join(folder, "o"), "osascript").path;
    const PATH = [zenity, kdialog, osascript].join(":");
    const kindOn = (platform: NodeJS.Platform, env: Record<string, string>): string | undefined =>
      findDialogProgram({ env: { PATH, ...env }, platform })?.kind;
    expect(kindOn("linux", { DISPLAY: ":0" })).toBe("zenity");
    expect(kindOn("linux", { WAYLAND_DISPLAY: "wayland-0", XDG_CURRENT_DESKTOP: "KDE" })).toBe("kdialog");
    expect(kindOn("linux", { DISPLAY: ":0", PATH: kdialog })).toBe("kdialog");
    expect(kindOn("linux", {})).toBeUndefined();
    expect(kindOn("linux", { DISPLAY: "" })).toBeUndefined();
    expect(kindOn("linux", { DISPLAY: ":0", PATH: osascript })).toBeUndefined();
    expect(kindOn("darwin", {})).toBe("osascript");
    expect(kindOn("win32", { DISPLAY: ":0" })).toBeUndefined();
  });
});
