// Who can reach the gateway, and whether it is the gateway that is reached.

import { createConnection } from "node:net";
import { defaultListen } from "../../config/defaults.ts";
import { beside, onBoundary, type Finding } from "./finding.ts";
import { userNameOf, type KernelListener } from "./kernel.ts";
import type { Scene } from "./scene.ts";

interface Place {
  readonly host: string;
  readonly port: number;
}

/** Where it listens: as configured; where the configuration is hidden, what its user listens on. */
function placesOf({ config, listeners, owner, running }: Scene): Place[] {
  if (config !== null) {
    return config.listen.flatMap(({ host, port }) =>
      host === undefined || port === undefined ? [] : [{ host, port }],
    );
  }
  const own = running ? (listeners ?? []).filter(({ uid }) => uid === owner?.uid) : [];
  if (own.length > 0) return own.map(({ address, port }) => ({ host: address, port }));
  const [host, port] = defaultListen.split(":");
  return [{ host: host!, port: Number(port) }];
}

export async function checkPort(scene: Scene): Promise<Finding[]> {
  const { listeners, owner, running, system } = scene;
  const ports = [...new Set(placesOf(scene).map(({ port }) => port))].filter((port) => port !== 0);
  const findings: Finding[] = [];
  for (const port of ports) {
    const strangers = (listeners ?? []).filter((one) => one.port === port && !(running && one.uid === owner?.uid));
    if (strangers.length > 0) findings.push(await strangerFinding(scene, port, strangers[0]!));
    else if (listeners === null && !running && (await answers("127.0.0.1", port))) {
      findings.push(taken(port, "another program"));
    }
  }
  if (findings.length > 0 || ports.length === 0) return findings;
  const words = ports.join(", ");
  if (listeners === null) {
    return [
      beside("network.port", "note", { found: `Whose the port ${words} is can't be told on ${system.platform}.` }),
    ];
  }
  if (!running) return [beside("network.port", "ok", { found: `The port ${words} is free.` })];
  if (!listeners.some(({ port, uid }) => ports.includes(port) && uid === owner?.uid)) {
    return [
      onBoundary("network.port", "note", {
        found: `The gateway runs, but does not listen on the port ${words}.`,
        means: "It may just be starting, or its configuration has changed since.",
        remedy: "run this again in a moment; then look at its log",
      }),
    ];
  }
  return [onBoundary("network.port", "ok", { found: `The port ${words} is the gateway's alone.` })];
}

async function strangerFinding({ system, running }: Scene, port: number, one: KernelListener): Promise<Finding> {
  const name = await userNameOf(system, one.uid);
  const who = `a program of ${name} (uid ${one.uid}) on ${one.address}`;
  if (!running) return taken(port, who);
  return onBoundary("network.port", "problem", {
    found: `The port ${port} is also listened on by ${who}.`,
    means: "It may get what clients send to the gateway, tokens too.",
    remedy: "stop it; `ss -ltnp` shows it",
  });
}

function taken(port: number, who: string): Finding {
  return beside("network.port", "problem", {
    found: `The port ${port} is taken by ${who}, and no gateway of this home runs.`,
    means: "The gateway can't start there, and clients send their prompts and tokens to that program.",
    remedy: "stop it, or choose another port in `listen`; `ss -ltnp` (macOS: `lsof -iTCP -sTCP:LISTEN`) shows it",
  });
}

export function checkExposure(scene: Scene): Finding[] {
  const open = placesOf(scene).filter(({ host }) => !isLoopback(host));
  if (open.length === 0) return [beside("network.exposure", "ok", { found: "It listens for this machine alone." })];
  const where = [...new Set(open.map(({ host, port }) => `${host}:${port}`))].join(", ");
  const tls = scene.config?.tls !== undefined;
  return [
    beside("network.exposure", "note", {
      found: `It listens on ${where}, which other machines reach.`,
      means: tls
        ? "They need a token; what they send is sealed by TLS."
        : "They need a token, which crosses the network in clear, like prompts and answers.",
      ...(tls ? {} : { remedy: "set `tls: { cert_file, key_file }`, or listen on 127.0.0.1" }),
    }),
  ];
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.") || host.startsWith("::ffff:7f");
}

/** Asked of the gateway itself where it runs: what counts is what it does. */
export async function checkAnonymous(scene: Scene): Promise<Finding[]> {
  const place = placesOf(scene).find(({ host, port }) => isLoopback(host) && port !== 0);
  const asked = scene.running && place !== undefined ? await letsAnybodyIn(place) : null;
  const open = asked ?? (scene.config === null || place === undefined ? null : scene.config.anonymous === "loopback");
  if (open === null) return [];
  if (!open) return [beside("network.anonymous", "ok", { found: "Nobody is let in without a token." })];
  const cap = scene.config?.agents.get("default")?.caps.daily;
  const usd = typeof cap === "number" ? ` of $${(cap / 1e9).toFixed(2)} a day` : "";
  return [
    beside("network.anonymous", "note", {
      found: "Every user and program of this machine is let in without a token, as the agent `default`.",
      means: `They spend from its cap${usd}, and so does an agent that leaves its token out.`,
      remedy: "`identity: { anonymous: never }` in the configuration, once every agent has a token",
    }),
  ];
}

/** Null: it can't be told. The list of models costs nothing and leaves no line in the trail. */
async function letsAnybodyIn({ host, port }: Place): Promise<boolean | null> {
  const name = host.includes(":") ? `[${host}]` : host;
  try {
    const response = await fetch(`http://${name}:${port}/v1/models`, {
      redirect: "manual",
      signal: AbortSignal.timeout(3_000),
    });
    await response.body?.cancel();
    if (response.headers.get("x-sanctum-request-id") === null) return null;
    return response.status === 401 ? false : response.status === 200 ? true : null;
  } catch {
    return null;
  }
}

async function answers(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection(port, host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
