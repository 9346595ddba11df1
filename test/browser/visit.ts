// A browser's visit to the dashboard that fails on whatever a person would find in its console.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

export interface VisitOptions extends BrowserContextOptions {
  readonly url: string;
  /** What a test brings about itself and what is not counted as a complaint. */
  readonly expected?: RegExp;
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Errors, warnings and breaches of the policy so far. */
  readonly complaints: readonly string[];
}

export async function visit(browser: Browser, options: VisitOptions): Promise<Visit> {
  const { url, expected, ...context } = options;
  const opened = await browser.newContext({ reducedMotion: "reduce", ...context });
  const page = await opened.newPage();
  const complaints: string[] = [];
  const complain = (text: string): void => {
    if (expected?.test(text) !== true) complaints.push(text);
  };
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complain(message.text());
  });
  page.on("pageerror", (error) => complain(`thrown: ${error.message}`));
  page.on("requestfailed", (request) => {
    // What is still read when a view is left is given up by the browser.
    const why = request.failure()?.errorText ?? "";
    if (why !== "net::ERR_ABORTED") complain(`${request.url()}: ${why}`);
  });
  await page.addInitScript(tellBreaches);
  await page.goto(url);
  return { page, complaints, [Symbol.asyncDispose]: () => opened.close() };
}

// What runs in the page is text here: tests know no types of a browser.
const tellBreaches = `document.addEventListener("securitypolicyviolation", (event) =>
  console.error("policy: " + event.violatedDirective + " " + event.blockedURI));`;
const runAxe = `axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html }) => id + ": " + html.slice(0, 160))))`;

/** The page shows what the gateway has sent. */
export async function shown(page: Page): Promise<void> {
  await page.locator(".figures").waitFor();
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds wrong, as `rule: element`. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Evaluated over the debugger: the page's own policy would let no foreign script in.
  await page.evaluate(axe);
  return page.evaluate<string[]>(runAxe);
}

/** The text of an element, its spaces made one. */
export async function textOf(page: Page, selector: string): Promise<string> {
  const text = await page.locator(selector).first().innerText();
  return text.replace(/\s+/g, " ").trim();
}
