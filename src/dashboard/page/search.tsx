// Search in the trail, from its newest line back.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";
import type { Entry, Found } from "./document.ts";
import { count, counted, moment } from "./format.ts";
import { Empty } from "./parts.tsx";
import { stats } from "./state.ts";
import { EntryRow } from "./traffic.tsx";

interface Wanted {
  readonly agent: string;
  readonly outcome: string;
  readonly text: string;
  readonly until: string;
}

interface Result {
  readonly entries: readonly Entry[];
  readonly next: number | null;
  readonly searched: number;
  readonly reached: string | null;
  readonly state: "reading" | "done" | "failed";
}

const nothing: Wanted = { agent: "", outcome: "", text: "", until: "" };
const fresh: Result = { entries: [], next: null, searched: 0, reached: null, state: "reading" };
/** So many steps are made by themselves to fill a first page; then a person decides. */
const STEPS = 8;
const ENOUGH = 25;

const outcomes: readonly (readonly [value: string, words: string])[] = [
  ["", "any outcome"],
  ["ok", "answered"],
  ["fallback", "answered by another than the first"],
  ["local", "answered at home"],
  ["failed", "failed"],
  ["refused", "refused"],
  ["client_gone", "left by the client"],
];

const wanted = signal<Wanted>(nothing);
const result = signal<Result>(fresh);
/** What came of an older question is not shown. */
let asked = 0;

export function Search(): JSX.Element {
  useEffect(() => {
    // A link may name the agent.
    const linked = new URLSearchParams(location.hash.split("?")[1] ?? "").get("agent");
    if (linked !== null) wanted.value = { ...nothing, agent: linked };
    void look(null);
  }, []);
  const { entries, state } = result.value;
  return (
    <>
      <h1>Requests</h1>
      <Filters />
      <section class="card" aria-labelledby="found">
        <header class="card-head">
          <h2 id="found">{headingOf(result.value)}</h2>
          <p class="aside num" role="status">
            <Reached />
          </p>
        </header>
        <ul class="requests">
          {entries.map((entry) => (
            <EntryRow key={entry.seq} entry={entry} />
          ))}
        </ul>
        {entries.length === 0 && state === "done" && (
          <Empty>{isPlain(wanted.value) ? "The trail has no request yet." : "No request fits."}</Empty>
        )}
        {state === "failed" && <Empty>The trail could not be read now. Try again in a moment.</Empty>}
        {result.value.next !== null && (
          <button
            type="button"
            class="more"
            disabled={state === "reading"}
            onClick={() => void look(result.value.next)}
          >
            Look further back
          </button>
        )}
      </section>
    </>
  );
}

function Filters(): JSX.Element {
  const { agent, outcome, text, until } = wanted.value;
  const agents = [...new Set([...Object.keys(stats.value?.agents ?? {}), ...(agent === "" ? [] : [agent])])];
  const set = (change: Partial<Wanted>): void => {
    wanted.value = { ...wanted.value, ...change };
    void look(null);
  };
  return (
    <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <label>
        <span>Text</span>
        <input
          id="search-text"
          type="search"
          value={text}
          placeholder="model, route, request id …"
          maxLength={256}
          onInput={(event) => set({ text: event.currentTarget.value })}
        />
      </label>
      <label>
        <span>Agent</span>
        <select value={agent} onChange={(event) => set({ agent: event.currentTarget.value })}>
          <option value="">every agent</option>
          {agents.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Outcome</span>
        <select value={outcome} onChange={(event) => set({ outcome: event.currentTarget.value })}>
          {outcomes.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Before</span>
        <input type="datetime-local" value={until} onChange={(event) => set({ until: event.currentTarget.value })} />
      </label>
      <button type="button" class="quiet" disabled={isPlain(wanted.value)} onClick={() => set(nothing)}>
        Clear
      </button>
    </form>
  );
}

function headingOf({ entries, state, next }: Result): string {
  if (state === "reading" && entries.length === 0) return "Searching";
  return next === null ? counted(entries.length, "request") : `${count(entries.length)} newest`;
}

/** How far the search has come. */
function Reached(): JSX.Element {
  const { state, searched, next, reached } = result.value;
  if (state === "reading") return <>looking …</>;
  const lines = `${counted(searched, "line")} looked at`;
  if (next === null) return <>{lines}, to the beginning of the trail</>;
  return (
    <>
      {lines}
      {reached === null ? "" : `, back to ${moment(reached)}`}
    </>
  );
}

/** Goes on before line `from`, or begins anew. Never rejects. */
async function look(from: number | null): Promise<void> {
  const mine = ++asked;
  const before = from === null ? fresh : result.value;
  // What is there stays until something new has come: a page that jumps while one types is no help.
  result.value = { ...(from === null ? { ...result.value, next: null } : before), state: "reading" };
  let found: Result = { ...before, state: "reading" };
  let next = from;
  try {
    for (let step = 0; step < STEPS; step++) {
      const page = await ask(wanted.value, next);
      if (mine !== asked) return;
      found = {
        entries: [...found.entries, ...page.entries],
        next: page.next,
        searched: found.searched + page.searched,
        reached: page.reached ?? found.reached,
        state: "reading",
      };
      if (found.entries.length > 0) result.value = found;
      next = page.next;
      if (next === null || found.entries.length - before.entries.length >= ENOUGH) break;
    }
    result.value = { ...found, state: "done" };
  } catch {
    if (mine === asked) result.value = { ...found, state: "failed" };
  }
}

async function ask({ agent, outcome, text, until }: Wanted, before: number | null): Promise<Found> {
  const query = new URLSearchParams({ limit: String(ENOUGH) });
  if (agent !== "") query.set("agent", agent);
  if (outcome !== "") query.set("outcome", outcome);
  if (text.trim() !== "") query.set("text", text.trim());
  const untilMs = Date.parse(until);
  if (!Number.isNaN(untilMs)) query.set("until", new Date(untilMs).toISOString());
  if (before !== null) query.set("before", String(before));
  const response = await fetch(`/dashboard/api/requests?${query.toString()}`);
  if (!response.ok) throw new Error(`the gateway answered ${count(response.status)}`);
  return (await response.json()) as Found;
}

function isPlain(one: Wanted): boolean {
  return Object.values(one).every((value) => value === "");
}
