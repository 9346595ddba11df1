// What a person sees on the dashboard is what the books say, while requests run, over a restart, without a reload.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { exactUsd, usd } from "../../src/dashboard/page/format.ts";
import { Gate } from "../fakes/gate.ts";
import { post, startHouse, type House, type HouseOptions } from "../fakes/house.ts";
import { eventually, tokenOf } from "../harness.ts";
import { openBrowser } from "./chromium.ts";
import { shown, textOf, visit } from "./visit.ts";

setDefaultTimeout(60_000);

let browser: Browser;

beforeAll(async () => {
  browser = await openBrowser();
});

afterAll(async () => {
  await browser.close();
});

const windu = { headers: { authorization: `Bearer ${tokenOf("windu").token}` } };
const mothma = { headers: { authorization: `Bearer ${tokenOf("mothma").token}` } };

/** Waits until the figure of that name begins with `value`. */
async function figure(page: Page, name: string, value: string): Promise<void> {
  await page.locator(".figure", { hasText: name }).locator(".big", { hasText: value }).waitFor();
}

/** The spent, held and left amounts of an agent's row, as they are shown and, exact, in the tooltips. */
async function budgetOf(page: Page, agent: string): Promise<{ shown: string[]; exact: (string | null)[] }> {
  const amounts = page.locator(".agent", { hasText: agent }).locator(".window-words .num[title]");
  const all = await amounts.all();
  return {
    shown: await Promise.all(all.map((one) => one.innerText())),
    exact: await Promise.all(all.map((one) => one.getAttribute("title"))),
  };
}

/** A house on a port that it keeps over a restart. */
async function startSteadyHouse(options: HouseOptions = {}): Promise<House> {
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = probe;
  await probe.stop(true);
  return startHouse({ ...options, config: { listen: `127.0.0.1:${port}` } });
}

describe("the page", () => {
  test("tells a newcomer how to begin, and shows the first request by itself", async () => {
    await using house = await startHouse();
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard` });
    const { page, complaints } = visited;
    await page.getByRole("heading", { name: "Connect a client" }).waitFor();
    expect(await textOf(page, ".way pre")).toContain(`ANTHROPIC_BASE_URL=${house.gateway.url}`);
    await post(house.gateway, "messages", windu);
    await page.locator(".request", { hasText: "windu" }).waitFor();
    expect(await page.getByRole("heading", { name: "Connect a client" }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test("shows the figures of the books, to the last place, without a reload", async () => {
    await using house = await startHouse();
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard` });
    const { page, complaints } = visited;
    await shown(page);
    await page.evaluate("globalThis.sameDocument = true");
    for (let i = 0; i < 3; i++) await post(house.gateway, "messages", windu);
    await post(house.gateway, "chat", mothma);
    house.cloud.script.push({ refuse: { status: 503 } });
    await post(house.gateway, "chat", mothma);
    await figure(page, "Requests", "5");

    const stats = await house.gateway.stats();
    for (const name of ["windu", "mothma", "default"]) {
      const agent = stats.agents[name]!;
      const { shown: texts, exact } = await budgetOf(page, name);
      expect([name, ...texts]).toEqual([name, usd(agent.spent_usd), usd(agent.remaining_usd)]);
      expect(exact).toEqual([exactUsd(agent.spent_usd), exactUsd(agent.remaining_usd)]);
    }
    expect(stats.totals.spent_usd).toBeGreaterThan(0);
    const spent = page.locator(".figure", { hasText: "Spent today" }).locator(".num[title]");
    expect(await spent.getAttribute("title")).toBe(exactUsd(stats.totals.spent_usd));
    // The trail says the same, and so do the sums of the hour.
    const lines = house.gateway.auditLines();
    const paid = lines.reduce((sum, line) => sum + Math.round(line.usd * 1e6), 0) / 1e6;
    expect(exactUsd(paid)).toBe(exactUsd(stats.totals.spent_usd));
    await page.locator("summary", { hasText: "The same as a table" }).click();
    const newest = page.locator(".as-table tbody tr").first().locator("td");
    expect(await newest.nth(0).innerText()).toBe("5");
    expect(await newest.nth(5).innerText()).toBe(exactUsd(paid));
    expect(await page.evaluate("globalThis.sameDocument")).toBe(true);
    expect(complaints).toEqual([]);
  });

  test("shows a request while it runs: who failed, who is asked now, what is held; and then what came of it", async () => {
    await using house = await startHouse();
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard` });
    const { page, complaints } = visited;
    await shown(page);
    const [first, second] = [new Gate(), new Gate()];
    house.cloud.script.push({ gate: first });
    house.local.script.push({ gate: second });
    const answered = post(house.gateway, "messages", { ...windu, extra: { stream: true } });
    const running = page.locator(".request.live");
    await running.locator(".mark.runs").waitFor();
    expect(await running.innerText()).toContain("anthropic/claude-sonnet-4-5");
    const { agents, in_flight: inFlight } = await house.gateway.stats();
    expect(inFlight).toBe(1);
    expect(await running.locator(".cost .num[title]").getAttribute("title")).toBe(exactUsd(agents["windu"]!.held_usd));
    await page.locator(".agent", { hasText: "windu" }).locator(".held-words").waitFor();
    first.release(Infinity);
    await (await answered).text();

    house.cloud.script.push({ refuse: { status: 429 } });
    const fallen = post(house.gateway, "messages", { ...windu, extra: { stream: true } });
    await running.locator("li", { hasText: "coder-14b" }).locator(".mark.runs").waitFor();
    expect(await running.locator("li").first().innerText()).toContain("rate limit 429");
    second.release(Infinity);
    await (await fallen).text();
    await running.waitFor({ state: "detached" });
    const ended = page.locator(".request").first();
    await ended.locator("li", { hasText: "coder-14b" }).getByText("✓").waitFor();
    expect(await ended.innerText()).toContain("saved");
    expect(complaints).toEqual([]);
  });

  test("goes on by itself when the gateway comes back, and has lost nothing", async () => {
    await using house = await startSteadyHouse();
    // While nobody listens, the browser says so.
    const expected = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_NETWORK/;
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard`, expected });
    const { page, complaints } = visited;
    await post(house.gateway, "messages", windu);
    await figure(page, "Requests", "1");
    const before = await textOf(page, ".figure .big");
    await house.gateway.kill9();
    await page.locator(".state.lost").waitFor();
    // What was known stays to be read.
    expect(await textOf(page, ".figure .big")).toBe(before);
    await house.gateway.restart();
    await page.locator(".state.live").waitFor();
    await post(house.gateway, "messages", windu);
    // The counts of the last second may be gone with a kill; requests and money are not.
    await page.locator("ul.requests .request").nth(1).waitFor();
    const { totals } = await house.gateway.stats();
    const paid = house.gateway.auditLines().reduce((sum, line) => sum + Math.round(line.usd * 1e6), 0) / 1e6;
    expect(totals.spent_usd).toBe(paid);
    const spent = page.locator(".figure", { hasText: "Spent today" }).locator(`.num[title="${exactUsd(paid)}"]`);
    await spent.waitFor();
    expect(complaints).toEqual([]);
  });

  test("shows what is wrong with the configuration, and no more once it is mended", async () => {
    await using house = await startHouse();
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard` });
    const { page, complaints } = visited;
    await shown(page);
    house.gateway.writeConfig({ ...house.config, lisen: "127.0.0.1:0" });
    await page.locator(".problems", { hasText: "lisen" }).waitFor();
    expect(await page.title()).toBe("(1) Sanctum");
    house.gateway.writeConfig(house.config);
    await page.locator(".problems").waitFor({ state: "detached" });
    expect(await page.title()).toBe("Sanctum");
    expect(complaints).toEqual([]);
  });
});

describe("the search", () => {
  test("finds a request and tells its story: attempts, reasons, money, place in the chain", async () => {
    await using house = await startHouse();
    for (let i = 0; i < 30; i++) await post(house.gateway, "chat", mothma);
    house.cloud.script.push({ refuse: { status: 429 } });
    await post(house.gateway, "messages", windu);
    await post(house.gateway, "chat", mothma);
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard#/requests` });
    const { page, complaints } = visited;
    await page.locator("#found", { hasText: "newest" }).waitFor();
    await page.getByRole("button", { name: "Look further back" }).click();
    await page.locator("#found", { hasText: "32 requests" }).waitFor();
    await page.getByLabel("Agent").selectOption("windu");
    await page.locator("#found", { hasText: /^1 request$/ }).waitFor();
    await page.locator(".request a").click();
    await page.getByRole("heading", { name: "Request 31" }).waitFor();
    await page.locator(".way-step").nth(1).waitFor();

    const line = house.gateway.auditLines().find(({ agent }) => agent === "windu")!;
    const steps = await page.locator(".way-step").allInnerTexts();
    expect(steps[0]).toContain("The provider's rate limit is reached.");
    expect(steps[1]).toContain("ollama/qwen2.5-coder:14b");
    const facts = (await page.locator(".story").innerText()).replace(/\s+/g, " ");
    expect(facts).toContain(`Saved ${exactUsd(Number(line["would_have_usd"]))}`);
    expect(facts).toContain("Paid $0.00 free: it runs on your own hardware");
    expect(facts).toContain(line.id);
    const chain = page.locator("section", { has: page.locator("#chain") });
    expect(await chain.locator(".mark.good", { hasText: "link holds" }).count()).toBe(2);
    await chain.locator("summary").click();
    expect(JSON.parse(await chain.locator("pre").innerText())).toEqual(line);
    await chain.getByRole("link", { name: "Line after" }).click();
    await page.getByRole("heading", { name: "Request 32" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "Request 31" }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("shows what a client wrote as text, whatever it looks like", async () => {
    await using house = await startHouse();
    const evil = '<img src=x onerror="document.title=1">claude-&amp;"\u202e';
    const asked = await post(house.gateway, "messages", { ...windu, model: evil });
    expect(asked.status).toBe(404);
    await using visited = await visit(browser, { url: `${house.gateway.url}/dashboard` });
    const { page, complaints } = visited;
    await page.locator(".asked", { hasText: "onerror" }).waitFor();
    expect(await page.locator(".asked img").count()).toBe(0);
    await page.locator(".request a").click();
    await page.locator(".story").waitFor();
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).toBe("Sanctum");
    expect(complaints).toEqual([]);
  });
});

describe("the sums over time", () => {
  test("hold each request once, over a stop, a kill and a deleted memory", async () => {
    await using house = await startHouse();
    const sums = async (): Promise<number[]> => {
      const response = await fetch(`${house.gateway.url}/dashboard/api/history`);
      const { reading, hours, days, months } = (await response.json()) as {
        reading: boolean;
        [span: string]: unknown;
      };
      expect(reading).toBe(false);
      return [hours, days, months].map((periods) =>
        (periods as { requests: number }[]).reduce((sum, { requests }) => sum + requests, 0),
      );
    };
    const ask = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await post(house.gateway, "messages", windu);
    };
    await ask(3);
    await house.gateway.restart();
    await ask(4);
    await eventually(() => expect(house.gateway.auditLines().length).toBe(7));
    await house.gateway.kill9();
    await house.gateway.restart();
    await ask(5);
    await eventually(async () => expect(await sums()).toEqual([12, 12, 12]));
  });
});
