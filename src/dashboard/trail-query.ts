// What a page may ask of the trail, as it stands in the query of a URL.

import { GatewayError } from "../errors.ts";
import type { TrailQuery } from "./trail-search.ts";

const MAX_LIMIT = 200;
const MAX_TEXT = 256;

/** Throws REQUEST_INVALID where a value cannot be meant. */
export function parseTrailQuery(query: URLSearchParams): TrailQuery {
  const limit = query.get("limit") ?? "50";
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT) {
    throw invalid(`limit: a number from 1 to ${MAX_LIMIT}`);
  }
  return {
    agent: textOf(query, "agent"),
    outcome: textOf(query, "outcome"),
    text: textOf(query, "text"),
    untilMs: momentOf(query.get("until")),
    before: query.has("before") ? parseSeq(query.get("before")) : null,
    limit: Number(limit),
  };
}

/** The number of a line. Throws REQUEST_INVALID. */
export function parseSeq(text: string | null): number {
  if (text === null || !/^\d{1,15}$/.test(text)) throw invalid("the number of a line is a whole number");
  return Number(text);
}

function textOf(query: URLSearchParams, name: string): string | null {
  const text = query.get(name)?.trim() ?? "";
  if (text.length > MAX_TEXT) throw invalid(`${name}: ${MAX_TEXT} characters at most`);
  return text === "" ? null : text;
}

function momentOf(text: string | null): number | null {
  if (text === null || text === "") return null;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw invalid("until: a time such as 2026-11-23T18:00:00Z");
  return ms;
}

function invalid(publicMessage: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", { publicMessage });
}
