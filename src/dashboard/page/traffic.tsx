// Requests: those that run, and those that have just ended.

import type { JSX } from "preact";
import type { Document, Entry, Live } from "./document.ts";
import { isFallback, outcomeTold } from "./explain.ts";
import { count, duration } from "./format.ts";
import { Ago, Card, Empty, Mark, Money, Route } from "./parts.tsx";
import { now } from "./state.ts";

const MAX_LIVE = 12;

/** So many rows stand beside the budgets of so many agents. */
function rowsBeside(agents: number): number {
  return agents > 12 ? 12 : Math.max(6, Math.round(agents * 1.7));
}

export function Traffic(props: { readonly document: Document }): JSX.Element {
  const { live, recent, in_flight: running } = props.document;
  const hidden = running - Math.min(MAX_LIVE, live.length);
  const rows = rowsBeside(Object.keys(props.document.agents).length);
  const ended = recent.slice(0, Math.max(4, rows - live.length));
  return (
    <Card
      title="Requests"
      id="traffic"
      class="traffic"
      aside={
        <span class="num">
          {running === 0 ? "none running" : `${count(running)} running`} · <a href="#/requests">search all</a>
        </span>
      }
    >
      {live.length > 0 && (
        <ul class="requests running" aria-label="Running requests">
          {live.slice(0, MAX_LIVE).map((request) => (
            <LiveRow key={request.id} request={request} />
          ))}
        </ul>
      )}
      {hidden > 0 && <p class="dim small-words">and {count(hidden)} more running</p>}
      {ended.length > 0 && (
        <ul class="requests" aria-label="Requests that have ended, newest first">
          {ended.map((entry) => (
            <EntryRow key={entry.id} entry={entry} />
          ))}
        </ul>
      )}
      {live.length === 0 && ended.length === 0 && <Empty>No request yet today.</Empty>}
    </Card>
  );
}

function LiveRow(props: { readonly request: Live }): JSX.Element {
  const { request } = props;
  const held = request.attempts.reduce((most, { held_usd }) => Math.max(most, held_usd ?? 0), 0);
  return (
    <li class="request live">
      <p class="who">
        <strong>{request.agent ?? "unknown"}</strong>
        <span class="asked">{request.requested_model ?? ""}</span>
      </p>
      <Route attempts={request.attempts} runs outcome={null} />
      <p class="cost num">
        {held > 0 && (
          <>
            <Money amount={held} /> <span class="dim">held</span>
          </>
        )}
      </p>
      <p class="took num">{duration(Math.max(0, now.value - Date.parse(request.ts)))}</p>
    </li>
  );
}

/** One line of the trail; leads to its whole story. */
export function EntryRow(props: { readonly entry: Entry }): JSX.Element {
  const { entry } = props;
  const told = outcomeTold(entry.outcome);
  const answered = entry.outcome === "ok";
  return (
    <li class="request">
      <p class="who">
        <a href={`#/requests/${entry.seq}`} class="whole">
          <strong>{entry.agent ?? "unknown"}</strong>
          <span class="asked">{entry.requested_model ?? entry.path ?? ""}</span>
        </a>
      </p>
      <Route attempts={entry.attempts} runs={false} outcome={entry.outcome} />
      <p class="cost">
        {!answered && entry.attempts.length > 0 && <Mark told={told} />}
        {answered && entry.local && isFallback(entry) && (entry.would_have_usd ?? 0) > 0 ? (
          <span class="good">
            <Money amount={entry.would_have_usd ?? 0} /> <span>saved</span>
          </span>
        ) : (
          <Money amount={entry.usd} class={entry.usd === 0 ? "dim" : ""} />
        )}
      </p>
      <p class="took">
        <span class="num">{duration(entry.ms)}</span>{" "}
        <span class="dim">
          <Ago iso={entry.ts} />
        </span>
      </p>
    </li>
  );
}
