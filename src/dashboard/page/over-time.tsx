// Cost and tokens by hour, day and month.

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { Chart } from "./chart.tsx";
import type { Document, Period, Span } from "./document.ts";
import { count, counted, exactUsd, tokens, usd } from "./format.ts";
import { Card } from "./parts.tsx";
import { filled, labelOf, shownPeriods } from "./periods.ts";
import { periodsOf } from "./state.ts";

const spans: readonly { readonly span: Span; readonly name: string; readonly of: string }[] = [
  { span: "hours", name: "Hours", of: `last ${shownPeriods.hours} hours` },
  { span: "days", name: "Days", of: `last ${shownPeriods.days} days` },
  { span: "months", name: "Months", of: `last ${shownPeriods.months} months` },
];

export function OverTime(props: { readonly document: Document }): JSX.Element {
  const [span, setSpan] = useState<Span>("hours");
  const [point, setPoint] = useState<number | null>(null);
  const { of } = spans.find((one) => one.span === span)!;
  const rows = filled(span, periodsOf(span), props.document.history[span].key);
  const labels = rows.map(({ key }) => labelOf(span, key));
  const told = point === null ? null : (rows[point] ?? null);
  return (
    <Card
      title="Over time"
      id="over-time"
      aside={
        <div class="choice" role="group" aria-label="Length of the periods">
          {spans.map((one) => (
            <button
              key={one.span}
              type="button"
              aria-pressed={one.span === span}
              onClick={() => {
                setSpan(one.span);
                setPoint(null);
              }}
            >
              {one.name}
            </button>
          ))}
        </div>
      }
    >
      {props.document.history.reading && <p class="dim small-words">The trail of earlier days is being read.</p>}
      <div class="charts">
        <figure>
          <Caption title="Cost" rows={rows} told={told} span={span} of={of} line={costLine}>
            <span class="key cloud">paid</span> <span class="key local">saved by local models</span>
          </Caption>
          <Chart
            label={`Cost, ${of}: ${costLine(sumOf(rows))}`}
            labels={labels}
            series={[
              { name: "paid", colour: "--cloud", values: rows.map((row) => row.spent_usd) },
              { name: "saved", colour: "--local", values: rows.map((row) => row.saved_usd) },
            ]}
            format={(value) => axisUsd(value)}
            onPoint={setPoint}
          />
        </figure>
        <figure>
          <Caption title="Tokens" rows={rows} told={told} span={span} of={of} line={tokenLine}>
            <span class="key input">in</span> <span class="key output">out</span>
          </Caption>
          <Chart
            label={`Tokens, ${of}: ${tokenLine(sumOf(rows))}`}
            labels={labels}
            series={[
              { name: "in", colour: "--input", values: rows.map((row) => row.input_tokens) },
              { name: "out", colour: "--output", values: rows.map((row) => row.output_tokens) },
            ]}
            format={(value) => tokens(Math.round(value))}
            onPoint={setPoint}
          />
        </figure>
      </div>
      <details class="as-table">
        <summary>The same as a table</summary>
        <PeriodTable rows={rows} span={span} of={of} />
      </details>
    </Card>
  );
}

/** The period under the pointer, else all of them. */
function Caption(props: {
  readonly title: string;
  readonly rows: readonly Period[];
  readonly told: Period | null;
  readonly span: Span;
  readonly of: string;
  readonly line: (sum: Period) => string;
  readonly children: JSX.Element | readonly unknown[];
}): JSX.Element {
  const { told, span, of, rows, line } = props;
  return (
    <figcaption>
      <span class="chart-title">
        <strong>{props.title}</strong> <span class="keys">{props.children as JSX.Element}</span>
      </span>
      <span class="num readout">
        {told === null ? line(sumOf(rows)) : line(told)}{" "}
        <span class="dim">{told === null ? of : labelOf(span, told.key)}</span>
      </span>
    </figcaption>
  );
}

function PeriodTable(props: {
  readonly rows: readonly Period[];
  readonly span: Span;
  readonly of: string;
}): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Table, ${props.of}`}>
      <table>
        <thead>
          <tr>
            <th scope="col">Period</th>
            <th scope="col" class="num">
              Requests
            </th>
            <th scope="col" class="num">
              Cloud
            </th>
            <th scope="col" class="num">
              Local
            </th>
            <th scope="col" class="num">
              Tokens in
            </th>
            <th scope="col" class="num">
              out
            </th>
            <th scope="col" class="num">
              Paid
            </th>
            <th scope="col" class="num">
              Saved
            </th>
          </tr>
        </thead>
        <tbody>
          {props.rows.toReversed().map((row) => (
            <tr key={row.key}>
              <th scope="row" class="num">
                {props.span === "hours" ? row.key.slice(0, 16) : labelOf(props.span, row.key)}
              </th>
              <td class="num">{count(row.requests)}</td>
              <td class="num">{count(row.cloud)}</td>
              <td class="num">{count(row.local)}</td>
              <td class="num">{count(row.input_tokens)}</td>
              <td class="num">{count(row.output_tokens)}</td>
              <td class="num">{exactUsd(row.spent_usd)}</td>
              <td class="num">{exactUsd(row.saved_usd)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function sumOf(rows: readonly Period[]): Period {
  const sum = (pick: (row: Period) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  return {
    key: "",
    requests: sum((row) => row.requests),
    cloud: sum((row) => row.cloud),
    local: sum((row) => row.local),
    refused: sum((row) => row.refused),
    errors: sum((row) => row.errors),
    spent_usd: sum((row) => row.spent_usd),
    saved_usd: sum((row) => row.saved_usd),
    input_tokens: sum((row) => row.input_tokens),
    output_tokens: sum((row) => row.output_tokens),
  };
}

function costLine(sum: Period): string {
  return `${usd(sum.spent_usd)} paid, ${usd(sum.saved_usd)} saved, ${counted(sum.requests, "request")}`;
}

function tokenLine(sum: Period): string {
  return `${tokens(sum.input_tokens)} in, ${tokens(sum.output_tokens)} out`;
}

/** No more places than the marks of an axis need. */
function axisUsd(value: number): string {
  if (value === 0) return "$0";
  return value >= 0.01 ? `$${value.toFixed(2)}` : `$${Number(value.toPrecision(2))}`;
}
