// The one line to the gateway: server-sent events, opened again for as long as the page is.

import { effect } from "@preact/signals";
import type { Document, History } from "./document.ts";
import { clockOffset, connection, currentHour, history, now, stats } from "./state.ts";

const firstDelayMs = 500;
const longestDelayMs = 5_000;
/** The clock has jumped: the machine slept, and the old connection is most likely dead. */
const sleptMs = 30_000;

let source: EventSource | null = null;
let delayMs = firstDelayMs;
let retry: ReturnType<typeof setTimeout> | undefined;

/** Begins, and never ends. */
export function connect(): void {
  open();
  tick();
  // A page in the background is not redrawn each second; when it is looked at again it is right at once.
  document.addEventListener("visibilitychange", tick);
  effect(() => {
    if (currentHour.value !== "") void readHistory();
  });
}

function open(): void {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("/dashboard/events");
  source.addEventListener("message", (event: MessageEvent<string>) => take(JSON.parse(event.data) as Document));
  source.addEventListener("error", openLater);
}

function take(next: Document): void {
  // While the line was down, hours may have passed.
  if (connection.value !== "live" && stats.value !== null) void readHistory();
  reloadIfNewer(next.page);
  clockOffset.value = Date.parse(next.now) - Date.now();
  delayMs = firstDelayMs;
  stats.value = next;
  connection.value = "live";
  now.value = Date.now() + clockOffset.value;
  // Sums that were still being read have grown.
  if (history.value?.reading === true && !next.history.reading) void readHistory();
}

function openLater(): void {
  source?.close();
  if (connection.value !== "locked") connection.value = stats.value === null ? "connecting" : "lost";
  void askWhy();
  retry = setTimeout(open, delayMs);
  delayMs = Math.min(longestDelayMs, delayMs * 2);
}

/** An event source does not tell a gateway that is gone from one that refuses. */
async function askWhy(): Promise<void> {
  try {
    const { status } = await fetch("/dashboard/api/history");
    if (status === 401) connection.value = "locked";
    else if (connection.value === "locked") connection.value = "lost";
  } catch {
    // Gone: it is asked again anyway.
  }
}

async function readHistory(): Promise<void> {
  try {
    const response = await fetch("/dashboard/api/history");
    if (response.ok) history.value = (await response.json()) as History;
  } catch {
    // The line is down; whoever opens it again reads this again.
  }
}

/** The gateway was replaced by another version: this page is not its own any more. */
function reloadIfNewer(version: string | null): void {
  const own = document.querySelector<HTMLElement>("#app")?.dataset["version"] ?? null;
  if (version === null || own === null || version === own) return;
  if (sessionStorage.getItem("reloaded-for") === version) return;
  sessionStorage.setItem("reloaded-for", version);
  location.reload();
}

let ticker: ReturnType<typeof setTimeout> | undefined;
let lastTick = Date.now();

function tick(): void {
  clearTimeout(ticker);
  const at = Date.now();
  if (at - lastTick > sleptMs && !document.hidden) open();
  lastTick = at;
  if (document.hidden) return;
  now.value = at + clockOffset.value;
  ticker = setTimeout(tick, 1_000 - (at % 1_000));
}
