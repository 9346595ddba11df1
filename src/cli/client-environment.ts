// The environment of a client that `sanctum run` starts: whatever it speaks, its way leads to the gateway, as this agent.

import { vendorKeyPattern } from "./vendor-keys.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ClientEnvironment {
  readonly env: Record<string, string>;
  /** Names whose value of the caller the client does not get, in order. */
  readonly replaced: readonly string[];
  /** Names that the client does not get at all, in order. */
  readonly removed: readonly string[];
}

/** Settings that send a client to another place, whatever its base URL says. */
const detours: readonly { readonly pattern: RegExp; readonly when?: (value: string) => boolean }[] = [
  // Claude Code: these win over ANTHROPIC_BASE_URL.
  { pattern: /^CLAUDE_CODE_USE_[A-Z]+$/ },
  // A header of another agent's token wins over the one of this run.
  { pattern: /^ANTHROPIC_CUSTOM_HEADERS$/, when: (value) => /authorization|x-api-key|x-sanctum-/i.test(value) },
  { pattern: /^AZURE_OPENAI_(?:ENDPOINT|BASE_URL)$/ },
  { pattern: /^OPENAI_API_TYPE$/ },
];

/** What a client reads where its gateway is, and with which token. `base` is a URL without path. */
function settingsFor(base: string, token: string, program: string): Record<string, string> {
  return {
    ANTHROPIC_BASE_URL: base,
    ANTHROPIC_AUTH_TOKEN: token,
    // Claude Code takes both for a conflict and asks; Anthropic's SDKs and what is built on them know this one best.
    ...(program === "claude" ? {} : { ANTHROPIC_API_KEY: token }),
    OPENAI_BASE_URL: `${base}/v1`,
    // The name before version 1 of OpenAI's SDK, which much is still built on, and Open WebUI's own.
    OPENAI_API_BASE: `${base}/v1`,
    OPENAI_API_BASE_URL: `${base}/v1`,
    OPENAI_API_KEY: token,
    SANCTUM_BASE_URL: base,
  };
}

/** `at`: where the gateway is; a socket sets no base URL, because none could name it. `program`: the command's first word. */
export function clientEnvironment(
  caller: Environment,
  at: { readonly url: string } | { readonly socketPath: string },
  token: string,
  program: string,
): ClientEnvironment {
  const name = program.replace(/^.*[/\\]/, "");
  const settings: Record<string, string | undefined> =
    "url" in at
      ? { ...settingsFor(at.url, token, name), SANCTUM_SOCKET: undefined }
      : { ...noBaseUrls, SANCTUM_SOCKET: at.socketPath };
  const set: Record<string, string | undefined> = { ...settings, SANCTUM_TOKEN: token };
  const env: Record<string, string> = {};
  const replaced: string[] = [];
  const removed: string[] = [];
  for (const [key, value] of Object.entries(caller)) {
    if (value === undefined) continue;
    if (set[key] !== undefined) {
      if (set[key] !== value) replaced.push(key);
    } else if (key in set || vendorKeyPattern.test(key) || isDetour(key, value)) removed.push(key);
    else env[key] = value;
  }
  for (const [key, value] of Object.entries(set)) if (value !== undefined) env[key] = value;
  if ("url" in at) passByProxies(env, new URL(at.url).hostname);
  return { env, replaced: replaced.toSorted(), removed: removed.toSorted() };
}

const noBaseUrls: Readonly<Record<string, undefined>> = Object.fromEntries(
  Object.keys(settingsFor("", "", "")).map((name) => [name, undefined]),
);

function isDetour(name: string, value: string): boolean {
  return detours.some(({ pattern, when }) => pattern.test(name) && when?.(value) !== false);
}

/** A proxy of the environment would get the token and look for the gateway on its own machine. */
function passByProxies(env: Record<string, string>, hostname: string): void {
  if (!Object.keys(env).some((name) => /^(?:https?|all)_proxy$/i.test(name))) return;
  // Both spellings are read, by different programs.
  for (const name of ["NO_PROXY", "no_proxy"]) {
    const before = env[name] ?? env["NO_PROXY"] ?? env["no_proxy"] ?? "";
    const hosts = before.split(",").map((host) => host.trim());
    const host = hostname.replace(/^\[|\]$/g, "");
    env[name] = hosts.includes(host) || hosts.includes("*") ? before : [...hosts.filter(Boolean), host].join(",");
  }
}
