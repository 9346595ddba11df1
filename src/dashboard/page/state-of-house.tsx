// The trail and the configuration: whether what the page shows can be believed.

import type { JSX } from "preact";
import type { Document } from "./document.ts";
import { count, moment, shortHash, span } from "./format.ts";
import { Ago, Card } from "./parts.tsx";

export function StateOfHouse(props: { readonly document: Document }): JSX.Element {
  const { audit, config, ledger, version, uptime_s: uptime } = props.document;
  const notes = [...(audit.notes ?? []), ...(ledger.notes ?? [])];
  return (
    <Card title="Audit trail and configuration" id="house">
      <dl class="facts">
        <Fact name="Chain">
          {audit.fault === null ? (
            <span class="mark good">being written</span>
          ) : (
            <span class="mark bad">cannot be written</span>
          )}{" "}
          <span class="num">
            {audit.entries === 0 ? (
              "no line yet"
            ) : (
              <a href={`#/requests/${audit.entries}`}>line {count(audit.entries)}</a>
            )}
          </span>
          {audit.last_written_at !== null && (
            <span class="dim">
              , written <Ago iso={audit.last_written_at} />
            </span>
          )}
        </Fact>
        <Fact name="Head">
          <code title={audit.head}>{shortHash(audit.head)}</code>
        </Fact>
        {audit.seal !== undefined && (
          <Fact name="Seal">
            {audit.seal.fault === null ? (
              <span class="mark good">sealed</span>
            ) : (
              <span class="mark bad">not sealed</span>
            )}{" "}
            <span class="num">to line {count(audit.seal.seq)}</span>
            {audit.seal.key !== null && <span class="dim">, its key in the {audit.seal.key}</span>}
          </Fact>
        )}
        <Fact name="Check it">
          <code>sanctum audit verify</code> <span class="dim">follows every link of the chain</span>
        </Fact>
        <Fact name="Configuration">
          {config.fault === null ? (
            <span class="mark good">in force</span>
          ) : (
            <span class="mark bad">new file refused</span>
          )}{" "}
          <span class="num">number {count(config.generation)}</span>
          <span class="dim">
            , loaded <Ago iso={config.loaded_at} />
          </span>
        </Fact>
        <Fact name="Books">
          {ledger.fault === null ? (
            <span class="mark good">being kept</span>
          ) : (
            <span class="mark bad">standing still</span>
          )}
        </Fact>
        <Fact name="Gateway">
          <span class="num">
            version {version}, up {uptime < 60 ? `${uptime} s` : span(uptime * 1_000)}
          </span>
        </Fact>
      </dl>
      {notes.length > 0 && (
        <details class="as-table">
          <summary>What was odd since the start ({count(notes.length)})</summary>
          <ul class="notes">
            {notes.toReversed().map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}

export function Fact(props: { readonly name: string; readonly children: unknown }): JSX.Element {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children as JSX.Element}</dd>
    </div>
  );
}

/** A time in words and in figures. */
export function When(props: { readonly iso: string }): JSX.Element {
  return (
    <>
      <span class="num">{moment(props.iso)}</span>{" "}
      <span class="dim">
        (<Ago iso={props.iso} />)
      </span>
    </>
  );
}
