import { effect } from "@preact/signals";
import { render, type JSX } from "preact";
import { Budgets } from "./budgets.tsx";
import { connect } from "./connect.ts";
import type { Document } from "./document.ts";
import { Figures } from "./figures.tsx";
import { applyTheme, Header } from "./header.tsx";
import { OverTime } from "./over-time.tsx";
import { problemsOf } from "./problem-list.ts";
import { Problems } from "./problems.tsx";
import { Models, Providers } from "./providers.tsx";
import { Search } from "./search.tsx";
import { connection, isFresh, place, placeOf, stats } from "./state.ts";
import { StateOfHouse } from "./state-of-house.tsx";
import { Story } from "./story.tsx";
import { Traffic } from "./traffic.tsx";
import { Welcome } from "./welcome.tsx";

function App(): JSX.Element {
  const document = stats.value;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header />
      <main id="main" tabIndex={-1}>
        {connection.value === "locked" && <Locked />}
        {document !== null && <Problems document={document} />}
        {place.value.view === "overview" && (document === null ? <Waiting /> : <Overview document={document} />)}
        {place.value.view === "requests" && <Search />}
        {place.value.view === "request" && <Story seq={place.value.seq} />}
      </main>
    </>
  );
}

function Overview(props: { readonly document: Document }): JSX.Element {
  const { document } = props;
  return (
    <>
      <h1 class="unseen">Today</h1>
      {isFresh.value && <Welcome document={document} />}
      <Figures document={document} />
      <div class="columns">
        <Budgets document={document} />
        <Traffic document={document} />
        <OverTime document={document} />
        <Providers document={document} />
        <Models document={document} />
        <StateOfHouse document={document} />
      </div>
    </>
  );
}

function Waiting(): JSX.Element {
  return (
    <p class="starting" role="status">
      {connection.value === "locked" ? "" : "Waiting for the gateway …"}
    </p>
  );
}

function Locked(): JSX.Element {
  return (
    <section class="problems" role="alert">
      <ul>
        <li class="grave">
          <p>
            <strong>This browser&apos;s link has ended</strong>
          </p>
          <p class="dim">
            Run <code>sanctum dashboard</code> where the gateway runs; what is shown here is what was known last.
          </p>
        </li>
      </ul>
    </section>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("#main")?.focus();
}

applyTheme();
addEventListener("hashchange", () => {
  const before = place.value;
  place.value = placeOf();
  if (place.value.view === before.view && place.value.view !== "request") return;
  scrollTo(0, 0);
  document.querySelector<HTMLElement>("#main")?.focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  const inField = event.target instanceof HTMLElement && event.target.closest("input, select, textarea") !== null;
  if (event.key !== "/" || inField || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  location.hash = "#/requests";
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>("#search-text")?.focus());
});
effect(() => {
  const count = stats.value === null ? 0 : problemsOf(stats.value).length;
  document.title = count > 0 ? `(${count}) Sanctum` : "Sanctum";
});
const root = document.querySelector("#app")!;
root.replaceChildren();
render(<App />, root);
connect();
