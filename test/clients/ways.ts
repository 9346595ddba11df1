// The ways in which the same task is put to a client: who answers its questions.

import { merge, startHouse, type House, type HouseOptions } from "../fakes/house.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";

export type Way = "cloud" | "local" | "turns";

/** `cloud`: the vendor itself. `local`: the cloud says 429 to everything. `turns`: now this one, now that one. */
export const ways: readonly Way[] = ["cloud", "local", "turns"];

export const wayTitles: Readonly<Record<Way, string>> = {
  cloud: "the vendor answers",
  local: "429 from the cloud, the local model answers",
  turns: "cloud and local model take turns",
};

export type Responder = (request: RecordedRequest) => Step;

/** The cloud is at its limit, for longer than any run takes. */
export const tooMany: Step = {
  refuse: {
    status: 429,
    headers: { "retry-after": "60" },
    body: { type: "error", error: { type: "rate_limit_error", message: "slow down", code: "rate_limit_exceeded" } },
  },
};

/** Falls to the next candidate, and says nothing about the next request: neither back-off nor breaker. */
const tooLate: Step = {
  refuse: { status: 408, body: { type: "error", error: { type: "timeout_error", message: "timed out", code: null } } },
};

/** Of `coder-14b`, in tokens: room for what Claude Code says before the user's first word. */
export const localWindow = 65_536;

/** A house whose models follow `respond`, wherever a request ends up. */
export async function startHouseFor(way: Way, respond: Responder, config: HouseOptions["config"] = {}): Promise<House> {
  const models = { "coder-14b": { provider: "ollama", model: "qwen2.5-coder:14b", context: localWindow } };
  return startHouse({
    cloud: { respond: cloudFor(way, respond) },
    local: { respond },
    config: (urls) => merge({ models }, typeof config === "function" ? config(urls) : config),
  });
}

function cloudFor(way: Way, respond: Responder): Responder {
  if (way === "cloud") return respond;
  if (way === "local") return () => tooMany;
  let asked = 0;
  return (request) => (asked++ % 2 === 0 ? respond(request) : tooLate);
}
