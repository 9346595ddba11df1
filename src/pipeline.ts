// The life of a request on one page. Outermost first, as the request meets it; each layer adds one fact that the next
// one's input type demands, so a forgotten or swapped layer does not compile (test/paths/wrong-orders proves it).

import type {
  Arrived,
  Chosen,
  Funded,
  Handler,
  Identified,
  Kept,
  Keyed,
  Layer,
  Paced,
  Planned,
  Recorded,
  Understood,
  Unrepeated,
} from "./request.ts";

export interface Layers {
  readonly audit: Layer<Arrived, Recorded>;
  readonly identify: Layer<Recorded, Identified>;
  readonly understand: Layer<Identified, Understood>;
  readonly replay: Layer<Understood, Unrepeated>;
  readonly plan: Layer<Unrepeated, Planned>;
  readonly keepOpen: Layer<Planned, Kept>;
  readonly tryEach: Layer<Kept, Chosen>;
  readonly pace: Layer<Chosen, Paced>;
  readonly fund: Layer<Paced, Funded>;
  readonly unlock: Layer<Funded, Keyed>;
  readonly send: Handler<Keyed>;
}

/** Composed once per configuration, never per request. */
export function createPipeline(layers: Layers): Handler<Arrived> {
  const { audit, identify, understand, replay, plan, keepOpen, tryEach, pace, fund, unlock, send } = layers;
  // prettier-ignore
  return (
    audit( // first in, last out: whatever happens further in, the line is written
    identify( // before the body is read: a stranger costs us no parsing
    understand( // strictly read once; no later layer parses client bytes again
    replay( // before anything is planned or paid: a repeat gets the answer of the first one
    plan( // who may serve it; nothing is sent or paid yet
    keepOpen( // around all attempts: while one after the other fails, the client of a stream hears that it goes on
    tryEach( // everything inside is one attempt
    pace( // before the money: a provider that may not be asked now takes no hold
    fund( // before the key: no key leaves for what can't be paid
    unlock( // the key exists only around the one call that needs it
    send))))))))))
  );
}
