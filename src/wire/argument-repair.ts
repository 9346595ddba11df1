// Arguments of tool calls that are no JSON, as small local models write them: brackets left open, a comma too many, single
// quotes, Python's literals, a code fence around it all. A repair counts only where it changed nothing but punctuation;
// what would have to be guessed is left broken.

import { parseArguments } from "./chat/tool-arguments.ts";

/** Characters of one text that are looked at closely: jsonrepair's time grows with the square of some texts. */
const MAX_TEXT = 16_384;
/** Of all texts of one answer together. */
const MAX_ALL = 65_536;
/** jsonrepair's time grows with the square of the depth. */
const MAX_BRACKETS = 1_000;
/** Brackets that may be open at the end of a text of any length. */
const MAX_OPEN = 64;

/** One per answer: what it may spend on repairs is bounded, however many calls a server sends. */
export class ArgumentRepair {
  #left = MAX_ALL;

  /** The text of the object that was meant; undefined where none can be told. `text` is not JSON. */
  repaired(text: string): string | undefined {
    const closed = withEnds(text);
    if (closed !== undefined) return closed;
    if (text.length > Math.min(MAX_TEXT, this.#left) || endsInAWord.test(text)) return undefined;
    if ((text.match(/[[{]/g)?.length ?? 0) > MAX_BRACKETS) return undefined;
    this.#left -= text.length;
    const source = text.replace(fenceStart, "").replace(fenceEnd, "");
    try {
      const result = repairer()(source.replace(escapes, doubled));
      return isObjectText(result) && substance(result) === substance(source) ? result.trim() : undefined;
    } catch {
      return undefined;
    }
  }
}

/**
 * The commonest break, in time that grows with the length alone: some servers' own readers swallow the last characters of
 * a call.
 */
function withEnds(text: string): string | undefined {
  const open: string[] = [];
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (inString) {
      if (char === "\\") i += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") open.push("}");
    else if (char === "[") open.push("]");
    else if ((char === "}" || char === "]") && open.pop() !== char) return undefined;
    if (open.length > MAX_OPEN) return undefined;
  }
  const result = text + (inString ? '"' : "") + open.toReversed().join("");
  return result.length > text.length && isObjectText(result) ? result : undefined;
}

/** Texts of texts are no repair: only what is an object itself. */
function isObjectText(text: string): boolean {
  return text.trimStart().startsWith("{") && parseArguments(text) !== undefined;
}

const fenceStart = /^\s*```[a-z0-9]*\s/i;
const fenceEnd = /\s```\s*$/;
/** `{"force":tru`: half a word would become a text. */
const endsInAWord = /[:,[{]\s*(?!(?:[tT]rue|[fF]alse|null|None)$)[A-Za-z]+$/;
/** What JSON knows as an escape, and the quote that other languages escape; else the backslash is meant as one. */
const escapes = /\\(?:["'\\/bfnrt]|u[0-9a-fA-F]{4})|\\/g;

function doubled(escape: string): string {
  return escape === "\\" ? "\\\\" : escape;
}

/**
 * All that a repair must keep: without quotes, brackets, separators, blanks and backslashes, and with Python's literals
 * spelled as JSON's.
 */
function substance(text: string): string {
  return text
    .replace(/\\[nrtbf]|[\s"'`´“”‘’{}[\],:\\]/g, "")
    .toLowerCase()
    .replaceAll("none", "null");
}

let loaded: ((text: string) => string) | undefined;

/** Loaded with the first broken call: most processes never see one, and this place can't wait. */
function repairer(): (text: string) => string {
  loaded ??= (require("jsonrepair") as typeof import("jsonrepair")).jsonrepair;
  return loaded;
}
