import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { clockOf, dayName, span } from "./format.ts";
import { connection, now, place, stats, type Connection } from "./state.ts";

const said: Readonly<Record<Connection, string>> = {
  connecting: "Connecting",
  live: "Live",
  lost: "Reconnecting",
  locked: "Link needed",
};

type Theme = "auto" | "light" | "dark";
const themes: readonly Theme[] = ["auto", "light", "dark"];
const themeKey = "sanctum-theme";
export const theme = signal<Theme>(storedTheme());

export function Header(): JSX.Element {
  const state = connection.value;
  return (
    <header class="top">
      <div class="top-in">
        <a class="brand" href="#/">
          <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
            <path d="M16 3l11 4.6v8.2c0 6.8-4.6 11.6-11 14.2-6.4-2.6-11-7.4-11-14.2V7.6z" fill="currentColor" />
          </svg>
          Sanctum
        </a>
        <nav aria-label="Views">
          <a href="#/" aria-current={place.value.view === "overview" ? "page" : undefined}>
            Today
          </a>
          <a href="#/requests" aria-current={place.value.view === "overview" ? undefined : "page"}>
            Requests
          </a>
        </nav>
        <DayLeft />
        <span class={`state ${state}`} role="status">
          <span class="dot" aria-hidden="true" />
          <span class="state-words">{said[state]}</span>
        </span>
        <button type="button" class="theme" onClick={nextTheme} aria-label={`Colours: ${theme.value}. Change`}>
          <span aria-hidden="true">{theme.value === "auto" ? "◐" : theme.value === "light" ? "○" : "●"}</span>
        </button>
      </div>
    </header>
  );
}

function DayLeft(): JSX.Element {
  const document = stats.value;
  if (document === null) return <p class="day" />;
  const left = Date.parse(document.day_ends_at) - now.value;
  return (
    <p class="day">
      <span class="day-name">{dayName(document.day)}</span>
      <span class="num" title="When the budgets are full again, in the gateway's time zone">
        ends {clockOf(document.day_ends_at)}, in {span(left)}
      </span>
    </p>
  );
}

function nextTheme(): void {
  theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length]!;
  localStorage.setItem(themeKey, theme.value);
  applyTheme();
}

export function applyTheme(): void {
  const root = document.documentElement;
  if (theme.value === "auto") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.value;
}

function storedTheme(): Theme {
  const stored = globalThis.localStorage?.getItem(themeKey);
  return themes.find((known) => known === stored) ?? "auto";
}
