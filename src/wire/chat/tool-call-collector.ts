// Puts the pieces of streamed tool calls together. Servers leave the index out, use one index for all calls (some without
// any id), send the name after the id, send the name again as an empty text, or send the arguments as an object (wire.md 122, 123).

import { isObject } from "../messages/request-fields.ts";
import { SurrogateJoiner } from "../messages/surrogate-joiner.ts";
import type { Json, JsonObject, NeutralEvent } from "../neutral.ts";
import { argumentsText, parseArguments } from "./tool-arguments.ts";

/** More calls in one answer are nonsense; what belongs to them is left out. */
const MAX_CALLS = 1_000;
/** Arguments that may come before the names of their tools, in characters, of all calls together. */
const MAX_HELD = 1_048_576;

/** Longer arguments are not kept to be compared with. */
const MAX_PIECE = 65_536;

interface Call {
  readonly joiner: SurrogateJoiner;
  /** Counts the calls that have begun; -1 until the name is known. */
  index: number;
  id: string;
  name: string;
  /** Arguments that came before the name. */
  held: string;
  /** More came than may be held: what is left would be half a call. */
  dropped: boolean;
  /** The arguments, as long as they are all of one piece. */
  piece: string | undefined;
}

export class ToolCallCollector {
  readonly #byIndex = new Map<number, Call>();
  readonly #byId = new Map<string, Call>();
  readonly #calls: Call[] = [];
  #begun = 0;
  #held = 0;

  /** Calls that have begun. */
  get count(): number {
    return this.#begun;
  }

  /** Takes one entry of `delta.tool_calls`. */
  add(piece: JsonObject, events: NeutralEvent[]): void {
    const fn = isObject(piece["function"]) ? piece["function"] : {};
    const id = typeof piece["id"] === "string" ? piece["id"].toWellFormed() : "";
    const name = typeof fn["name"] === "string" ? fn["name"].toWellFormed() : "";
    const text = argumentsText(fn["arguments"]);
    const call = this.#find(piece["index"], id, name, text);
    if (call === undefined || call.dropped) return;
    if (call.id === "" && id !== "") {
      call.id = id;
      this.#byId.set(id, call);
    }
    if (call.name === "") call.name = name;
    if (text !== "") call.piece = call.piece === "" && text.length <= MAX_PIECE ? text : undefined;
    const json = call.joiner.push(text);
    // An id may follow the name, but not the arguments.
    if (call.index === -1 && call.name !== "" && (call.id !== "" || json !== "" || call.held !== "")) {
      this.#begin(call, events);
    }
    if (json === "") return;
    if (call.index >= 0) events.push({ type: "tool_delta", index: call.index, json });
    else this.#hold(call, json);
  }

  #hold(call: Call, json: string): void {
    this.#held += json.length;
    call.dropped = this.#held > MAX_HELD;
    call.held = call.dropped ? "" : call.held + json;
  }

  /** The answer is over: calls that have a name begin now at the latest, and all of them end. */
  end(events: NeutralEvent[]): void {
    for (const call of this.#calls) {
      if (call.index === -1 && call.name !== "") this.#begin(call, events);
      if (call.index >= 0) events.push({ type: "tool_end", index: call.index });
    }
    this.#calls.length = 0;
    this.#byIndex.clear();
    this.#byId.clear();
  }

  #begin(call: Call, events: NeutralEvent[]): void {
    call.index = this.#begun;
    this.#begun += 1;
    events.push({ type: "tool_start", index: call.index, id: call.id, name: call.name, form: "function" });
    if (call.held !== "") events.push({ type: "tool_delta", index: call.index, json: call.held });
    this.#held -= call.held.length;
    call.held = "";
  }

  #find(wireIndex: Json | undefined, id: string, name: string, text: string): Call | undefined {
    const known = id === "" ? undefined : this.#byId.get(id);
    const numbered = typeof wireIndex === "number";
    const call = numbered ? this.#byIndex.get(wireIndex) : this.#calls.at(-1);
    // Another index with a name is another call, also under an id that was given before.
    if (known !== undefined && (known === call || !numbered || name === "")) return known;
    if (call !== undefined && !isAnother(call, id, name, text, numbered)) return call;
    if (this.#begun + this.#calls.length >= MAX_CALLS * 2 || this.#calls.length >= MAX_CALLS) return undefined;
    const fresh: Call = {
      joiner: new SurrogateJoiner(),
      index: -1,
      id: "",
      name: "",
      held: "",
      dropped: false,
      piece: "",
    };
    this.#calls.push(fresh);
    if (numbered) this.#byIndex.set(wireIndex, fresh);
    return fresh;
  }
}

/** A second id, or without an index a second name, starts another call. */
function isAnother(call: Call, id: string, name: string, text: string, numbered: boolean): boolean {
  if (id !== "" && call.id !== "" && id !== call.id) return name !== "" || !numbered;
  if (id !== "" || name === "" || call.name === "") return false;
  return !numbered || (text !== "" && isWhole(call.piece));
}

/** Where nothing follows but another name and more arguments: servers that repeat the name send pieces of an object. */
function isWhole(piece: string | undefined): boolean {
  if (piece === undefined || !piece.trimEnd().endsWith("}")) return false;
  const input = parseArguments(piece);
  return input !== undefined && Object.keys(input).length > 0;
}
