// `npm run screenshots`: docs/images, from a real gateway between the demo's scripted models and a real Chromium. The days
// before today are a trail that the gateway finds; today's requests are made. `npm run screenshots -- FOLDER` writes
// elsewhere.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { startScriptedModels, type Act, type ScriptedModels } from "../src/cli/demo/scripted-models.ts";
import { openBrowser } from "../test/browser/chromium.ts";
import { eventually, startGateway, tokenOf, type Gateway } from "../test/harness.ts";
import { earlierDays } from "./screenshots/earlier-days.ts";

const folder = resolve(process.argv[2] ?? join(import.meta.dir, "../docs/images"));
const agents = ["windu", "mothma", "jocasta"];

const models = startScriptedModels();
const home = mkdtempSync(join(tmpdir(), "sanctum-pictures-"));
mkdirSync(folder, { recursive: true });
mkdirSync(join(home, "logs"), { mode: 0o700 });
writeFileSync(join(home, "logs/cloud-proxy-audit.jsonl"), earlierDays(Date.now()), { mode: 0o600 });
const gateway = await startGateway({ home, config: configOf(models) });
const browser = await openBrowser();
try {
  const waiting = await today(gateway);
  await shoot("dashboard-light.png", { width: 1440, height: 1180, theme: "light" });
  await shoot("dashboard-dark.png", { width: 1440, height: 1180, theme: "dark" });
  await shoot("dashboard-phone.png", { width: 390, height: 844, theme: "dark" });
  await shoot("dashboard-request.png", { width: 1440, height: 900, theme: "light", path: await fallenBack() });
  for (const request of waiting) request.abort();
} finally {
  await browser.close();
  await gateway[Symbol.asyncDispose]();
  await models.stop();
  rmSync(home, { recursive: true, force: true });
}

interface Shot {
  readonly width: number;
  readonly height: number;
  readonly theme: "light" | "dark";
  /** Behind `#`. */
  readonly path?: string;
}

async function shoot(name: string, { width, height, theme, path = "/" }: Shot): Promise<void> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    ...(width < 500 ? { deviceScaleFactor: 2, isMobile: true, hasTouch: true } : {}),
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  await page.goto(`${gateway.url}/dashboard#${path}`);
  await settled(page, path);
  const bytes = await page.screenshot({ type: "png" });
  writeFileSync(join(folder, name), bytes);
  console.log(`${name}: ${(bytes.length / 1024).toFixed(0)} KB`);
  await context.close();
}

async function settled(page: Page, path: string): Promise<void> {
  await page.waitForSelector(path === "/" ? ".figures" : ".story .facts");
  await page.waitForSelector("text=The trail of earlier days is being read.", { state: "detached" });
}

/** The address of the newest request that another model answered than the one that was asked for. */
async function fallenBack(): Promise<string> {
  const response = await fetch(`${gateway.url}/dashboard/api/requests?outcome=fallback&limit=1`);
  const { entries } = (await response.json()) as { entries: { seq: number }[] };
  return `/requests/${entries[0]!.seq}`;
}

/** The morning's work; two requests are still running at its end. */
async function today(gateway: Gateway): Promise<AbortController[]> {
  const turns: readonly (readonly [agent: string, act: Act, input: number, output: number, kind: Kind])[] = [
    ["windu", "answer", 9_100, 1_240, "messages"],
    ["mothma", "answer", 1_100, 620, "chat"],
    ["windu", "answer", 12_400, 980, "messages"],
    ["jocasta", "answer", 1_400, 410, "chat"],
    ["default", "answer", 900, 120, "local"],
    ["windu", "answer", 14_800, 2_140, "messages"],
    ["mothma", "answer", 3_400, 1_900, "chat"],
    ["windu", "answer", 15_000, 1_650, "messages"],
    ["default", "answer", 1_800, 340, "local"],
    ["windu", "answer", 16_700, 1_120, "messages"],
    ["jocasta", "answer", 1_900, 780, "chat"],
    ["jocasta", "answer", 2_300, 690, "chat"],
    ["windu", "answer", 18_500, 2_900, "messages"],
    ["mothma", "break_off", 2_200, 700, "chat"],
    ["windu", "refuse", 19_100, 1_310, "messages"],
    ["mothma", "answer", 5_600, 1_480, "chat"],
    ["jocasta", "answer", 1_800, 560, "chat"],
    ["mothma", "answer", 6_100, 1_150, "chat"],
  ];
  for (const [agent, act, input, output, kind] of turns) {
    models.next(act, { input, output });
    const response = await ask(gateway, agent, kind, input);
    await response.text();
  }
  await rested(gateway);
  models.next("answer");
  await fetch(`${gateway.url}/v1/messages`, {
    method: "POST",
    headers: { authorization: "Bearer sk-sanctum-windu-made-up" },
    body: "{}",
  });
  models.next("stall");
  const waiting = (["messages", "chat"] as const).map((kind, i) => {
    const gone = new AbortController();
    ask(gateway, agents[i]!, kind, 2_000, gone.signal).catch(() => undefined);
    return gone;
  });
  return waiting;
}

type Kind = "messages" | "chat" | "local";

/** Nobody is left alone any more for what went wrong before. */
async function rested(gateway: Gateway): Promise<void> {
  await eventually(async () => {
    const { providers } = (await (await fetch(`${gateway.url}/stats`)).json()) as {
      providers: Record<string, { backoff_until: string | null }>;
    };
    for (const { backoff_until: until } of Object.values(providers)) {
      if (until !== null && Date.parse(until) > Date.now()) throw new Error("still backing off");
    }
  }, 60_000);
}

/** With a prompt of about so many tokens. */
async function ask(
  gateway: Gateway,
  agent: string,
  kind: Kind,
  promptTokens: number,
  signal?: AbortSignal,
): Promise<Response> {
  const user = { role: "user", content: "and so on ".repeat(Math.ceil((promptTokens * 4) / 10)) };
  const body =
    kind === "messages"
      ? { model: "claude-sonnet-4-5", max_tokens: 3_000, messages: [user], stream: true }
      : {
          model: kind === "local" ? "coder-14b" : "gpt-4.1",
          max_completion_tokens: 2_000,
          messages: [user],
          stream: true,
        };
  return fetch(`${gateway.url}${kind === "messages" ? "/v1/messages" : "/v1/chat/completions"}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(agent === "default" ? {} : { authorization: `Bearer ${tokenOf(agent).token}` }),
    },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

function configOf({ cloudUrl, localUrl }: ScriptedModels): object {
  const key = { command: ["printf", "%s", createHash("sha256").update("pictures").digest("hex")] };
  const caps: Readonly<Record<string, number>> = { windu: 2, mothma: 2, jocasta: 0.03 };
  return {
    listen: "127.0.0.1:0",
    timezone: "UTC",
    agents: {
      ...Object.fromEntries(agents.map((name) => [name, { daily_usd: caps[name], tokens: [tokenOf(name).hash] }])),
      default: { daily_usd: 0.5 },
    },
    providers: {
      anthropic: { url: cloudUrl, dialects: ["messages"], key, limits: { requests_per_minute: 50 } },
      openai: { url: `${cloudUrl}/v1`, dialects: ["responses", "chat"], key },
      openrouter: { url: `${cloudUrl}/v1`, dialects: ["chat"], key: "none" },
      ollama: { url: localUrl, dialects: ["chat"], local: true, key: "none" },
    },
    models: { "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 } },
    fallback: ["coder-14b"],
  };
}
