// One request, told: who asked, who was tried and why, what it cost, and where its line stands in the chain.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { JSX } from "preact";
import type { Attempt, Entry, Place } from "./document.ts";
import { attemptTold, isFallback, outcomeTold, priceTold, routeTold } from "./explain.ts";
import { count, duration, exactUsd, shortHash, usd } from "./format.ts";
import { Card, Empty, Mark, ModelName, Money } from "./parts.tsx";
import { Fact, When } from "./state-of-house.tsx";

type Read = { readonly seq: number; readonly place: Place | null | "failed" };

const read = signal<Read | null>(null);

export function Story(props: { readonly seq: number }): JSX.Element {
  const { seq } = props;
  useEffect(() => {
    read.value = null;
    void load(seq);
  }, [seq]);
  const loaded = read.value?.seq === seq ? read.value.place : undefined;
  return (
    <>
      <p class="back">
        <a href="#/requests">All requests</a>
      </p>
      <h1>
        Request <span class="num">{count(seq)}</span>
      </h1>
      {loaded === undefined && <Empty>Reading the trail …</Empty>}
      {loaded === null && (
        <Empty>The trail has no such line: it was never written, or its file was rotated away.</Empty>
      )}
      {loaded === "failed" && <Empty>The trail could not be read now. Try again in a moment.</Empty>}
      {typeof loaded === "object" && loaded !== null && <Told place={loaded} seq={seq} />}
    </>
  );
}

async function load(seq: number): Promise<void> {
  try {
    const response = await fetch(`/dashboard/api/request?seq=${seq}`);
    const place = response.ok ? ((await response.json()) as Place) : response.status === 404 ? null : "failed";
    read.value = { seq, place };
  } catch {
    read.value = { seq, place: "failed" };
  }
}

function Told(props: { readonly place: Place; readonly seq: number }): JSX.Element {
  const { place, seq } = props;
  const entry = entryOf(place.line);
  if (entry === null) return <Empty>This line is not one of a request.</Empty>;
  const told = outcomeTold(entry.outcome);
  return (
    <div class="story">
      <section class="card lead" aria-label="In short">
        <p class="lead-words">
          <Mark told={told} /> {leadOf(entry)}
        </p>
        <p class="dim">{told.long}</p>
      </section>
      <Card title="What was tried" id="way" aside={<span class="num">{duration(entry.ms)} in all</span>}>
        <p class="why">{routeTold(entry)}</p>
        <ol class="way-steps">
          {entry.attempts.map((attempt, i) => (
            <Step key={i} attempt={attempt} whole={entry.ms} served={isServing(entry, i)} local={entry.local} />
          ))}
        </ol>
        {(entry.attempts_left_out ?? 0) > 0 && (
          <p class="dim">{count(entry.attempts_left_out ?? 0)} more attempts are not listed in the line.</p>
        )}
      </Card>
      <Card title="Money" id="money">
        <dl class="facts">
          <Fact name="Paid">
            <strong class="num">{exactUsd(entry.usd)}</strong> <span class="dim">{priceTold(entry.price)}</span>
          </Fact>
          <Fact name="Held at most">
            <span class="num">{exactUsd(entry.held_usd)}</span>{" "}
            <span class="dim">
              {entry.held_usd > 0 ? "put aside before it was sent; the rest came back" : "nothing had to be put aside"}
            </span>
          </Fact>
          {entry.would_have_usd !== null && (
            <Fact name={entry.local ? "Saved" : "Would have cost"}>
              <span class="num good">{exactUsd(entry.would_have_usd)}</span>{" "}
              <span class="dim">what the model that was asked for would have cost</span>
            </Fact>
          )}
          <UsageFacts usage={entry.usage} />
        </dl>
      </Card>
      <Card title="Caller" id="caller">
        <dl class="facts">
          <Fact name="Agent">
            {entry.agent ?? "unknown"} <span class="dim">{authWords(entry.auth)}</span>
          </Fact>
          <Fact name="Asked for">
            {entry.requested_model ?? "–"}{" "}
            <span class="dim">{entry.stream === true ? "as a stream" : "in one piece"}</span>
          </Fact>
          <Fact name="Arrived">
            <When iso={entry.ts} />
          </Fact>
          <Fact name="At">
            <code>{entry.path ?? ""}</code> <span class="dim">from {entry.peer ?? "unknown"}</span>
          </Fact>
          {typeof entry.intent === "string" && <Fact name="Intent">{entry.intent}</Fact>}
          <Fact name="Id">
            <code class="break">{entry.id}</code>
          </Fact>
          {entry.client_retry !== undefined && (
            <Fact name="Tried before">{count(entry.client_retry)} times, says the client</Fact>
          )}
          {entry.replay_of !== undefined && (
            <Fact name="Repeat of">
              <code class="break">{entry.replay_of}</code>
            </Fact>
          )}
          <Fact name="Size">
            <span class="num">
              {count(entry.bytes_in ?? 0)} bytes in, {count(entry.bytes_out ?? 0)} out
            </span>
          </Fact>
        </dl>
      </Card>
      <Card title="Place in the chain" id="chain">
        <dl class="facts">
          <Fact name="Line before">
            <Link holds={place.links_back} /> <code title={entry.prev}>{shortHash(entry.prev ?? "")}</code>
          </Fact>
          <Fact name={`Line ${count(seq)}`}>
            <code title={place.hash}>{shortHash(place.hash)}</code>
          </Fact>
          <Fact name="Line after">
            {place.links_on === null ? <span class="dim">none yet</span> : <Link holds={place.links_on} />}
          </Fact>
        </dl>
        <details class="as-table">
          <summary>The line as it stands in the file</summary>
          <pre class="line" tabIndex={0} aria-label="The line as it stands in the file">
            {JSON.stringify(entry, null, 2)}
          </pre>
        </details>
        <p class="steps-nav">
          {seq > 1 && <a href={`#/requests/${seq - 1}`}>Line before</a>}{" "}
          {place.links_on !== null && <a href={`#/requests/${seq + 1}`}>Line after</a>}
        </p>
      </Card>
    </div>
  );
}

function Step(props: {
  readonly attempt: Attempt;
  readonly whole: number;
  readonly served: boolean;
  readonly local: boolean;
}): JSX.Element {
  const { attempt, whole, served } = props;
  const told = attemptTold(attempt, false);
  const upstream = attempt.upstream ?? null;
  return (
    <li class={`way-step tone-${told.tone}`}>
      <p class="step-head">
        <ModelName name={attempt.candidate} />
        <Mark told={told} />
        {served && props.local && <span class="mark local">at home</span>}
      </p>
      <p class="step-words">
        {told.long}
        {attempt.note !== undefined && attempt.note !== null && <span class="dim"> {attempt.note}</span>}
      </p>
      <p class="step-facts num dim">
        {[
          attempt.ms === null ? null : duration(attempt.ms),
          typeof attempt.ttft_ms === "number" ? `first content after ${duration(attempt.ttft_ms)}` : null,
          (attempt.usd ?? 0) > 0 ? `${usd(attempt.usd ?? 0)} paid` : null,
          typeof attempt.listed_usd === "number" ? `${usd(attempt.listed_usd)} by the price list` : null,
          upstream === null ? null : `sent as ${upstream}`,
          typeof attempt.upstream_id === "string" ? `the provider's id ${attempt.upstream_id}` : null,
        ]
          .filter((fact) => fact !== null)
          .join(" · ")}
      </p>
      {attempt.ms !== null && attempt.ms > 0 && whole > 0 && (
        <div class="step-bar" aria-hidden="true">
          <span style={{ width: `max(2px, ${Math.min(100, (attempt.ms / whole) * 100).toFixed(1)}%)` }} />
        </div>
      )}
    </li>
  );
}

function UsageFacts(props: { readonly usage: Entry["usage"] }): JSX.Element | null {
  if (props.usage === null) return null;
  const { source, ...counts } = props.usage;
  const shown = Object.entries(counts).filter(
    ([name, value]) => Number(value) > 0 || name === "input" || name === "output",
  );
  return (
    <Fact name="Tokens">
      <span class="num">
        {shown.map(([name, value]) => `${count(Number(value))} ${name.replaceAll("_", " ")}`).join(", ")}
      </span>{" "}
      <span class="dim">{source === "counted" ? "counted by the gateway" : "as the provider says"}</span>
    </Fact>
  );
}

function Link(props: { readonly holds: boolean | null }): JSX.Element {
  if (props.holds === null) return <span class="mark">not there to compare</span>;
  return props.holds ? <span class="mark good">link holds</span> : <span class="mark bad">link is broken</span>;
}

/** The last attempt at whoever served it. */
function isServing({ attempts, served_by: served }: Entry, index: number): boolean {
  return served !== null && attempts.findLastIndex(({ candidate }) => candidate === served) === index;
}

function leadOf(entry: Entry): JSX.Element {
  const { served_by: served, agent } = entry;
  if (served === null) return <>{agent ?? "A caller"} got no answer from a model.</>;
  const saved = entry.would_have_usd ?? 0;
  return (
    <>
      <strong>{served}</strong> answered {agent ?? "the caller"} after <span class="num">{duration(entry.ms)}</span> for{" "}
      <Money amount={entry.usd} />
      {isFallback(entry) ? `, in the place of ${entry.attempts[0]!.candidate}` : ""}
      {entry.local && saved > 0 ? (
        <>
          , which saved <Money amount={saved} class="good" />
        </>
      ) : null}
      .
    </>
  );
}

function authWords(auth: string | null | undefined): string {
  if (auth === "token") return "known by its token";
  return auth === "anonymous" ? "without a token" : "";
}

function entryOf(line: string): Entry | null {
  try {
    const entry = JSON.parse(line) as Entry;
    return typeof entry.outcome === "string" && Array.isArray(entry.attempts) ? entry : null;
  } catch {
    return null;
  }
}
