// The day at a glance.

import type { JSX, ComponentChildren } from "preact";
import type { Document } from "./document.ts";
import { cap, count, counted, percent, tokens, usd } from "./format.ts";
import { Bar, Money } from "./parts.tsx";

export function Figures(props: { readonly document: Document }): JSX.Element {
  const { totals, agents, in_flight: running } = props.document;
  const all = Object.values(agents);
  const sum = (pick: (agent: (typeof all)[number]) => number): number => all.reduce((total, a) => total + pick(a), 0);
  const caps = sum((agent) => agent.daily_usd);
  const held = sum((agent) => agent.held_usd);
  const cloud = sum((agent) => agent.cloud);
  const local = sum((agent) => agent.local);
  const served = cloud + local;
  const troubled = sum((agent) => agent.refused + agent.errors);
  return (
    <section class="figures" aria-label="The day at a glance">
      <Figure name="Spent today" value={<Money amount={totals.spent_usd} />}>
        {caps > 0 ? `of ${cap(caps)} in all` : "no caps"}
        {held > 0 ? `, ${usd(held)} held` : ""}
      </Figure>
      <Figure name="Requests" value={count(totals.requests)}>
        {running > 0 ? `${count(running)} running` : "none running"}
        {troubled > 0 ? `, ${count(troubled)} not served` : ""}
      </Figure>
      <Figure name="Saved by local models" value={<Money amount={totals.saved_usd} class="good" />}>
        {counted(local, "answer")} from home
      </Figure>
      <Figure name="Answered at home" value={served === 0 ? "–" : percent(totals.local_share)}>
        <Bar
          label={`${count(local)} local, ${count(cloud)} cloud`}
          parts={
            served === 0
              ? []
              : [
                  { share: local / served, class: "local" },
                  { share: cloud / served, class: "cloud" },
                ]
          }
        />
        <span class="keys">
          <span class="key local">{count(local)} local</span> <span class="key cloud">{count(cloud)} cloud</span>
        </span>
      </Figure>
      <Figure name="Tokens" value={tokens(sum((agent) => agent.input_tokens + agent.output_tokens))}>
        {tokens(sum((agent) => agent.input_tokens))} in, {tokens(sum((agent) => agent.output_tokens))} out
      </Figure>
    </section>
  );
}

function Figure(props: {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="figure">
      <h2>{props.name}</h2>
      <p class="big num">{props.value}</p>
      <div class="under num">{props.children}</div>
    </div>
  );
}
