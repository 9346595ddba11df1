// Who answers, how well, and how much of the quotas is left.

import type { JSX } from "preact";
import type { Document, Limit, Model, Provider, Resting } from "./document.ts";
import { count, duration, percent, tokens } from "./format.ts";
import { Bar, Card, Empty, ModelName, Money } from "./parts.tsx";
import { now } from "./state.ts";

const states: Readonly<Record<string, { readonly words: string; readonly tone: string }>> = {
  closed: { words: "healthy", tone: "good" },
  half_open: { words: "being tried", tone: "passed" },
  open: { words: "resting", tone: "bad" },
};

const keys: Readonly<Record<string, { readonly words: string; readonly tone: string }>> = {
  ok: { words: "key there", tone: "" },
  none: { words: "needs no key", tone: "" },
  missing: { words: "no key", tone: "passed" },
  locked: { words: "key locked", tone: "passed" },
  rejected: { words: "key refused", tone: "bad" },
};

export function Providers(props: { readonly document: Document }): JSX.Element {
  const list = Object.entries(props.document.providers);
  return (
    <Card title="Providers" id="providers">
      {list.length === 0 && <Empty>No provider is configured, and no local model server was found.</Empty>}
      <ul class="providers">
        {list.map(([name, provider]) => (
          <ProviderRow key={name} name={name} provider={provider} />
        ))}
      </ul>
    </Card>
  );
}

function ProviderRow(props: { readonly name: string; readonly provider: Provider }): JSX.Element {
  const { name, provider } = props;
  const keyless = provider.key === "missing";
  const state = keyless
    ? { words: "not in use", tone: "" }
    : (states[provider.state] ?? { words: provider.state, tone: "passed" });
  const key = keys[provider.key] ?? { words: `key ${provider.key}`, tone: "passed" };
  const { p50, p95, p99 } = provider.latency_ms;
  const rests = provider.backoff_until === null ? 0 : Date.parse(provider.backoff_until) - now.value;
  return (
    <li class={keyless ? "provider idle" : "provider"}>
      <p class="provider-name">
        <strong>{name}</strong>
        <span class={`mark ${state.tone}`}>{state.words}</span>
        <span class={`mark ${key.tone}`}>{key.words}</span>
        <ServerMark server={provider.server} />
        {(provider.waiting ?? 0) > 0 && <span class="mark runs num">{count(provider.waiting ?? 0)} in line</span>}
        {rests > 0 && <span class="mark passed num">asked again in {duration(rests)}</span>}
      </p>
      <p class="provider-words num">
        {provider.requests === 0 ? (
          <span class="dim">not asked today</span>
        ) : (
          <>
            {count(provider.requests)} <span class="dim">asked</span>
            {provider.errors > 0 && (
              <span class="bad">
                {" "}
                {count(provider.errors)} failed ({percent(provider.errors / provider.requests)})
              </span>
            )}
          </>
        )}
      </p>
      {p50 !== null && (
        <dl class="latency">
          <Latency name="p50" ms={p50} />
          <Latency name="p95" ms={p95} />
          <Latency name="p99" ms={p99} />
        </dl>
      )}
      <RestingModels models={provider.models ?? {}} />
      <Quotas name={name} limits={provider.limits ?? {}} />
    </li>
  );
}

const servers: Readonly<Record<string, string>> = { loading: "loading a model", down: "server is down" };

/** Of a local server that does not stand ready; a model that is loaded already is worth a word too. */
function ServerMark(props: { readonly server: Provider["server"] }): JSX.Element | null {
  const { server } = props;
  if (server === undefined || server.state === "unknown") return null;
  const words = servers[server.state];
  if (words !== undefined) return <span class={`mark ${server.state === "down" ? "bad" : "passed"}`}>{words}</span>;
  const [loaded] = server.loaded ?? [];
  return loaded === undefined ? null : <span class="mark">{loaded} loaded</span>;
}

function RestingModels(props: { readonly models: Readonly<Record<string, Resting>> }): JSX.Element | null {
  const list = Object.entries(props.models);
  if (list.length === 0) return null;
  return (
    <ul class="resting">
      {list.map(([name, { state, backoff_until: until }]) => {
        const rests = until === null ? 0 : Date.parse(until) - now.value;
        return (
          <li key={name}>
            {name} <span class="mark passed">{(states[state] ?? { words: state }).words}</span>
            {rests > 0 && <span class="dim num"> asked again in {duration(rests)}</span>}
          </li>
        );
      })}
    </ul>
  );
}

function Latency(props: { readonly name: string; readonly ms: number | null }): JSX.Element {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd class="num">{props.ms === null ? "–" : duration(props.ms)}</dd>
    </div>
  );
}

/** Of the provider as a whole, and of single models where they are counted apart. */
function limitsOf(limits: Readonly<Record<string, unknown>>): (readonly [what: string, limit: Limit])[] {
  const own = Object.entries(limits).flatMap(([what, limit]) => (isLimit(limit) ? [[what, limit] as const] : []));
  const byModel = Object.entries(
    (limits["models"] ?? {}) as Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  );
  const ofModels = byModel.flatMap(([model, kinds]) =>
    Object.entries(kinds).flatMap(([what, limit]) => (isLimit(limit) ? [[`${model}: ${what}`, limit] as const] : [])),
  );
  return [...own, ...ofModels].slice(0, MAX_QUOTAS);
}

const MAX_QUOTAS = 8;

function isLimit(value: unknown): value is Limit {
  return typeof value === "object" && value !== null && typeof (value as Partial<Limit>).limit === "number";
}

function Quotas(props: {
  readonly name: string;
  readonly limits: Readonly<Record<string, unknown>>;
}): JSX.Element | null {
  const known = limitsOf(props.limits);
  if (known.length === 0) return null;
  return (
    <ul class="quotas">
      {known.map(([what, { limit, remaining, resets_at: resets }]) => {
        const words = what.replaceAll("_", " ");
        const left = resets === null ? 0 : Date.parse(resets) - now.value;
        return (
          <li key={what}>
            <span class="quota-name">{words}</span>
            <Bar
              label={`${props.name}: ${count(remaining)} of ${count(limit)} ${words} a minute left`}
              parts={[{ share: limit > 0 ? remaining / limit : 0, class: remaining <= 0 ? "none" : "rest" }]}
            />
            <span class="num">
              {tokens(Math.max(0, remaining))} <span class="dim">of {tokens(limit)} left</span>
              {left > 0 && <span class="dim">, full in {duration(left)}</span>}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

/** Dearest first. */
export function Models(props: { readonly document: Document }): JSX.Element {
  const list = Object.entries(props.document.models).toSorted(
    ([, a], [, b]) => b.spent_usd - a.spent_usd || b.requests - a.requests,
  );
  return (
    <Card title="Models today" id="models">
      {list.length === 0 ? (
        <Empty>No model was asked today.</Empty>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of models">
          <table>
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col" class="num">
                  Asked
                </th>
                <th scope="col" class="num">
                  Tokens in
                </th>
                <th scope="col" class="num">
                  out
                </th>
                <th scope="col" class="num">
                  Cost
                </th>
              </tr>
            </thead>
            <tbody>
              {list.slice(0, 20).map(([name, model]) => (
                <ModelRow key={name} name={name} model={model} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

function ModelRow(props: { readonly name: string; readonly model: Model }): JSX.Element {
  const { name, model } = props;
  const drift = model.price_drift;
  return (
    <tr>
      <th scope="row">
        <ModelName name={name} />
        {drift === null && <span class="mark passed">charged, though listed as free</span>}
        {typeof drift === "number" && Math.abs(drift) > 0.02 && (
          <span class="mark passed" title="What the provider charges, against the price list">
            {drift > 0 ? "+" : ""}
            {(drift * 100).toFixed(1)} % to the list
          </span>
        )}
      </th>
      <td class="num">{count(model.requests)}</td>
      <td class="num">{tokens(model.input_tokens)}</td>
      <td class="num">{tokens(model.output_tokens)}</td>
      <td>
        <Money amount={model.spent_usd} class={model.spent_usd === 0 ? "dim" : ""} />
      </td>
    </tr>
  );
}
