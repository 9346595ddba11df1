import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { reexecuteClean } from "./environment.ts";
import type { Io } from "./io.ts";
import { painted, tableText, wantsColour } from "./table.ts";
import { scenes, type Scene } from "./demo/scenes.ts";
import { startScriptedModels, type ScriptedModels } from "./demo/scripted-models.ts";

/** `sanctum demo`: a scripted cloud, a scripted local model and the real gateway, on free ports of this machine. */
export function demoCommand(io: Io): Command {
  return new Command("demo")
    .description("show all five layers at work: no key, no network, a few seconds")
    .action(async () => {
      // A proxy of the environment would take even what goes to this machine.
      reexecuteClean(() => undefined);
      const home = mkdtempSync(join(tmpdir(), "sanctum-demo-"));
      const models = startScriptedModels();
      try {
        await play(io, home, models);
      } finally {
        await models.stop();
        rmSync(home, { recursive: true, force: true });
      }
    });
}

const demoKey = "demo-key-that-only-the-gateway-has";

async function play(io: Io, home: string, models: ScriptedModels): Promise<void> {
  const { Daemon } = await import("../daemon/daemon.ts");
  const { systemClock, systemRandom } = await import("../clock.ts");
  const { createToken } = await import("../config/agent-token.ts");
  const { verifyAudit, auditFiles } = await import("../layers/audit/index.ts");

  const tokens = new Map(
    ["windu", "mothma", "jocasta"].map((name) => [
      name,
      createToken(name, (size) => crypto.getRandomValues(new Uint8Array(size))),
    ]),
  );
  const configFile = join(home, "sanctum-proxy/config.yaml");
  mkdirSync(join(home, "sanctum-proxy"), { mode: 0o700 });
  writeFileSync(
    configFile,
    configText(models, (name) => tokens.get(name)!.hash),
    { mode: 0o600 },
  );
  const daemon = await Daemon.start({
    home,
    configFile,
    clock: systemClock,
    random: systemRandom,
    report: () => undefined,
  });
  try {
    const colour = wantsColour(io);
    io.out(`The gateway runs at ${daemon.urls[0]}, a scripted cloud and a scripted local model beside it.\n\n`);
    const answers: { scene: Scene; status: number; text: string }[] = [];
    for (const scene of scenes) {
      models.next(scene.cloud);
      const token = tokens.get(scene.agent)?.token.reveal() ?? "sk-sanctum-windu-made-up";
      answers.push({ scene, ...(await ask(daemon.urls[0]!, scene, token)) });
    }
    const stats = daemon.stats();
    const file = join(home, "logs/cloud-proxy-audit.jsonl");
    await daemon.stop(5_000);
    const entries = (await Bun.file(file).text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Entry);
    io.out(sceneTable(answers, entries, colour));
    io.out(`\n${painted("Money", "bold", colour)} (spent never passes the cap)\n`);
    io.out(
      tableText(
        [
          ["agent", "cap", "spent", "left"],
          ...Object.entries(stats.agents).map(([name, a]) => [
            name,
            usd(a.daily_usd),
            usd(a.spent_usd),
            usd(a.remaining_usd),
          ]),
        ],
        [1, 2, 3],
        colour,
      ),
    );
    const verified = await verifyAudit(auditFiles(file));
    const keySeen = models.shown.every((value) => value.includes(demoKey));
    io.out(
      `\nKeys: the cloud saw the gateway's key ${models.shown.length} times${keySeen ? " and no agent's token" : ""}.\n`,
    );
    io.out(
      `Audit: ${entries.length} requests, ${entries.length} lines; the hash chain ${verified.ok ? "verifies" : "is broken"}.\n`,
    );
    io.out("\nNow for real: `npm start`, then `sanctum keys set anthropic`.\n");
  } catch (error) {
    await daemon.close();
    throw error;
  }
}

interface Entry {
  readonly attempts: readonly { readonly candidate: string; readonly outcome: string }[];
  readonly served_by: string | null;
  readonly usd: number;
  readonly held_usd: number;
  readonly ms: number;
  readonly outcome: string;
}

async function ask(url: string, scene: Scene, token: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}${scene.path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${token}`,
      "anthropic-version": "2023-06-01",
    },
    body: JSON.stringify(scene.body),
  });
  return { status: response.status, text: await response.text() };
}

function sceneTable(
  answers: readonly { scene: Scene; status: number }[],
  entries: readonly Entry[],
  colour: boolean,
): string {
  let text = "";
  answers.forEach(({ scene, status }, i) => {
    const entry = entries[i];
    if (entry === undefined) return;
    const way = entry.attempts.map(({ candidate, outcome }) => `${candidate} ${outcome}`).join(" → ") || entry.outcome;
    const money =
      entry.held_usd > 0 ? `held ${usd(entry.held_usd)}, paid ${usd(entry.usd)}` : "nothing held, nothing paid";
    text += `${painted(`${i + 1}. ${scene.agent}`, "bold", colour)}, ${scene.client}: ${status} in ${entry.ms} ms\n`;
    text += `   way    ${way}\n   money  ${money}\n   ${painted(scene.lesson, "dim", colour)}\n`;
  });
  return text;
}

function usd(value: number): string {
  return `$${value.toFixed(4)}`;
}

function configText(models: ScriptedModels, hash: (name: string) => string): string {
  const key = `key: { command: [printf, "%s", "${demoKey}"] }`;
  const agent = (name: string, cap: string): string => `  ${name}: { daily_usd: ${cap}, tokens: ["${hash(name)}"] }\n`;
  return `listen: 127.0.0.1:0
agents:
${agent("windu", "2.00")}${agent("mothma", "2.00")}${agent("jocasta", "0.02")}
providers:
  anthropic: { url: "${models.cloudUrl}", dialects: [messages], ${key} }
  openai: { url: "${models.cloudUrl}/v1", dialects: [responses, chat], ${key}, timeouts: { first_byte: 1s } }
  openrouter: { url: "${models.cloudUrl}/v1", dialects: [chat], ${key} }
  home: { url: "${models.localUrl}", dialects: [chat], local: true, key: none }
models:
  coder-14b: { provider: home, model: "qwen2.5-coder:14b", context: 32768 }
fallback: [coder-14b]
`;
}
