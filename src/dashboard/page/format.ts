// Figures as a person reads them. One rule each, so that the same amount looks the same everywhere.

const grouped = new Intl.NumberFormat("en-US");
const cents = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const fine = new Intl.NumberFormat("en-US", { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const exact = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 });

/** `$0.0123`, and nothing is `$0.00`; from ten dollars on in cents. What is less than shows is said to be so. */
export function usd(amount: number): string {
  if (amount === 0) return "$0.00";
  if (amount > 0 && amount < 0.000_05) return "<$0.0001";
  return `$${(Math.abs(amount) < 10 ? fine : cents).format(amount)}`;
}

/** A cap, which a person has set: `$2.00`, and no more places than it has. */
export function cap(amount: number): string {
  return `$${exact.format(amount)}`;
}

/** All six places that the books have. */
export function exactUsd(amount: number): string {
  return `$${exact.format(amount)}`;
}

export function count(value: number): string {
  return grouped.format(value);
}

export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `1,234`, `12.3k`, `4.56M`. */
export function tokens(value: number): string {
  if (value < 10_000) return count(value);
  if (value < 999_500) return scaled(value, 1e3, "k");
  return value < 999_500_000 ? scaled(value, 1e6, "M") : scaled(value, 1e9, "G");
}

function scaled(value: number, size: number, unit: string): string {
  return `${Number((value / size).toPrecision(3))}${unit}`;
}

/** `412 ms`, `2.14 s`, `1 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${(ms / 1_000).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return span(ms);
}

/** `4 h 12 min`, as exact as a glance needs. */
export function span(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `now`, `12 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. */
export function ago(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** 99.6 % is not all of it, and what is not nothing shows. */
export function percent(share: number): string {
  if (share >= 1) return "100 %";
  if (share > 0 && share < 0.005) return "<1 %";
  return `${Math.min(99, Math.round(share * 100))} %`;
}

/** `00:00` of an ISO time, in that time's own zone. */
export function clockOf(iso: string): string {
  return /T(\d\d:\d\d)/.exec(iso)?.[1] ?? iso;
}

const short = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** `28 Nov, 14:03:05`, where the reader is. */
export function moment(iso: string): string {
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? iso : short.format(ms);
}

const dayNames = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });

/** `Saturday 28 November` of `2026-11-28`. */
export function dayName(day: string): string {
  const ms = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(ms) ? day : dayNames.format(ms).replace(",", "");
}

/** `sha256:1a2b3c4d…9f` : enough to compare by eye. */
export function shortHash(hash: string): string {
  const hex = hash.replace(/^sha256:/, "");
  return hex.length <= 16 ? hex : `${hex.slice(0, 10)}…${hex.slice(-6)}`;
}
