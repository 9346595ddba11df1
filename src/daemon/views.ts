// What the operations plane is told about the parts: read only, put together from several of them.

import { listModels } from "../catalogue/index.ts";
import { formatFault } from "../config/fault.ts";
import type { Generations } from "../config/generations.ts";
import type { ConfigStatus, OverloadStatus, ProviderStatus, ServerStatus } from "../layers/audit/index.ts";
import type { Limits } from "../layers/limits/index.ts";
import { compileGlob } from "../layers/routing/index.ts";
import type { KeyRing } from "../layers/vault/index.ts";
import type { Provider } from "../request.ts";
import type { ListedModel } from "../server/models.ts";
import type { ModelsQuestion } from "../server/operations.ts";
import type { Generation } from "./generation.ts";

/**
 * What this caller can ask for: aliases, local models, and the catalogue of the providers that have a key; where one model
 * is asked for, also under its other names. Throws IDENTITY_*.
 */
export function modelsFor(question: ModelsQuestion, generation: Generation, keys: KeyRing): readonly ListedModel[] {
  const { agent } = generation.authenticate(question);
  const keyed = (provider: Provider): boolean => !provider.local && keys.state(provider.name) !== "missing";
  const cloud = [...generation.providers().values()].filter(keyed).flatMap(({ name }) =>
    listModels(name).map((model) => ({
      id: name === "openrouter" ? `openrouter/${model}` : model,
      provider: name,
      context: undefined,
    })),
  );
  const models: ListedModel[] = [...generation.models(), ...cloud];
  const { id } = question;
  if (id !== null && !models.some((model) => model.id === id)) {
    models.push(...generation.modelsNamed(id, (provider) => provider.local || keyed(provider)));
  }
  if (agent.models === undefined) return models;
  const tests = agent.models.map(compileGlob);
  return models.filter(({ id }) => tests.some((test) => test(id)));
}

interface Readiness {
  readonly stopping: boolean;
  readonly overload: OverloadStatus;
  readonly auditFault: string | null;
  readonly ledgerFault: string | null;
  readonly generation: Generation;
  readonly keys: KeyRing;
}

/** Why no request can be served now; empty: one can. */
export function whyNotReady({ stopping, overload, auditFault, ledgerFault, generation, keys }: Readiness): string[] {
  const reasons: string[] = [];
  if (stopping) reasons.push("stopping");
  if (overload.level === "shedding") reasons.push(...overload.reasons.map((reason) => `overload: ${reason}`));
  if (auditFault !== null) reasons.push(`audit: ${auditFault}`);
  if (ledgerFault !== null) reasons.push(`ledger: ${ledgerFault}`);
  const usable = [...generation.providers().values()].some(
    (p) => p.local || p.key.from === "passthrough" || ["ok", "none", "rejected"].includes(keys.state(p.name)),
  );
  if (!usable) reasons.push("no candidate: no key is stored and no local model answers");
  return reasons;
}

export function configStatusOf({ current, fault }: Generations<Generation>): ConfigStatus {
  return {
    generation: current.number,
    loadedAt: current.loadedAt,
    fault: fault === null ? null : { since: fault.since, messages: fault.faults.map(formatFault) },
  };
}

export function* providerStatuses(
  generation: Generation,
  limits: Limits,
  keys: KeyRing,
  serverOf: (provider: Provider) => ServerStatus | undefined,
): Generator<readonly [name: string, status: ProviderStatus]> {
  for (const [name, provider] of generation.providers()) {
    const { state, backoff_until, limits: quotas, waiting, models } = limits.status(name);
    const server = serverOf(provider);
    const key = keys.state(name);
    const status = { state, limits: quotas, waiting, backoffUntil: backoff_until, models, key };
    yield [name, server === undefined ? status : { ...status, server }];
  }
}
