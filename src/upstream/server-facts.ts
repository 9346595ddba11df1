// What a local server tells of itself beside its models, in the own way of each kind.

import type { ServerKind } from "../wire/neutral.ts";
import { askJson, isRecord, windowOf } from "./ask-json.ts";

export interface ServerFacts {
  readonly version?: string;
  /** Requests that it works on at once. */
  readonly places?: number;
}

/** `url` is the base that ends in `/v1`. Never throws. */
export async function askFacts(kind: ServerKind, url: string): Promise<ServerFacts> {
  const origin = url.replace(/\/v1$/, "");
  // docs/api.md, "Version". How many it serves at once (OLLAMA_NUM_PARALLEL) it does not tell.
  if (kind === "ollama") return versionIn(await askJson(`${origin}/api/version`), "version");
  if (kind === "vllm") return versionIn(await askJson(`${origin}/version`), "version");
  if (kind !== "llamacpp") return {};
  // tools/server/README.md, "GET /props": `total_slots` is what `--parallel` set.
  const props = await askJson(`${origin}/props`);
  const places = isRecord(props) ? windowOf(props["total_slots"]) : undefined;
  return { ...versionIn(props, "build_info"), ...(places === undefined ? {} : { places }) };
}

function versionIn(answer: unknown, member: string): ServerFacts {
  const version = isRecord(answer) ? answer[member] : undefined;
  return typeof version === "string" && /^[\x21-\x7e]{1,100}$/.test(version) ? { version } : {};
}
