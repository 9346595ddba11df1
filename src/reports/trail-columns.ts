// The columns of an exported trail: one row a request, flat, with the attempts as JSON.

import type { TrailEntry } from "../layers/audit/index.ts";
import { servingProvider, NONE } from "./group-trail.ts";

export type ColumnType = "text" | "integer" | "number" | "boolean" | "time";
/** `time` is milliseconds since the epoch; `integer` and `number` are numbers. */
export type Cell = string | number | boolean | null;

export interface TrailColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly value: (row: TrailRow) => Cell;
}

export interface TrailRow {
  readonly entry: TrailEntry;
  /** The line's members as they stand there. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly providerOf: (candidate: string) => string | null;
}

type Fields = Readonly<Record<string, unknown>>;

const nothing: Fields = {};
// No copy: this is called for several columns of every line.
const member = (fields: Fields, name: string): Fields => {
  const value = fields[name];
  return typeof value === "object" && value !== null ? (value as Fields) : nothing;
};
const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const flag = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null);

function plain(name: string, type: ColumnType): TrailColumn {
  const read = type === "text" ? text : type === "boolean" ? flag : number;
  return { name, type, value: ({ fields }) => read(fields[name]) };
}

function token(name: string, of: string): TrailColumn {
  return { name, type: "integer", value: ({ fields }) => number(member(fields, "usage")[of]) };
}

/** In the order of the line. */
export const trailColumns: readonly TrailColumn[] = [
  { name: "seq", type: "integer", value: ({ entry }) => entry.seq },
  { name: "ts", type: "time", value: ({ entry }) => entry.at },
  plain("id", "text"),
  plain("agent", "text"),
  plain("auth", "text"),
  plain("peer", "text"),
  plain("dialect", "text"),
  plain("path", "text"),
  plain("stream", "boolean"),
  plain("requested_model", "text"),
  plain("intent", "text"),
  plain("route", "text"),
  plain("served_by", "text"),
  {
    name: "provider",
    type: "text",
    value: ({ entry, providerOf }) => {
      const provider = servingProvider(entry, providerOf);
      return provider === NONE ? null : provider;
    },
  },
  plain("local", "boolean"),
  plain("outcome", "text"),
  plain("status", "integer"),
  token("input_tokens", "input"),
  token("output_tokens", "output"),
  token("cache_read_tokens", "cache_read"),
  token("cache_write_tokens", "cache_write"),
  token("reasoning_tokens", "reasoning"),
  { name: "usage_source", type: "text", value: ({ fields }) => text(member(fields, "usage")["source"]) },
  plain("usd", "number"),
  plain("held_usd", "number"),
  plain("would_have_usd", "number"),
  plain("price", "text"),
  plain("ms", "integer"),
  plain("bytes_in", "integer"),
  plain("bytes_out", "integer"),
  plain("client_retry", "integer"),
  plain("replay_of", "text"),
  { name: "request_sha256", type: "text", value: ({ fields }) => text(member(fields, "content")["request"]) },
  { name: "answer_sha256", type: "text", value: ({ fields }) => text(member(fields, "content")["answer"]) },
  { name: "attempt_count", type: "integer", value: ({ entry }) => entry.attempts.length },
  { name: "attempts", type: "text", value: ({ fields }) => JSON.stringify(fields["attempts"] ?? []) },
];
