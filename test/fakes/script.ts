// What a scripted provider can be told to do with a request.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import type { Gate } from "./gate.ts";
import type { RawAct } from "./raw-acts.ts";

/** A number, or JSON source text written as it is (`"1e999"`, `"-5"`, `"null"`, `"NaN"`): the way to lie. */
export type Count = number | string;

/** Disjoint, as in `src/wire/neutral.ts`; each dialect nests them in its own way. */
export interface FakeUsage {
  readonly input?: Count;
  readonly output?: Count;
  readonly cacheRead?: Count;
  readonly cacheWrite?: Count;
  readonly reasoning?: Count;
  /** OpenRouter's `usage.cost`, USD. */
  readonly cost?: Count;
}

export interface FakeToolCall {
  readonly id?: string;
  readonly name: string;
  readonly input: JsonObject;
}

export interface FakeAnswer {
  readonly thinking?: string;
  readonly text?: string;
  readonly toolCalls?: readonly FakeToolCall[];
  /** `missing`: no usage anywhere, although asked for. */
  readonly usage?: FakeUsage | "missing";
  /** The model that the answer names; the requested one where absent. */
  readonly model?: string;
  readonly stop?: "end" | "length" | "tool_calls" | "filtered";
  /** Characters of a streamed piece; 8 where absent. */
  readonly pieceLength?: number;
}

export interface Step {
  readonly answer?: FakeAnswer;
  /** An HTTP error (or any status, 3xx too). A body that is not a string is sent as JSON. */
  readonly refuse?: { readonly status: number; readonly headers?: Record<string, string>; readonly body?: Json };
  /** Extra headers of a 200. */
  readonly headers?: Record<string, string>;
  /** Goes silent, until the other side or the provider closes. */
  readonly stall?: "before_headers" | "after_headers" | { readonly afterEvents: number };
  readonly cut?: Cut;
  /** The dialect's own error event in place of event number `afterEvents`, then the end. */
  readonly errorEvent?: { readonly afterEvents: number; readonly type?: string; readonly message?: string };
  /** Writes the bytes of the answer (framing included) in pieces: these sizes in turn, or random ones of 1 to 16. */
  readonly split?: { readonly sizes: readonly number[] } | { readonly seed: number };
  readonly contentType?: string;
  /** Answers `stream: true` with plain JSON. */
  readonly jsonForStream?: boolean;
  /** An SSE comment line before every event. */
  readonly comments?: string;
  /** Waits at it before every event and before what is in its place, or before the body where the answer is not a stream. */
  readonly gate?: Gate;
  /** Body in place of the answer's own, byte for byte: an array is written as the events of a stream. */
  readonly rawBody?: string | readonly string[];
  /** In place of everything else, the head included. */
  readonly raw?: readonly RawAct[];
}

export interface Cut {
  readonly at: { readonly byte: number } | { readonly event: number };
  /**
   * `destroy`: the socket is reset. `close`: closed without the end that the framing promises. `end`: the framing ends
   * well, the content does not.
   */
  readonly how: "destroy" | "close" | "end";
}

/** One answer in its dialect, both ways. */
export interface Rendered {
  readonly json: string;
  /** Texts of whole SSE events with their blank line. */
  readonly events: readonly string[];
}

export const DEFAULT_TEXT = "The quick brown fox – fährt über 東京 🦊.";
export const DEFAULT_INPUT_TOKENS = 21;
export const DEFAULT_OUTPUT_TOKENS = 13;

const marker = "\u0001raw:";

/** `JSON.stringify` in which a count given as text appears as that text. */
export function stringifyWithCounts(value: unknown): string {
  return JSON.stringify(value).replace(/"\\u0001raw:((?:[^"\\]|\\.)*)"/g, (_, text) => String(JSON.parse(`"${text}"`)));
}

/** A count as `stringifyWithCounts` takes it. */
export function count(value: Count | undefined, otherwise: number): Json {
  if (value === undefined) return otherwise;
  return typeof value === "number" ? value : marker + value;
}

/** The sum that a dialect nests, or the first lie among its members. */
export function sum(...values: readonly Json[]): Json {
  const lie = values.find((value) => typeof value !== "number");
  if (lie !== undefined) return lie;
  return values.reduce<number>((total, value) => total + (typeof value === "number" ? value : 0), 0);
}

/** Cuts at code points, never inside a surrogate pair. */
export function pieces(text: string, length: number): string[] {
  const points = Array.from(text);
  const cut: string[] = [];
  for (let at = 0; at < points.length; at += length) cut.push(points.slice(at, at + length).join(""));
  return cut;
}
