// Rules of the wire that have no test, each with its reason: the generated page lists them.

/** `later`: not built yet. `otherwise`: decided differently. */
export interface NotHeld {
  readonly state: "later" | "otherwise";
  readonly sentence: string;
  readonly reason: string;
}

const takeover = "A stream that breaks off after its first byte ends in the dialect's error event in this version.";

export const notHeld: Readonly<Record<number, NotHeld>> = {
  276: {
    state: "otherwise",
    sentence: "A turn that the vendor paused is carried on by asking again.",
    reason:
      "Only turns with the vendor's own tools are paused, and a translated request never offers those. A pause that comes all the same is a plain stop (rule 100).",
  },
  294: { state: "later", sentence: "A takeover continues inside the open text block.", reason: takeover },
  295: { state: "later", sentence: "A takeover keeps ids, model and indexes.", reason: takeover },
  296: { state: "later", sentence: "At the joint no character is lost or doubled.", reason: takeover },
  297: { state: "later", sentence: "A server without prefill is asked in a user turn.", reason: takeover },
  298: { state: "later", sentence: "A takeover keeps the tools and the system prompt.", reason: takeover },
  299: { state: "later", sentence: "Tool calls are held back until they are complete.", reason: takeover },
  300: {
    state: "later",
    sentence: "After a finished tool call the answer is closed, not continued.",
    reason: takeover,
  },
  301: { state: "later", sentence: "A cut inside thinking goes on with text.", reason: takeover },
  302: { state: "later", sentence: "A cut between blocks goes on with a new block.", reason: takeover },
  303: { state: "later", sentence: "Structured output is never continued.", reason: takeover },
  304: { state: "later", sentence: "After a takeover the usage is one consistent set.", reason: takeover },
  305: {
    state: "later",
    sentence: "Where no takeover is possible each client gets the end that it can mend.",
    reason: takeover,
  },
  306: { state: "later", sentence: "A stream never begins twice.", reason: takeover },
  307: { state: "later", sentence: "Takeover holds for a death after every single event.", reason: takeover },
};
