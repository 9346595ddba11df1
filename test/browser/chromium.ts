// A real browser for tests and pictures.

import { chromium, type Browser } from "playwright-core";
import { needProgram } from "../debian-package.ts";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Throws an Error that says what to install where there is no Chromium and it cannot be had. */
export async function openBrowser(args: readonly string[] = []): Promise<Browser> {
  const found = names.map((name) => Bun.which(name)).find((path) => path !== null);
  if (found === undefined) needProgram("chromium", "a look at the dashboard");
  return chromium.launch({
    executablePath: found ?? Bun.which("chromium")!,
    // Root has no sandbox; what is opened is our own page.
    args: [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), ...args],
  });
}
