// What is wrong: above everything else, and only where there is something.

import type { JSX } from "preact";
import type { Document } from "./document.ts";
import { counted } from "./format.ts";
import { Ago } from "./parts.tsx";
import { problemsOf } from "./problem-list.ts";

export function Problems(props: { readonly document: Document }): JSX.Element | null {
  const problems = problemsOf(props.document);
  if (problems.length === 0) return null;
  return (
    <section class="problems" aria-label={counted(problems.length, "problem")}>
      <ul>
        {problems.map((problem) => (
          <li key={problem.title} class={problem.grave ? "grave" : "mild"}>
            <p>
              <strong>{problem.title}</strong>
              {problem.since !== undefined && (
                <span class="dim">
                  {" "}
                  since <Ago iso={problem.since} />
                </span>
              )}
            </p>
            {problem.details?.map((detail) => (
              <p key={detail} class="mono">
                {detail}
              </p>
            ))}
            {problem.remedy !== undefined && <p class="dim">{problem.remedy}</p>}
          </li>
        ))}
      </ul>
    </section>
  );
}
