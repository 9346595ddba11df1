// What the page knows, as signals: whoever reads one is drawn again when it changes.

import { computed, signal } from "@preact/signals";
import type { Document, History, Period, Span } from "./document.ts";

/** `locked`: the session has ended, or there never was one. */
export type Connection = "connecting" | "live" | "lost" | "locked";

export const connection = signal<Connection>("connecting");
export const stats = signal<Document | null>(null);
/** As it was read last; the periods of this moment come with each document. */
export const history = signal<History | null>(null);
/** The gateway's clock less this machine's, milliseconds. */
export const clockOffset = signal(0);
/** The gateway's time, ticking. */
export const now = signal(Date.now());

/** Behind the `#` of the address. */
export const place = signal(placeOf());

export type Place =
  { readonly view: "overview" } | { readonly view: "requests" } | { readonly view: "request"; readonly seq: number };

export function placeOf(): Place {
  const path = globalThis.location?.hash.replace(/^#\/?/, "") ?? "";
  const seq = /^requests\/(\d{1,15})$/.exec(path)?.[1];
  if (seq !== undefined) return { view: "request", seq: Number(seq) };
  return path.startsWith("requests") ? { view: "requests" } : { view: "overview" };
}

/** All periods of one length, with the newest one as it stands. */
export function periodsOf(span: Span): readonly Period[] {
  const known = history.value?.[span] ?? [];
  const current = stats.value?.history?.[span];
  if (current === undefined) return known;
  return [...known.filter(({ key }) => key !== current.key), current];
}

/** The budget day has turned since the history was read: what was the current period then is read again. */
export const currentHour = computed(() => stats.value?.history?.hours.key ?? "");

/** Nothing was ever asked: the page says how to begin. */
export const isFresh = computed(() => {
  const document = stats.value;
  return document !== null && document.audit.entries === 0 && document.in_flight === 0 && document.recent.length === 0;
});
