// Where and why a JSON text is refused. Slower than the guard and run only for a body that is refused anyway; written
// without `JSON.parse`, so that the tests can hold the two against each other.

/** One rule of the guard. */
export type JsonRule =
  | "utf8"
  | "bom"
  | "syntax"
  | "not_object"
  | "depth"
  | "tokens"
  | "keys"
  | "duplicate_key"
  | "surrogate"
  | "number"
  | "reserved_key"
  | "confusable_key";

export interface JsonFault {
  readonly rule: JsonRule;
  /** In UTF-16 units from the start of the text. */
  readonly offset: number;
}

/** Elements are opening brackets, commas and colons: about one for each value and key. */
export const jsonLimits = { maxDepth: 64, maxTokens: 500_000, maxKeys: 100_000 } as const;

/** An assignment or merge downstream would hit the prototype instead of a property. */
const reservedKeys: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Top-level fields that decide on cost, routing or what is sent. A parser that folds case (Go's `encoding/json`) would
 * take `Model` for `model`, so that we would meter one model and the upstream would run another.
 */
export const knownKeys: ReadonlySet<string> = new Set(
  `model models messages input system instructions prompt max_tokens max_completion_tokens max_output_tokens n best_of
  stream stream_options tools tool_choice tool_resources functions function_call parallel_tool_calls max_tool_calls
  thinking reasoning reasoning_effort output_config response_format text modalities audio prediction verbosity
  service_tier speed inference_geo provider plugins route transforms fallbacks web_search_options previous_response_id
  conversation background store include truncation container mcp_servers context_management metadata user stop
  stop_sequences temperature top_p top_k seed logprobs top_logprobs logit_bias frequency_penalty presence_penalty
  cache_control prompt_cache_key prompt_cache_retention safety_identifier encoding_format dimensions options keep_alive
  num_ctx format think`.split(/\s+/),
);

/** False where a top-level key is reserved, or is a known one in disguise. */
export function isPlainTopLevelKey(key: string): boolean {
  return knownKeys.has(key) || topLevelRule(key) === null;
}

function topLevelRule(key: string): JsonRule | null {
  if (reservedKeys.has(key)) return "reserved_key";
  if (/^[a-z0-9_]*$/.test(key)) return null;
  // Compatibility forms as well: Go folds U+017F to `s` and U+212A to `k`.
  const folded = withoutEdges(key.normalize("NFKC")).toLowerCase();
  if (folded === key) return null;
  if (reservedKeys.has(folded)) return "reserved_key";
  return knownKeys.has(folded) ? "confusable_key" : null;
}

/** Without white space, control characters (a C string ends at NUL) and what is not seen, at either end. */
function withoutEdges(key: string): string {
  // One character at a time: a pattern for the end would be quadratic on a long run in the middle.
  const unseen = /[\s\p{Cc}\p{Cf}]/u;
  let start = 0;
  let end = key.length;
  while (start < end && unseen.test(key[start]!)) start += 1;
  while (end > start && unseen.test(key[end - 1]!)) end -= 1;
  return key.slice(start, end);
}

/** The first fault in the order of the text; null where the text keeps every rule. Linear. */
export function findJsonFault(text: string): JsonFault | null {
  return new FaultFinder(text).run();
}

/** Carries the fault out of the recursion. */
class Found extends Error {
  readonly fault: JsonFault;

  constructor(rule: JsonRule, offset: number) {
    super(rule);
    this.fault = { rule, offset };
  }
}

const wordPattern = /true|false|null/y;
const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Possessive by construction: each step takes a character or an escape, so there is nothing to go back to. */
const spacePattern = /[ \t\n\r]*/y;

class FaultFinder {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #tokens = 0;
  #keys = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): JsonFault | null {
    try {
      this.#space();
      if (this.#text[this.#at] !== "{") {
        this.#value();
        throw new Found("not_object", 0);
      }
      this.#value();
      this.#space();
      if (this.#at < this.#text.length) throw new Found("syntax", this.#at);
      return null;
    } catch (error) {
      if (error instanceof Found) return error.fault;
      throw error;
    }
  }

  #value(): void {
    const char = this.#text[this.#at];
    if (char === "{") this.#object();
    else if (char === "[") this.#array();
    else if (char === '"') this.#string();
    else if (char === "t" || char === "f" || char === "n") this.#match(wordPattern);
    else {
      const start = this.#at;
      if (!Number.isFinite(Number(this.#match(numberPattern)))) throw new Found("number", start);
    }
  }

  #object(): void {
    this.#open();
    const topLevel = this.#depth === 1;
    const seen = new Set<string>();
    if (!this.#closes("}")) {
      do {
        this.#space();
        const start = this.#at;
        const key = this.#string();
        const rule = topLevel ? topLevelRule(key) : null;
        if (rule !== null) throw new Found(rule, start);
        if (seen.has(key)) throw new Found("duplicate_key", start);
        seen.add(key);
        this.#space();
        this.#expect(":");
        this.#keys += 1;
        if (this.#keys > jsonLimits.maxKeys) throw new Found("keys", this.#at - 1);
        this.#token();
        this.#space();
        this.#value();
      } while (this.#more("}"));
    }
    this.#depth -= 1;
  }

  #array(): void {
    this.#open();
    if (!this.#closes("]")) {
      do {
        this.#space();
        this.#value();
      } while (this.#more("]"));
    }
    this.#depth -= 1;
  }

  #open(): void {
    this.#at += 1;
    this.#depth += 1;
    if (this.#depth > jsonLimits.maxDepth) throw new Found("depth", this.#at - 1);
    this.#token();
  }

  #closes(bracket: "}" | "]"): boolean {
    this.#space();
    if (this.#text[this.#at] !== bracket) return false;
    this.#at += 1;
    return true;
  }

  #more(bracket: "}" | "]"): boolean {
    if (this.#closes(bracket)) return false;
    this.#expect(",");
    this.#token();
    return true;
  }

  #token(): void {
    this.#tokens += 1;
    if (this.#tokens > jsonLimits.maxTokens) throw new Found("tokens", this.#at - 1);
  }

  /** The decoded string at the cursor. */
  #string(): string {
    const start = this.#at;
    this.#expect('"');
    let escaped = false;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      // NaN at the end of the text fails both comparisons.
      if (!(code >= 0x20)) throw new Found("syntax", this.#at);
      if (code === 0x22) break;
      if (code === 0x5c) {
        escaped = true;
        this.#escape();
      } else this.#at += 1;
    }
    this.#at += 1;
    const raw = this.#text.slice(start + 1, this.#at - 1);
    return escaped ? unescape(raw) : raw;
  }

  #escape(): void {
    const start = this.#at;
    const kind = this.#text[start + 1];
    if (kind !== "u") {
      if (kind === undefined || !'"\\/bfnrt'.includes(kind)) throw new Found("syntax", start);
      this.#at += 2;
      return;
    }
    const unit = this.#unit(start);
    if (unit === null) throw new Found("syntax", start);
    this.#at += 6;
    if (unit < 0xd800 || unit > 0xdfff) return;
    const low = unit < 0xdc00 ? this.#unit(this.#at) : null;
    if (low === null || low < 0xdc00 || low > 0xdfff) throw new Found("surrogate", start);
    this.#at += 6;
  }

  /** The UTF-16 unit of a `\uXXXX` at `at`; null where there is none. */
  #unit(at: number): number | null {
    const escape = this.#text.slice(at, at + 6);
    return /^\\u[0-9a-fA-F]{4}$/.test(escape) ? Number.parseInt(escape.slice(2), 16) : null;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw new Found("syntax", this.#at);
    this.#at += found.length;
    return found;
  }

  #space(): void {
    spacePattern.lastIndex = this.#at;
    spacePattern.test(this.#text);
    this.#at = Math.max(this.#at, spacePattern.lastIndex);
  }

  #expect(char: string): void {
    if (this.#text[this.#at] !== char) throw new Found("syntax", this.#at);
    this.#at += 1;
  }
}

const shortEscapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

function unescape(raw: string): string {
  return raw.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_whole, hex: string | undefined, short: string) =>
    hex === undefined ? (shortEscapes[short] ?? short) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
