import { Command } from "commander";
import { clientAddressOf, curlLine, type ClientAddress } from "./client-address.ts";
import type { Io } from "./io.ts";
import { adminOf } from "./remote.ts";

interface Client {
  readonly name: string;
  readonly title: string;
  /** The client of which this is another way; it is shown with it. */
  readonly wayOf?: string;
  readonly lines: (base: string) => readonly string[];
}

const clients: readonly Client[] = [
  {
    name: "claude-code",
    title: "Claude Code",
    lines: (base) => [`export ANTHROPIC_BASE_URL=${base}`, "export ANTHROPIC_AUTH_TOKEN=TOKEN", "claude"],
  },
  {
    name: "claude-code-login",
    title: "Claude Code with its own login, where config.yaml says `providers: { anthropic: { key: passthrough } }`",
    wayOf: "claude-code",
    lines: (base) => [
      "unset ANTHROPIC_AUTH_TOKEN ANTHROPIC_API_KEY",
      `export ANTHROPIC_BASE_URL=${base}`,
      'export ANTHROPIC_CUSTOM_HEADERS="x-sanctum-token: TOKEN"',
      "claude",
    ],
  },
  {
    name: "codex",
    title: "Codex CLI (~/.codex/config.toml)",
    lines: (base) => [
      'model_provider = "sanctum"',
      "[model_providers.sanctum]",
      'name = "Sanctum"',
      `base_url = "${base}/v1"`,
      'env_key = "SANCTUM_TOKEN"',
      'wire_api = "responses"',
    ],
  },
  {
    name: "openai",
    title: "OpenAI SDKs and everything that speaks Chat Completions",
    lines: (base) => [`export OPENAI_BASE_URL=${base}/v1`, "export OPENAI_API_KEY=TOKEN"],
  },
  {
    name: "anthropic",
    title: "Anthropic SDKs",
    lines: (base) => [`export ANTHROPIC_BASE_URL=${base}`, "export ANTHROPIC_API_KEY=TOKEN"],
  },
  {
    name: "open-webui",
    title: "Open WebUI (Admin, Settings, Connections, OpenAI API)",
    lines: (base) => [`URL  ${base}/v1`, "Key  TOKEN"],
  },
  {
    name: "n8n",
    title: "n8n (credential OpenAI)",
    lines: (base) => [`Base URL  ${base}/v1`, "API Key   TOKEN"],
  },
];

/** `sanctum connect CLIENT`: what to set in that client. TOKEN stands for the agent's token, or `anonymous`. */
export function connectCommand(io: Io): Command {
  return new Command("connect")
    .description("show how to point a client at the gateway")
    .argument("[client]", clients.map(({ name }) => name).join(", "))
    .action(async (name: string | undefined) => {
      const address = await addressOf(io);
      const wanted = clients.filter((client) => name === undefined || client.name === name || client.wayOf === name);
      if (wanted.length === 0) {
        io.err(`sanctum: unknown client "${name}"; known: ${clients.map((c) => c.name).join(", ")}\n`);
        process.exitCode = 2;
        return;
      }
      if ("socketPath" in address) {
        io.err(`sanctum: the gateway listens on ${address.socketPath} alone, and these clients take it as a URL.\n`);
        io.err("Add a TCP address beside it in config.yaml, such as 127.0.0.1:4040, and restart. Over the socket:\n");
        io.out(`${curlLine(address.socketPath, "TOKEN")}\n`);
        process.exitCode = 1;
        return;
      }
      for (const { title, lines } of wanted)
        io.out(
          `${title}:\n${lines(address.url)
            .map((line) => `  ${line}\n`)
            .join("")}\n`,
        );
      io.out("TOKEN: what `sanctum agents add NAME` printed, or `anonymous` for the agent `default`.\n");
      io.out("Or let `sanctum run NAME -- CLIENT` set all of this for one run of a client.\n");
    });
}

const usualAddress: ClientAddress = { url: "http://127.0.0.1:4040" };

/** The address of the running gateway, else the usual one. */
async function addressOf(io: Io): Promise<ClientAddress> {
  try {
    return clientAddressOf(JSON.parse(await adminOf(io).get("/addresses")) as readonly string[]) ?? usualAddress;
  } catch {
    // Not running yet: the default address is what it will most likely be.
    return usualAddress;
  }
}
