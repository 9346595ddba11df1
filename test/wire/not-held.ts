// Rules of the wire that have no test, each with its reason: the generated page lists them.

/** `later`: not built yet. `otherwise`: decided differently. */
export interface NotHeld {
  readonly state: "later" | "otherwise";
  readonly sentence: string;
  readonly reason: string;
}

export const notHeld: Readonly<Record<number, NotHeld>> = {
  276: {
    state: "otherwise",
    sentence: "A turn that the vendor paused is carried on by asking again.",
    reason:
      "Only turns with the vendor's own tools are paused, and a translated request never offers those. A pause that comes all the same is a plain stop (rule 100).",
  },
};
