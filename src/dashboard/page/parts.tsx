// The small pieces that everything else is made of.

import type { ComponentChildren, JSX } from "preact";
import type { Attempt } from "./document.ts";
import { attemptTold, outcomeTold, type Told } from "./explain.ts";
import { ago, exactUsd, moment, usd } from "./format.ts";
import { now } from "./state.ts";

export function Card(props: {
  readonly title: string;
  readonly id: string;
  readonly aside?: ComponentChildren;
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <section class={`card ${props.class ?? ""}`} aria-labelledby={props.id}>
      <header class="card-head">
        <h2 id={props.id}>{props.title}</h2>
        {props.aside !== undefined && <div class="aside">{props.aside}</div>}
      </header>
      {props.children}
    </section>
  );
}

/** An amount; all its places stand in the tooltip. */
export function Money(props: { readonly amount: number; readonly class?: string }): JSX.Element {
  return (
    <span class={`num ${props.class ?? ""}`} title={exactUsd(props.amount)}>
      {usd(props.amount)}
    </span>
  );
}

/** `12 s ago`; ticks. */
export function Ago(props: { readonly iso: string }): JSX.Element {
  const ms = Date.parse(props.iso);
  return (
    <time class="num" dateTime={props.iso} title={moment(props.iso)}>
      {ago(Math.max(0, now.value - ms))}
    </time>
  );
}

/** A share of a whole as a bar. What it says stands in words beside it, or in `label`. */
export function Bar(props: {
  readonly label: string;
  readonly parts: readonly { readonly share: number; readonly class: string }[];
}): JSX.Element {
  let used = 0;
  return (
    <div class="bar" role="img" aria-label={props.label}>
      {props.parts.map(({ share, class: name }) => {
        const shown = Math.max(0, Math.min(1 - used, share));
        used += shown;
        // What is not nothing shows.
        const width = shown > 0 ? `max(2px, ${(shown * 100).toFixed(2)}%)` : "0";
        return <span key={name} class={name} style={{ width }} />;
      })}
    </div>
  );
}

/** The provider's name is dimmed: the model is what is looked for. */
export function ModelName(props: { readonly name: string }): JSX.Element {
  const slash = props.name.indexOf("/");
  if (slash < 0) return <span class="model">{props.name}</span>;
  return (
    <span class="model" title={props.name}>
      <span class="model-of">{props.name.slice(0, slash + 1)}</span>
      {props.name.slice(slash + 1)}
    </span>
  );
}

export function Mark(props: { readonly told: Told }): JSX.Element {
  return (
    <span class={`mark ${props.told.tone}`} title={props.told.long}>
      {props.told.short}
    </span>
  );
}

/** Who was asked, in turn, and what came of it. */
export function Route(props: {
  readonly attempts: readonly Attempt[];
  readonly runs: boolean;
  /** Of a request without attempts. */
  readonly outcome: string | null;
}): JSX.Element {
  const { attempts, runs, outcome } = props;
  if (attempts.length === 0) {
    return (
      <span class="route">
        {outcome === null ? <span class="mark runs">arriving</span> : <Mark told={outcomeTold(outcome)} />}
      </span>
    );
  }
  return (
    <ol class="route" aria-label="Candidates asked">
      {attempts.map((attempt, i) => (
        <li key={i} class={`tone-${attemptTold(attempt, runs).tone}`}>
          <ModelName name={attempt.candidate} />
          <AttemptMark told={attemptTold(attempt, runs)} />
        </li>
      ))}
    </ol>
  );
}

/** That somebody answered is the usual thing, and need not shout. */
function AttemptMark(props: { readonly told: Told }): JSX.Element {
  if (props.told.tone !== "good") return <Mark told={props.told} />;
  return (
    <span class="tick" title={props.told.long}>
      <span aria-hidden="true">✓</span>
      <span class="unseen">{props.told.short}</span>
    </span>
  );
}

export function Empty(props: { readonly children: ComponentChildren }): JSX.Element {
  return <p class="empty">{props.children}</p>;
}
