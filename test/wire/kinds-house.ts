// A house with a server of each kind, for what is promised of each.

import type { JsonObject } from "../../src/wire/neutral.ts";
import { HOUSE_KEY, merge, post, startHouse, type House, type HouseOptions, type TestDialect } from "../fakes/house.ts";
import { objectsOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { attemptsOf } from "../harness.ts";

/** Servers at home: a strict chat template, the chat dialect alone. */
export const homeKinds = ["ollama", "llamacpp", "lmstudio", "vllm", "mlx", "home"] as const;
/** In the cloud, asked in the chat dialect. */
export const cloudKinds = ["openai", "openrouter", "elsewhere"] as const;
export const allKinds = [...homeKinds, ...cloudKinds] as const;
/** Servers that make grammars of schemas, or may. */
export const grammarKinds = ["ollama", "llamacpp", "lmstudio", "vllm", "home", "elsewhere"] as const;

export type Kind = (typeof allKinds)[number];

export interface Asked {
  readonly response: Response;
  /** What arrived at the server; throws where nothing did. */
  readonly request: RecordedRequest;
  readonly body: JsonObject;
  readonly messages: JsonObject[];
}

export class KindsHouse implements AsyncDisposable {
  readonly house: House;

  private constructor(house: House) {
    this.house = house;
  }

  static async start(options: HouseOptions = {}): Promise<KindsHouse> {
    const own = options.config;
    const house = await startHouse({
      // Ollama runs a model with a small window unless someone sets it.
      local: { models: ["m"], abilities: { m: { capabilities: ["vision", "tools"], numCtx: 65_536 } } },
      ...options,
      config: (urls) => merge(kindsConfig(urls), (typeof own === "function" ? own(urls) : own) ?? {}),
    });
    return new KindsHouse(house);
  }

  /** A small request of a Messages client to a model of that server. */
  async ask(kind: Kind, extra: object, model = "m", dialect: TestDialect = "messages"): Promise<Asked> {
    const server = isHome(kind) ? this.house.local : this.house.cloud;
    const before = server.generations.length;
    const response = await post(this.house.gateway, dialect, { model: `${nameOf(kind)}/${model}`, extra });
    const request = server.generations[before];
    if (request === undefined) throw new Error(`${kind} was not asked: ${response.status} ${await response.text()}`);
    const body = request.json();
    return { response, request, body, messages: objectsOf(body["messages"]) };
  }

  /** The same where nothing may arrive at the server: the status, and what became of the attempts. */
  async askInVain(kind: Kind, extra: object): Promise<{ status: number; attempts: string[] }> {
    const server = isHome(kind) ? this.house.local : this.house.cloud;
    const before = server.generations.length;
    const response = await post(this.house.gateway, "messages", { model: `${nameOf(kind)}/m`, extra });
    if (server.generations.length !== before) throw new Error(`${kind} was asked`);
    return { status: response.status, attempts: await attemptsIn(this.house, response) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.house[Symbol.asyncDispose]();
  }
}

/** One more vendor, of a name that tells no kind, for when the one that was asked for fails. */
export function relayIn(cloud: string, dialect: TestDialect): Record<string, unknown> {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  const url = dialect === "messages" ? cloud : `${cloud}/v1`;
  return {
    providers: { relay: { url, dialects: [dialect], key, retry: { attempts: 1 } } },
    fallback: ["relay/other-9"],
  };
}

/** The attempts behind an answer, as `candidate:outcome`. */
export async function attemptsIn(house: House, response: Response): Promise<string[]> {
  await response.text();
  const id = response.headers.get("x-sanctum-request-id");
  return attemptsOf(await house.gateway.auditLine((line) => line.id === id));
}

function isHome(kind: Kind): boolean {
  return homeKinds.some((home) => home === kind);
}

/** What begins with a kind is of that kind. */
export function nameOf(kind: Kind): string {
  return kind === "home" || kind === "elsewhere" ? kind : `${kind}-1`;
}

function kindsConfig({ cloud, local }: { readonly cloud: string; readonly local: string }): Record<string, unknown> {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  const home = homeKinds.map((kind) => [
    nameOf(kind),
    { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none", retry: { attempts: 1 } },
  ]);
  const away = cloudKinds.map((kind) => [
    nameOf(kind),
    { url: `${cloud}/v1`, dialects: ["chat"], key, retry: { attempts: 1 } },
  ]);
  return { providers: Object.fromEntries([...home, ...away]) as object, fallback: [] };
}
