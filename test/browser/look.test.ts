// The page is fit to be used: by eye, by keyboard, by a screen reader, on a desk and in a hand, with none, few and many agents.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { baseConfig, post, startHouse, type House } from "../fakes/house.ts";
import { startGateway, tokenOf, type Gateway } from "../harness.ts";
import { openBrowser } from "./chromium.ts";
import { axeFindings, shown, textOf, visit } from "./visit.ts";

setDefaultTimeout(90_000);

let browser: Browser;
/** With requests of every kind. */
let busy: House;
const desk = { width: 1440, height: 1000 };
const hand = { width: 390, height: 844 };

beforeAll(async () => {
  browser = await openBrowser();
  busy = await startHouse({
    config: {
      agents: {
        jocasta: { daily_usd: 0.0004, hourly_usd: 0.002, monthly_usd: 5, tokens: [tokenOf("jocasta").hash] },
      },
    },
  });
  const as = (agent: string): { headers: Record<string, string> } => ({
    headers: { authorization: `Bearer ${tokenOf(agent).token}` },
  });
  for (let i = 0; i < 4; i++) await post(busy.gateway, "messages", as("windu"));
  for (let i = 0; i < 3; i++) await post(busy.gateway, "messages", as("jocasta"));
  await post(busy.gateway, "messages", { headers: { authorization: "Bearer sk-sanctum-windu-made-up" } });
  await post(busy.gateway, "messages", {
    ...as("windu"),
    model: "a model that nobody knows and that has a rather long name",
  });
  busy.cloud.script.push({ refuse: { status: 429 } }, { refuse: { status: 503 } });
  await post(busy.gateway, "chat", as("mothma"));
  busy.local.script.push({ refuse: { status: 500 } }, { refuse: { status: 500 } }, { refuse: { status: 500 } });
  await post(busy.gateway, "messages", as("mothma"));
});

afterAll(async () => {
  await browser.close();
  await busy[Symbol.asyncDispose]();
});

/** Opens each view of the dashboard in turn. */
async function eachView(page: Page, gateway: Gateway, look: (view: string) => Promise<void>): Promise<void> {
  await shown(page);
  await look("overview");
  await page.goto(`${gateway.url}/dashboard#/requests`);
  await page.locator("#found", { hasText: /request|newest/ }).waitFor();
  await look("requests");
  await page.goto(`${gateway.url}/dashboard#/requests/9`);
  await page.locator(".story .facts").first().waitFor();
  await page.locator("summary").last().click();
  await look("request");
}

async function sideways(page: Page): Promise<number> {
  const { scrollWidth, clientWidth } = await page.evaluate<Record<"scrollWidth" | "clientWidth", number>>(
    "({ scrollWidth: document.documentElement.scrollWidth, clientWidth: document.documentElement.clientWidth })",
  );
  return Math.max(0, scrollWidth - clientWidth);
}

describe("axe finds nothing wrong", () => {
  for (const colorScheme of ["light", "dark"] as const) {
    for (const [place, viewport] of [
      ["on a desk", desk],
      ["in a hand", hand],
    ] as const) {
      test(`${colorScheme}, ${place}, in any view`, async () => {
        await using visited = await visit(browser, { url: `${busy.gateway.url}/dashboard`, colorScheme, viewport });
        const { page, complaints } = visited;
        await eachView(page, busy.gateway, async (view) => {
          if (view === "overview") for (const one of await page.locator("summary").all()) await one.click();
          expect([view, await axeFindings(page)]).toEqual([view, []]);
        });
        expect(complaints).toEqual([]);
      });
    }
    test(`${colorScheme}, with faults to be told`, async () => {
      await using house = await startHouse();
      house.gateway.writeConfig({ ...house.config, lisen: 1 });
      await using visited = await visit(browser, {
        url: `${house.gateway.url}/dashboard`,
        colorScheme,
        viewport: desk,
      });
      await visited.page.locator(".problems").waitFor();
      expect(await axeFindings(visited.page)).toEqual([]);
    });
  }
});

describe("nothing is cut off or has to be pushed sideways", () => {
  for (const width of [320, 390, 768, 1_024, 1_440, 2_200]) {
    test(`${width} wide`, async () => {
      const viewport = { width, height: 844 };
      await using visited = await visit(browser, {
        url: `${busy.gateway.url}/dashboard`,
        viewport,
        isMobile: width < 500,
      });
      await eachView(visited.page, busy.gateway, async (view) => {
        expect([view, await sideways(visited.page)]).toEqual([view, 0]);
      });
    });
  }

  test("and what is there does not jump when figures change", async () => {
    await using visited = await visit(browser, { url: `${busy.gateway.url}/dashboard`, viewport: desk });
    const { page } = visited;
    await shown(page);
    // Only what comes from now on.
    await page.evaluate(`globalThis.shifts = []; new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) shifts.push(entry.value);
    }).observe({ type: "layout-shift" });`);
    const requests = page.locator(".figure", { hasText: "Requests" }).locator(".big");
    const before = Number(await requests.innerText());
    const headers = { authorization: `Bearer ${tokenOf("windu").token}` };
    for (let i = 0; i < 3; i++) await post(busy.gateway, "chat", { headers });
    await requests.filter({ hasText: String(before + 3) }).waitFor();
    const shifts = await page.evaluate<number[]>("shifts");
    // Rows of the list move down as new ones come; nothing else does.
    expect(shifts.reduce((sum, one) => sum + one, 0)).toBeLessThan(0.1);
  });
});

test("everything is reached by the keyboard, and one sees where one is", async () => {
  await using visited = await visit(browser, { url: `${busy.gateway.url}/dashboard`, viewport: desk });
  const { page } = visited;
  await shown(page);
  const focused = (): Promise<string> => textOf(page, ":focus");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("Skip to the content");
  await page.keyboard.press("Enter");
  expect(await page.evaluate("document.activeElement?.id")).toBe("main");

  // From the content on, the first request in the list is some steps away.
  const inRow = (): Promise<boolean> =>
    page.evaluate<boolean>("document.activeElement?.classList.contains('whole') === true");
  for (let steps = 0; !(await inRow()); steps++) {
    expect(steps).toBeLessThan(40);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate("getComputedStyle(document.activeElement.closest('li')).outlineStyle");
  expect(outline).not.toBe("none");
  await page.keyboard.press("Enter");
  await page.locator(".story .facts").first().waitFor();
  expect(await page.evaluate("document.activeElement?.id")).toBe("main");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("All requests");
  await page.keyboard.press("Enter");
  await page.locator("#found").waitFor();

  await page.keyboard.press("/");
  await page.waitForFunction("document.activeElement?.id === 'search-text'");
  await page.keyboard.type("nobody knows");
  await page.locator("#found", { hasText: /^1 request$/ }).waitFor();
});

test("the colours can be chosen, and are remembered", async () => {
  await using visited = await visit(browser, { url: `${busy.gateway.url}/dashboard`, colorScheme: "light" });
  const { page, complaints } = visited;
  await shown(page);
  const paper = (): Promise<string> => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
  const light = await paper();
  const button = page.getByRole("button", { name: /^Colours/ });
  await button.click();
  expect(await paper()).toBe(light);
  await button.click();
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.reload();
  await shown(page);
  expect(await paper()).toBe(dark);
  expect(complaints).toEqual([]);
});

describe("any number of agents", () => {
  test("none: the page says how to make one", async () => {
    const { agents: _, ...rest } = baseConfig(busy.cloud.url, busy.local.url);
    await using gateway = await startGateway({ config: { ...rest, agents: {}, identity: { anonymous: "never" } } });
    await using visited = await visit(browser, { url: `${gateway.url}/dashboard`, viewport: desk });
    await shown(visited.page);
    const count = Object.keys((await gateway.stats()).agents).length;
    expect(await visited.page.locator(".agent").count()).toBe(count);
    expect(await visited.page.getByText("sanctum agents add").count()).toBeGreaterThan(0);
    expect(visited.complaints).toEqual([]);
  });

  test("fifty: who has used most comes first, and all can be had", async () => {
    const names = Array.from({ length: 50 }, (_, i) => `agent-${String(i).padStart(2, "0")}`);
    const agents = Object.fromEntries(names.map((name) => [name, { daily_usd: 0.01, tokens: [tokenOf(name).hash] }]));
    await using house = await startHouse({ config: { agents } });
    const ask = (name: string): Promise<Response> =>
      post(house.gateway, "messages", { headers: { authorization: `Bearer ${tokenOf(name).token}` } });
    for (const name of ["agent-41", "agent-41", "agent-41", "agent-07", "agent-07", "agent-23"]) await ask(name);
    await using visited = await visit(browser, {
      url: `${house.gateway.url}/dashboard`,
      viewport: desk,
      colorScheme: "dark",
    });
    const { page, complaints } = visited;
    await page.locator(".figure", { hasText: "Requests" }).locator(".big", { hasText: "6" }).waitFor();
    const shownNames = await page.locator(".agent-name a").allInnerTexts();
    expect(shownNames.slice(0, 3)).toEqual(["agent-41", "agent-07", "agent-23"]);
    expect(shownNames.length).toBe(12);
    await page.getByRole("button", { name: "Show all 53 agents" }).click();
    const all = await page.locator(".agent-name a").allInnerTexts();
    expect(all.toSorted()).toEqual([...names, "windu", "mothma", "default"].sort());
    expect(await sideways(page)).toBe(0);
    expect(await axeFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
