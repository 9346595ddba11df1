// A stream that is opened before anybody has answered: its signs of life, its failure, and how the answer that comes after
// all goes on from there.

import { lateErrorEvent } from "./errors.ts";
import { replaceAt } from "./json-edit.ts";
import type { Dialect, Json, JsonObject, SseEvent } from "./neutral.ts";
import { lifecycleEvent } from "./responses/lifecycle.ts";
import { comment, formatEvent } from "./sse.ts";

export interface Opening {
  /** The next sign of life; the first one opens the stream. */
  ping(): string;
  /** Nobody answers. `body` is the failure as JSON text, as it would have been sent by itself; nothing may follow. */
  fail(body: string, retryAfterSeconds?: number): string;
  /**
   * An event of the answer that came after all, as it continues what was sent before; possibly empty. Null where answers
   * need no change.
   */
  readonly joined: ((event: SseEvent) => string) | null;
}

/** Which answer is opened. */
export interface OpenedAnswer {
  readonly model: string;
  /** Without the dialect's prefix. */
  readonly id: string;
  /** Seconds since the epoch. */
  readonly createdAt: number;
}

export function createOpening(dialect: Dialect, answer: OpenedAnswer): Opening {
  if (dialect === "responses") return new ResponsesOpening(answer);
  // SDKs skip a `ping` also before `message_start`; in Chat streams an event would reach the user of some clients.
  const ping = dialect === "messages" ? formatEvent("ping", '{"type":"ping"}') : comment("ping");
  return { ping: () => ping, fail: (body) => lateErrorEvent(dialect, objectIn(body), nowhere), joined: null };
}

/** The dialects that number nothing need no place. */
const nowhere = { id: "", model: "", createdAt: 0, sequence: 0 };

/** The beginning is told here, so that of the answer is left out, and its events are numbered on. */
class ResponsesOpening implements Opening {
  readonly #answer: OpenedAnswer;
  readonly #id: string;
  #sequence = 0;
  #begun = false;
  readonly joined = (event: SseEvent): string => this.#joined(event);

  constructor(answer: OpenedAnswer) {
    this.#answer = answer;
    this.#id = `resp_${answer.id}`;
  }

  ping(): string {
    const created = this.#sequence === 0 ? lifecycleEvent("response.created", this.#next()) : "";
    return created + lifecycleEvent("response.in_progress", this.#next());
  }

  fail(body: string, retryAfterSeconds?: number): string {
    const parsed = objectIn(body);
    const error = parsed["error"];
    // Codex reads the wait from the text and waits exactly that.
    const isLimit = isObject(error) && error["code"] === "rate_limit_exceeded";
    if (isLimit && typeof error["message"] === "string" && retryAfterSeconds !== undefined) {
      error["message"] += ` Please try again in ${retryAfterSeconds}s.`;
    }
    return lateErrorEvent("responses", parsed, this.#next());
  }

  #next(): { id: string; model: string; createdAt: number; sequence: number } {
    const { model, createdAt } = this.#answer;
    return { id: this.#id, model, createdAt, sequence: this.#sequence++ };
  }

  #joined(event: SseEvent): string {
    if (event.data === "") return event.raw;
    const type = /^response\.(?:created|queued|in_progress)$/.exec(typeOf(event))?.[0];
    if (type === "response.created" || (type !== undefined && !this.#begun)) return "";
    this.#begun = true;
    const numbered = replaceAt(event.data, ["sequence_number"], String(this.#sequence++));
    return formatEvent(event.event, replaceAt(numbered, ["response", "id"], JSON.stringify(this.#id)));
  }
}

function typeOf(event: SseEvent): string {
  return event.event ?? /"type":\s*"(response\.[a-z_.]{1,60})"/.exec(event.data)?.[1] ?? "";
}

function objectIn(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return {};
  }
  return isObject(value) ? value : {};
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
