// Ids of tool calls. Local servers leave them out, repeat them or use characters that Anthropic refuses; the client must
// see unique, legal ones, since it sends them back (wire.md 104).

const legal = /^[A-Za-z0-9_-]{1,64}$/;

/** Gives each call of one answer its id; `fallback` starts the ids that are made here. */
export class ToolIds {
  readonly #fallback: string;
  readonly #used = new Set<string>();

  /** `fallback` is unique per answer, e.g. `toolu_<response id>`. */
  constructor(fallback: string) {
    this.#fallback = fallback;
  }

  /** The upstream's id where it is usable, else one made of the answer's id and the call's index. */
  take(id: string, index: number): string {
    let chosen = legal.test(id) && !this.#used.has(id) ? id : `${this.#fallback}_${index}`;
    while (this.#used.has(chosen)) chosen += "_";
    this.#used.add(chosen);
    return chosen;
  }
}

/** For histories: an illegal id becomes a legal one, the same for the call and for its result. */
export function legalToolId(id: string): string {
  if (legal.test(id)) return id;
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193) >>> 0;
  const readable = id.slice(0, 40).replaceAll(/[^A-Za-z0-9_-]/g, "_");
  return `${readable}_${hash.toString(16).padStart(8, "0")}`;
}
