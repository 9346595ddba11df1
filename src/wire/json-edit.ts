// Changes a value inside a JSON text and leaves every other byte alone: no re-serialising, so numbers, key order, spacing
// and escapes stay as the sender wrote them. The texts were accepted by the guard or by `JSON.parse` before; on anything
// else the functions find nothing, and still end, in linear time.

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** Shorter strings end before a native search has paid for its call. */
const STEP = 24;

/** From the first character of a value to the one after its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Where the values of these top-level keys are; keys that are absent are absent. Reading stops at the last one found.
 * Of equal keys the first counts: the guard has refused them in requests.
 */
export function topLevelSpans(text: string, keys: readonly string[]): Map<string, Span> {
  const spans = new Map<string, Span>();
  eachEntry(text, skipSpace(text, 0), (keyStart, keyEnd, start) => {
    for (const key of keys) {
      if (!spans.has(key) && isKey(text, keyStart, keyEnd, key)) {
        const end = skipValue(text, start);
        spans.set(key, { start, end });
        return spans.size === keys.length ? null : end;
      }
    }
    return skipValue(text, start);
  });
  return spans;
}

/**
 * Sets top-level keys to values given as JSON text: in place where the key exists, else at the end of the object.
 * `undefined` leaves a key as it is. Returns the very same string where nothing changes. `text` must be a JSON object.
 */
export function setTopLevel(text: string, edits: Readonly<Record<string, string | undefined>>): string {
  const keys = Object.keys(edits).filter((key) => edits[key] !== undefined);
  const spans = topLevelSpans(text, keys);
  const changes: { span: Span; json: string }[] = [];
  let added = "";
  for (const key of keys) {
    const json = edits[key]!;
    const span = spans.get(key);
    if (span === undefined) added += `,${JSON.stringify(key)}:${json}`;
    else if (!holds(text, span, json)) changes.push({ span, json });
  }
  if (added !== "") {
    const at = lastContent(text);
    // The separator is not wanted behind the opening brace of an empty object.
    if (at.end > 0)
      changes.push({ span: at, json: text.charCodeAt(at.end - 1) === OPEN_BRACE ? added.slice(1) : added });
  }
  return applied(text, changes);
}

/**
 * Replaces the value at a path of object keys, e.g. `["message", "model"]`, by a JSON text. Returns the very same string
 * where the path is absent or the value is there already.
 */
export function replaceAt(text: string, path: readonly string[], json: string): string {
  let start = skipSpace(text, 0);
  for (const key of path) {
    start = valueOf(text, start, key);
    if (start < 0) return text;
  }
  const span = { start, end: skipValue(text, start) };
  return path.length === 0 || holds(text, span, json) ? text : splice(text, span, json);
}

/** Where the value of `key` is in the object that starts at `at`; null where there is none. */
export function entrySpan(text: string, at: number, key: string): Span | null {
  const start = valueOf(text, at, key);
  return start < 0 ? null : { start, end: skipValue(text, start) };
}

/** Where the elements of the array that starts at `at` are; none where there is no array. */
export function elementSpans(text: string, at: number): Span[] {
  const spans: Span[] = [];
  if (text.charCodeAt(at) !== OPEN_BRACKET) return spans;
  let start = skipSpace(text, at + 1);
  while (start < text.length && text.charCodeAt(start) !== CLOSE_BRACKET) {
    const end = skipValue(text, start);
    // Nothing but a comma goes on: on anything else than JSON this ends here.
    if (end === start) break;
    spans.push({ start, end });
    const next = skipSpace(text, end);
    if (text.charCodeAt(next) !== COMMA) break;
    start = skipSpace(text, next + 1);
  }
  return spans;
}

/** The start of the value of `key` in the object at `at`; -1 where there is none. */
function valueOf(text: string, at: number, key: string): number {
  let found = -1;
  eachEntry(text, at, (keyStart, keyEnd, start) => {
    if (!isKey(text, keyStart, keyEnd, key)) return skipValue(text, start);
    found = start;
    return null;
  });
  return found;
}

function holds(text: string, { start, end }: Span, json: string): boolean {
  return end - start === json.length && text.startsWith(json, start);
}

function splice(text: string, { start, end }: Span, json: string): string {
  return text.slice(0, start) + json + text.slice(end);
}

function applied(text: string, changes: { span: Span; json: string }[]): string {
  if (changes.length === 0) return text;
  changes.sort((a, b) => a.span.start - b.span.start);
  let result = "";
  let done = 0;
  for (const { span, json } of changes) {
    result += text.slice(done, span.start) + json;
    done = span.end;
  }
  return result + text.slice(done);
}

/** The empty span behind the last entry of the outermost object. */
function lastContent(text: string): Span {
  let at = text.lastIndexOf("}");
  while (at > 0 && isSpace(text.charCodeAt(at - 1))) at -= 1;
  return { start: at, end: at };
}

/**
 * Visits the entries of the object at `at`: the key's text between its quotes, and the start of the value. The visitor
 * returns the end of the value, or null to stop.
 */
function eachEntry(
  text: string,
  objectStart: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number) => number | null,
): void {
  if (text.charCodeAt(objectStart) !== OPEN_BRACE) return;
  let at = skipSpace(text, objectStart + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const afterKey = skipString(text, at + 1);
    const colon = skipSpace(text, afterKey);
    if (text.charCodeAt(colon) !== COLON) return;
    const end = visit(at + 1, afterKey - 1, skipSpace(text, colon + 1));
    if (end === null) return;
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== COMMA) return;
    at = skipSpace(text, at + 1);
  }
}

function isKey(text: string, start: number, end: number, key: string): boolean {
  if (end - start === key.length && text.startsWith(key, start)) return !key.includes("\\");
  // The shortest escape of one character has two: a key as long as the wanted one, or shorter, is not it in disguise.
  if (end - start <= key.length) return false;
  const raw = text.slice(start, end);
  return raw.includes("\\") && unquoted(raw) === key;
}

function unquoted(raw: string): unknown {
  try {
    return JSON.parse(`"${raw}"`);
  } catch {
    return undefined;
  }
}

/** The position behind the value at `start`, without white space. */
function skipValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return skipString(text, start + 1);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(text, start);
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code)) break;
    at += 1;
  }
  return at;
}

function skipNested(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    at += 1;
    if (code === QUOTE) at = skipString(text, at);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return at;
}

/** `start` is behind the opening quote; returns the position behind the closing one, or the end of the text. */
function skipString(text: string, start: number): number {
  const end = text.length;
  let at = start;
  while (at < end) {
    const stop = Math.min(at + STEP, end);
    while (at < stop) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) return at + 1;
      at += code === BACKSLASH ? 2 : 1;
    }
    const quote = text.indexOf('"', at);
    if (quote < 0) return end;
    // An odd run of backslashes escapes the quote; each run is looked at once, so this is linear.
    let before = quote - 1;
    while (before >= at && text.charCodeAt(before) === BACKSLASH) before -= 1;
    at = quote + 1;
    if (((quote - before) & 1) === 1) return at;
  }
  return end;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
