import type { Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import { replaceAt } from "../wire/json-edit.ts";
import type { SseEvent } from "../wire/neutral.ts";
import { lifecycleEvent, type ResponsePlace } from "../wire/responses/lifecycle.ts";
import { formatEvent } from "../wire/sse.ts";

/** Which response a Responses stream is and how far its numbering got, so that events of ours continue it. */
export class ResponseIdentity {
  readonly #model: string;
  readonly #createdAt: number;
  #id: string;
  #sequence = -1;
  /** Events of ours so far: those of the upstream count on behind them. */
  #added = 0;

  constructor(keyed: Keyed, clock: Clock) {
    this.#model = keyed.request.facts.model;
    this.#createdAt = Math.floor(clock.now() / 1_000);
    this.#id = `resp_${keyed.request.id.replace(/^req_/, "")}`;
  }

  see(event: SseEvent): void {
    if (event.event === "response.created")
      this.#id = /"id":\s*"(resp_[\w-]{1,200})"/.exec(event.data)?.[1] ?? this.#id;
    const number = /"sequence_number":\s*(\d{1,9})/.exec(event.data)?.[1];
    if (number !== undefined) this.#sequence = Math.max(this.#sequence, Number(number) + this.#added);
  }

  next(): ResponsePlace {
    return { id: this.#id, model: this.#model, createdAt: this.#createdAt, sequence: this.#sequence + 1 };
  }

  /** Comments do not reset Codex's idle timer; this event does, and it may be repeated. */
  ping(): string {
    const text = lifecycleEvent("response.in_progress", this.next());
    this.#sequence++;
    this.#added++;
    return text;
  }

  /** The upstream's event with the number that it has for the client: the very same one before the first `ping`. */
  renumbered(event: SseEvent): SseEvent {
    if (this.#added === 0) return event;
    const number = /"sequence_number":\s*(\d{1,9})/.exec(event.data)?.[1];
    if (number === undefined) return event;
    const data = replaceAt(event.data, ["sequence_number"], String(Number(number) + this.#added));
    return { event: event.event, data, raw: formatEvent(event.event, data) };
  }
}
