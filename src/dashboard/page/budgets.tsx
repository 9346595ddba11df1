// Each agent against its cap.

import { useState } from "preact/hooks";
import type { JSX } from "preact";
import type { Agent, Document, Window } from "./document.ts";
import { cap, clockOf, count, counted, percent, span, usd } from "./format.ts";
import { Bar, Card, Empty, Money } from "./parts.tsx";
import { now } from "./state.ts";

/** Up to so many stand as they are configured; of more, those that have used most are shown, and the rest is folded away. */
const FEW = 12;

export function Budgets(props: { readonly document: Document }): JSX.Element {
  const { agents, day_ends_at: ends } = props.document;
  const [all, setAll] = useState(false);
  const list = Object.entries(agents);
  const many = list.length > FEW;
  const sorted = many ? list.toSorted(([, a], [, b]) => usedShare(b) - usedShare(a) || b.requests - a.requests) : list;
  const shown = many && !all ? sorted.slice(0, FEW) : sorted;
  const over = list.filter(([, agent]) => agent.over_budget && agent.daily_usd > 0).length;
  return (
    <Card
      title="Budgets"
      id="budgets"
      class={many ? "wide" : ""}
      aside={
        <span class="num">
          {counted(list.length, "agent")}
          {over > 0 && <span class="bad">, {count(over)} used up</span>}; full again at {clockOf(ends)}, in{" "}
          {span(Date.parse(ends) - now.value)}
        </span>
      }
    >
      {list.length === 0 && (
        <Empty>
          No agent has a budget yet. <code>sanctum agents add NAME</code> makes one with its token.
        </Empty>
      )}
      <ul class={many ? "agents many" : "agents"}>
        {shown.map(([name, agent]) => (
          <AgentRow key={name} name={name} agent={agent} />
        ))}
      </ul>
      {many && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show the ${FEW} that have used most` : `Show all ${count(list.length)} agents`}
        </button>
      )}
    </Card>
  );
}

function AgentRow(props: { readonly name: string; readonly agent: Agent }): JSX.Element {
  const { name, agent } = props;
  return (
    <li class="agent">
      <p class="agent-name">
        <a href={`#/requests?agent=${encodeURIComponent(name)}`} title={`Requests of ${name}`}>
          {name}
        </a>
        <span class="num used">{agent.daily_usd > 0 ? percent(usedShare(agent)) : "no budget"}</span>
      </p>
      <WindowBar name={name} of="today" window={{ ...agent, cap_usd: agent.daily_usd }} />
      {agent.hour !== undefined && <WindowBar name={name} of="this hour" window={agent.hour} small />}
      {agent.month !== undefined && <WindowBar name={name} of="this month" window={agent.month} small />}
      <p class="agent-counts num">{countsOf(agent)}</p>
    </li>
  );
}

function WindowBar(props: {
  readonly name: string;
  readonly of: string;
  readonly window: Window;
  readonly small?: boolean;
}): JSX.Element {
  const { cap_usd: capped, spent_usd: spent, held_usd: held, remaining_usd: left } = props.window;
  const share = capped > 0 ? 1 - left / capped : 0;
  const tone = left <= 0 ? "full" : share >= 0.8 ? "near" : "";
  const words = `${props.name} ${props.of}: ${usd(spent)} spent, ${usd(held)} held, ${usd(left)} left of ${cap(capped)}`;
  return (
    <div class={`window ${tone} ${props.small === true ? "small" : ""}`}>
      <Bar
        label={words}
        parts={
          capped > 0
            ? [
                { share: spent / capped, class: "spent" },
                { share: held / capped, class: "held" },
              ]
            : []
        }
      />
      <p class="window-words">
        <span>
          {props.small === true && <span class="dim">{props.of}: </span>}
          <Money amount={spent} class="spent-words" /> <span class="dim">spent</span>
          {held > 0 && (
            <>
              {", "}
              <Money amount={held} class="held-words" /> <span class="dim">held</span>
            </>
          )}
        </span>
        <span class="left-words">
          <Money amount={left} /> <span class="dim">left of</span> <span class="num">{cap(capped)}</span>
        </span>
      </p>
    </div>
  );
}

function countsOf(agent: Agent): string {
  if (agent.requests === 0) return "no requests today";
  const parts = [counted(agent.requests, "request")];
  if (agent.local > 0) parts.push(`${count(agent.local)} local`);
  if (agent.fallbacks > 0) parts.push(counted(agent.fallbacks, "fallback"));
  if (agent.refused > 0) parts.push(`${count(agent.refused)} refused`);
  if (agent.errors > 0) parts.push(`${count(agent.errors)} failed`);
  return parts.join(" · ");
}

function usedShare({ daily_usd: capped, remaining_usd: left }: Agent): number {
  return capped > 0 ? 1 - left / capped : 0;
}
