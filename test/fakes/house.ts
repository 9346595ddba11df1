// A household for tests: a scripted cloud, a scripted local model, and the gateway between them and the agents.

import { startGateway, tokenOf, type Gateway, type GatewayOptions } from "../harness.ts";
import type { Gate } from "./gate.ts";
import { FakeProvider, type ProviderOptions } from "./provider.ts";

/** What the house's own key is in all tests: it must show at the cloud and nowhere else. */
export const HOUSE_KEY = "house-key-of-these-tests";

type Overlay = Readonly<Record<string, unknown>>;

export interface HouseOptions {
  readonly cloud?: ProviderOptions;
  readonly local?: ProviderOptions;
  /** Laid over the base configuration, key by key at the top level, one level deeper for maps. */
  readonly config?: Overlay | ((urls: { readonly cloud: string; readonly local: string }) => Overlay);
  readonly env?: GatewayOptions["env"];
  readonly home?: GatewayOptions["home"];
  readonly program?: GatewayOptions["program"];
}

export interface House extends AsyncDisposable {
  readonly cloud: FakeProvider;
  readonly local: FakeProvider;
  readonly gateway: Gateway;
  /** What the gateway was started with. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Agents `windu` and `mothma` with tokens and `default` without; `claude-*` and `gpt-*` in the cloud; `coder-14b` at home. */
export async function startHouse(options: HouseOptions = {}): Promise<House> {
  const cloud = await FakeProvider.start(options.cloud);
  const local = await FakeProvider.start({ local: true, models: ["qwen2.5-coder:14b"], ...options.local });
  const urls = { cloud: cloud.url, local: local.url };
  const overlay = typeof options.config === "function" ? options.config(urls) : options.config;
  const config = merge(baseConfig(urls.cloud, urls.local), overlay ?? {});
  // What the configuration says that a server has, it has.
  for (const server of [cloud, local]) server.offer(modelsAt(server.url, config));
  try {
    const { env, home, program } = options;
    const gateway = await startGateway({
      config,
      ...(env === undefined ? {} : { env }),
      ...(home === undefined ? {} : { home }),
      ...(program === undefined ? {} : { program }),
    });
    const dispose = async (): Promise<void> => {
      // First the fakes: a gateway that ended by itself throws.
      await cloud[Symbol.asyncDispose]();
      await local[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
    };
    return { cloud, local, gateway, config, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await cloud[Symbol.asyncDispose]();
    await local[Symbol.asyncDispose]();
    throw error;
  }
}

/** All that a house needs; amounts so large that no test meets a cap without meaning to. */
export function baseConfig(cloudUrl: string, localUrl: string): Record<string, unknown> {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  return {
    listen: "127.0.0.1:0",
    timezone: "UTC",
    agents: {
      windu: { daily_usd: 1000, tokens: [tokenOf("windu").hash] },
      mothma: { daily_usd: 1000, tokens: [tokenOf("mothma").hash] },
      default: { daily_usd: 1000 },
    },
    providers: {
      anthropic: { url: cloudUrl, dialects: ["messages"], key, retry: { attempts: 1 } },
      openai: { url: `${cloudUrl}/v1`, dialects: ["responses", "chat"], key, retry: { attempts: 1 } },
      openrouter: { url: `${cloudUrl}/v1`, dialects: ["chat"], key, retry: { attempts: 1 } },
      ollama: { url: `${localUrl}/v1`, dialects: ["chat"], local: true, key: "none" },
    },
    models: { "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: 32_768 } },
    fallback: ["coder-14b"],
  };
}

/** The models that aliases of the configuration mean there. */
export function modelsAt(url: string, config: Readonly<Record<string, unknown>>): string[] {
  const providers = (config["providers"] ?? {}) as Readonly<Record<string, { readonly url?: string }>>;
  const aliases = (config["models"] ?? {}) as Readonly<
    Record<string, { readonly provider: string; readonly model: string }>
  >;
  const there = (name: string): boolean => providers[name]?.url?.startsWith(url) === true;
  return Object.values(aliases).flatMap(({ provider, model }) => (there(provider) ? [model] : []));
}

/** `top` over `base`; two maps under the same key are joined. */
export function merge(
  base: Readonly<Record<string, unknown>>,
  top: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(top)) {
    const under = base[key];
    merged[key] = isMap(under) && isMap(value) ? { ...under, ...value } : value;
  }
  return merged;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Body of the smallest request of a dialect. */
export function smallBody(dialect: "messages" | "chat" | "responses", model: string, extra: object = {}): string {
  const question = "How is the weather in Oslo?";
  const messages = [{ role: "user", content: question }];
  switch (dialect) {
    case "messages":
      return JSON.stringify({ model, max_tokens: 64, messages, ...extra });
    case "chat":
      return JSON.stringify({ model, max_completion_tokens: 64, messages, ...extra });
    case "responses":
      return JSON.stringify({ model, max_output_tokens: 64, input: question, store: false, ...extra });
    default:
      return dialect satisfies never;
  }
}

/** The data-plane route of a dialect. */
export const routeOf = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
} as const;

/** A name that the built-in providers serve in that dialect. */
export const modelOf = { messages: "claude-sonnet-4-5", chat: "gpt-4o-mini", responses: "gpt-4o-mini" } as const;

export const dialects = ["messages", "chat", "responses"] as const;

export type TestDialect = (typeof dialects)[number];

export interface PostOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly extra?: object;
  readonly model?: string;
  readonly signal?: AbortSignal;
  /** Before the route, e.g. `/agent/windu`. */
  readonly prefix?: string;
}

/** A small request through the gateway. */
export async function post(gateway: Gateway, dialect: TestDialect, options: PostOptions = {}): Promise<Response> {
  return fetch(`${gateway.url}${options.prefix ?? ""}${routeOf[dialect]}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...options.headers },
    body: smallBody(dialect, options.model ?? modelOf[dialect], options.extra),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

export interface LoneModel {
  /** What the client asks for, and what the cloud is sent. */
  readonly name: string;
  readonly dialect: TestDialect;
  /** Without `/v1`. */
  readonly origin: string;
  /** Laid over the provider's entry. */
  readonly provider?: object;
}

/**
 * Models with a provider each, so that no back-off and no breaker of one test is seen by another. USD per million
 * tokens: 3 in, 15 out, 0.3 cached, 3.75 written to the cache.
 */
export function loneModels(models: readonly LoneModel[]): { providers: object; models: object } {
  const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };
  const entries = models.map(({ name, dialect, origin, provider }, number) => {
    const url = dialect === "messages" ? origin : `${origin}/v1`;
    const key = { command: ["printf", "%s", HOUSE_KEY] };
    return {
      provider: [`lone-${number}`, { url, dialects: [dialect], key, retry: { attempts: 1 }, ...provider }],
      model: [name, { provider: `lone-${number}`, model: name, price }],
    } as const;
  });
  return {
    providers: Object.fromEntries(entries.map((entry) => entry.provider)) as object,
    models: Object.fromEntries(entries.map((entry) => entry.model)) as object,
  };
}

/**
 * Reads a stream to its end, opening `gate` when its first byte is here: from then on the gateway is committed, and
 * what the provider does next comes after that. A broken connection ends the text.
 */
export async function readThenOpen(response: Response, gate: Gate): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const bytes of response.body ?? []) {
      gate.release(Infinity);
      text += decoder.decode(bytes, { stream: true });
    }
  } catch (error) {
    text += `\n[broken: ${String(error)}]`;
  }
  return text;
}
