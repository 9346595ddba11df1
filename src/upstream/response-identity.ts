import type { Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import type { SseEvent } from "../wire/neutral.ts";

/** Which response a Responses stream is and how far its numbering got, so that a failure event of ours continues it. */
export class ResponseIdentity {
  readonly #model: string;
  readonly #createdAt: number;
  #id: string;
  #sequence = -1;

  constructor(keyed: Keyed, clock: Clock) {
    this.#model = keyed.request.facts.model;
    this.#createdAt = Math.floor(clock.now() / 1_000);
    this.#id = `resp_${keyed.request.id.replace(/^req_/, "")}`;
  }

  see(event: SseEvent): void {
    if (event.event === "response.created")
      this.#id = /"id":\s*"(resp_[\w-]{1,200})"/.exec(event.data)?.[1] ?? this.#id;
    const number = /"sequence_number":\s*(\d{1,9})/.exec(event.data)?.[1];
    if (number !== undefined) this.#sequence = Math.max(this.#sequence, Number(number));
  }

  next(): { id: string; model: string; createdAt: number; sequence: number } {
    return { id: this.#id, model: this.#model, createdAt: this.#createdAt, sequence: this.#sequence + 1 };
  }
}
