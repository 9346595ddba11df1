// What is measured, and how each is started: as its own documentation says, in its faster form where there are two.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, freePort } from "./child.ts";
import { loadNames, type LoadName } from "./extent.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const peers = join(root, "bench/peers");
const compiledFile = join(root, "dist/sanctum");
const path = process.env["PATH"] ?? "/usr/bin:/bin";

/** `chat` and `messages`: the same dialect on both sides; `translated`: messages to the client, chat to the upstream. */
export type Route = "chat" | "messages" | "translated";

export const systemNames = [
  "direct",
  "bare-bun",
  "nginx",
  "sanctum",
  "sanctum-memory",
  "sanctum-compiled",
  "portkey",
] as const;
export type SystemName = (typeof systemNames)[number];

/** Where and how requests enter it. */
export interface Entrance {
  readonly port: number;
  /** The name by which a client asks for the model. */
  readonly model: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Started {
  readonly entrance: (route: Route) => Entrance;
  /** null where there is nothing between load and upstream. */
  readonly child: Child | null;
}

export interface System {
  readonly name: SystemName;
  readonly about: string;
  readonly routes: readonly Route[];
  readonly loads: readonly LoadName[];
  /** Why it can't be run here; null where it can. */
  readonly missing: () => string | null;
  /** `folder` is empty, private and of this start alone. */
  readonly start: (upstreamPort: number, folder: string) => Promise<Started>;
}

const upstreamModel = "bench-model";
const providerKey = "bench-provider-key";
const token = `sk-sanctum-bench-${createHash("sha256").update("bench").digest("base64url")}`;

function authorised(port: number): Entrance {
  return { port, model: upstreamModel, headers: { authorization: `Bearer ${providerKey}` } };
}

const direct: System = {
  name: "direct",
  about: "the load generator straight to the upstream",
  routes: ["chat"],
  loads: loadNames,
  missing: () => null,
  start: async (upstreamPort) => ({ entrance: () => authorised(upstreamPort), child: null }),
};

const bareBun: System = {
  name: "bare-bun",
  about: "Bun.serve and fetch, nothing else",
  routes: ["chat"],
  loads: loadNames,
  missing: () => null,
  start: async (upstreamPort, folder) => {
    const port = freePort();
    const command = [process.execPath, join(peers, "bare-bun.ts"), String(port), String(upstreamPort)];
    const env = { PATH: path, BUN_CONFIG_MAX_HTTP_REQUESTS: "65336" };
    return { entrance: () => authorised(port), child: await Child.start({ command, env, cwd: folder }, port) };
  },
};

function nginxProgram(): string | null {
  const unpacked = join(peers, "node_modules/.nginx/usr/sbin/nginx");
  return Bun.which("nginx", { PATH: path }) ?? (existsSync(unpacked) ? unpacked : null);
}

function nginxConfig(port: number, upstreamPort: number): string {
  return `worker_processes 1;
daemon off;
pid nginx.pid;
${process.getuid?.() === 0 ? "user root;" : ""}
error_log stderr crit;
worker_rlimit_nofile 65536;
events { worker_connections 8192; }
http {
  access_log off;
  client_max_body_size 32m;
  client_body_buffer_size 2m;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  upstream models { server 127.0.0.1:${upstreamPort}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://models;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;
}

const nginx: System = {
  name: "nginx",
  about: "plain proxy_pass with kept-alive upstream connections, one worker, no log",
  routes: ["chat"],
  loads: loadNames,
  missing: () => (nginxProgram() === null ? "nginx is not installed (bench/peers/install.sh)" : null),
  start: async (upstreamPort, folder) => {
    const port = freePort();
    writeFileSync(join(folder, "nginx.conf"), nginxConfig(port, upstreamPort));
    const command = [nginxProgram()!, "-p", folder, "-c", "nginx.conf", "-e", "stderr"];
    const child = await Child.start({ command, env: { PATH: path }, cwd: folder }, port);
    return { entrance: () => authorised(port), child };
  },
};

const aliases: Readonly<Record<Route, string>> = {
  chat: "alias-chat1",
  messages: "alias-mess1",
  translated: "alias-trans",
};

/** All layers on: a token, a priced model under a cap, provider limits, a key that is lent, ledger and audit on disk. */
function sanctumConfig(port: number, upstreamPort: number): object {
  const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };
  const limits = {
    requests_per_minute: 10_000_000,
    input_tokens_per_minute: 10_000_000_000,
    output_tokens_per_minute: 10_000_000_000,
    concurrent: 100_000,
  };
  const provider = (url: string, dialect: string): object => ({
    url,
    dialects: [dialect],
    key: { command: ["printf", "%s", providerKey] },
    limits,
  });
  const model = (name: string): object => ({ provider: name, model: upstreamModel, context: 4_000_000, price });
  return {
    listen: `127.0.0.1:${port}`,
    identity: { anonymous: "never" },
    agents: {
      bench: {
        daily_usd: 1_000_000,
        max_concurrent: 100_000,
        tokens: [`sha256:${createHash("sha256").update(token).digest("hex")}`],
      },
    },
    providers: {
      "bench-chat": provider(`http://127.0.0.1:${upstreamPort}/v1`, "chat"),
      "bench-messages": provider(`http://127.0.0.1:${upstreamPort}`, "messages"),
    },
    models: {
      [aliases.chat]: model("bench-chat"),
      [aliases.messages]: model("bench-messages"),
      [aliases.translated]: model("bench-chat"),
    },
    fallback: [],
    audit: { content: "none", on_failure: "refuse" },
  };
}

function sanctum(name: SystemName, about: string, command: readonly string[], missing: () => string | null): System {
  return {
    name,
    about,
    // The compiled form runs the same code: it is measured where the form could matter.
    routes: name === "sanctum" ? ["chat", "messages", "translated"] : ["chat"],
    loads: name === "sanctum" ? loadNames : name === "sanctum-memory" ? ["1 KB"] : ["1 KB", "streams"],
    missing,
    start: async (upstreamPort, folder) => {
      const port = freePort();
      const configFile = join(folder, "sanctum-proxy/config.yaml");
      mkdirSync(join(folder, "sanctum-proxy"), { mode: 0o700 });
      writeFileSync(configFile, JSON.stringify(sanctumConfig(port, upstreamPort)), { mode: 0o600 });
      const child = await Child.start(
        {
          command: [...command, "start", "--config", configFile],
          env: { PATH: path, HOME: folder, SANCTUM_HOME: folder },
          cwd: folder,
        },
        port,
      );
      // Aliases of the same length as the model's name: the gateway has to put one for the other, on both ways.
      return { entrance: (route) => ({ port, model: aliases[route], headers: { "x-sanctum-token": token } }), child };
    },
  };
}

const portkeyPackage = join(peers, "node_modules/@portkey-ai/gateway");

const portkey: System = {
  name: "portkey",
  about: "Portkey's gateway on Node: headless and in production mode, no hooks, no cache, no log",
  routes: ["chat"],
  loads: loadNames,
  missing: () => {
    if (!existsSync(portkeyPackage)) return "Portkey's gateway is not installed (bench/peers/install.sh)";
    return Bun.which("node", { PATH: path }) === null ? "there is no Node on PATH" : null;
  },
  start: async (upstreamPort, folder) => {
    const port = freePort();
    const command = ["node", join(portkeyPackage, "build/start-server.js"), "--headless", `--port=${port}`];
    const env = { PATH: path, HOME: folder, NODE_ENV: "production" };
    const { model, headers: common } = authorised(port);
    const headers = {
      ...common,
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `http://127.0.0.1:${upstreamPort}/v1`,
    };
    return {
      entrance: () => ({ port, model, headers }),
      child: await Child.start({ command, env, cwd: folder }, port),
    };
  },
};

export const systems: readonly System[] = [
  direct,
  bareBun,
  nginx,
  sanctum(
    "sanctum",
    "this gateway as `npm start` runs it, all layers on",
    ["sh", join(root, "bin/sanctum")],
    () => null,
  ),
  sanctum(
    "sanctum-memory",
    "the same with its books in memory alone: what is left is the cost of durable holds",
    [process.execPath, "--no-env-file", "--config=/dev/null", "--smol", join(root, "bench/memory-main.ts")],
    () => null,
  ),
  sanctum("sanctum-compiled", "the same as one file, dist/sanctum", [compiledFile], compiledMissing),
  portkey,
];

function compiledMissing(): string | null {
  if (!existsSync(compiledFile)) return "dist/sanctum is not built (`npm run build`)";
  const built = Bun.file(compiledFile).lastModified;
  const sources = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: root })].filter((file) => !file.endsWith(".test.ts"));
  const newer = sources.filter((file) => Bun.file(join(root, file)).lastModified > built);
  return newer.length === 0 ? null : "dist/sanctum is older than src (`npm run build`)";
}

/** The version that stands in the report. */
export function versionOf(name: SystemName): string {
  if (name === "direct") return "";
  if (name === "nginx") {
    const { stderr } = Bun.spawnSync([nginxProgram()!, "-v", "-e", "stderr"]);
    return /nginx\/(\S+)/.exec(stderr.toString())?.[1] ?? "?";
  }
  if (name === "portkey") {
    const { version } = JSON.parse(readFileSync(join(portkeyPackage, "package.json"), "utf8")) as { version: string };
    const node = Bun.spawnSync(["node", "--version"], { env: { PATH: path } })
      .stdout.toString()
      .trim();
    return `${version} on Node ${node}`;
  }
  return `Bun ${Bun.version}`;
}
