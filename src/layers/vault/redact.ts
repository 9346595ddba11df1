// Upstreams echo what they were sent, keys included, in error texts. What goes into a log, and what goes on to a client as the
// text of a failure, is scrubbed of every key that is in memory.

import { Scrubber } from "../../scrubber.ts";
import type { Secret } from "../../secret.ts";

/** A function that replaces every known key in a text, in each of its forms. `secrets` may be a function, where keys change. */
export function createRedactor(secrets: readonly Secret[] | (() => readonly Secret[])): (text: string) => string {
  return (text) => {
    const known = typeof secrets === "function" ? secrets() : secrets;
    return new Scrubber(known.map((secret) => secret.forms())).clean(text);
  };
}
