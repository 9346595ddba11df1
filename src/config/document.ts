// Text to data with positions. YAML 1.2, core schema; JSON is a part of it. The parser's own messages quote the source,
// which may hold a secret, so that each is replaced by wording of ours.

import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Document, Node, Pair, ParsedNode, YAMLError } from "yaml";

import { formatKeyPath, say, unsay } from "./fault.ts";
import type { KeyPath } from "./fault.ts";
import { findSecrets, isSecretName, looksRandom } from "./secret-scan.ts";
import type { Fault } from "./types.ts";

export interface ConfigDocument {
  readonly file: string;
  /** The file's content as plain data; `{}` for an empty file; undefined where the text can't be read. */
  readonly data: unknown;
  /** Of the text itself: syntax, doubled keys, secrets. */
  readonly faults: readonly Fault[];
  /** A fault at the value of `path`, or at its key; at the nearest thing above where there is no such place. */
  faultAt(path: KeyPath, at: "key" | "value", message: string): Fault;
}

/** Aliases may repeat this many nodes in all: enough for shared lists, too few for a bomb. */
const maxAliasCount = 100;
/** A broken file can break at every character. */
const maxSyntaxFaults = 20;

/** Never throws. */
export function readDocument(text: string, file: string): ConfigDocument {
  const reader = new DocumentReader(text, file);
  return reader.read();
}

class DocumentReader {
  readonly #text: string;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #faults: Fault[] = [];
  readonly #secretLines = new Set<number>();
  readonly #anchors = new Set<string>();
  readonly #aliases: { name: string; offset: number }[] = [];

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  read(): ConfigDocument {
    const document = this.#parse();
    let data: unknown;
    if (document !== null) {
      const broken = [...document.errors, ...document.warnings];
      for (const error of broken.slice(0, maxSyntaxFaults)) this.#addSyntax(error);
      this.#walk(document.contents);
      if (broken.length === 0 && this.#checkAliases()) data = this.#toData(document);
    }
    // After the walk, which can name the key; here comments and what could not be parsed.
    for (const offset of findSecrets(this.#text)) this.#addSecret(offset, "");
    return {
      file: this.#file,
      data,
      faults: this.#faults,
      faultAt: (path, at, message) =>
        this.#fault(document === null ? 0 : offsetOf(document, path, at), formatKeyPath(path), message),
    };
  }

  #parse(): Document.Parsed | null {
    try {
      return parseDocument(this.#text, {
        version: "1.2",
        schema: "core",
        lineCounter: this.#lines,
        prettyErrors: false,
        stringKeys: true,
        // The parser compares each key with all before it; the walk below needs a set.
        uniqueKeys: false,
      });
    } catch {
      // The parser reports faults without throwing; what else can happen to it says nothing to a user.
      this.#faults.push(this.#fault(0, "", say("can't be read as YAML", "make it simpler, or write it as JSON")));
      return null;
    }
  }

  #addSecret(offset: number, keyPath: string): void {
    const { line } = this.#lines.linePos(offset);
    if (this.#secretLines.has(line)) return;
    this.#secretLines.add(line);
    const remedy =
      "take it out, revoke it if the file was shared, and store it with `sanctum keys set PROVIDER` (agents: only the sha256 of a token)";
    this.#faults.push(this.#fault(offset, keyPath, say("looks like a secret", remedy)));
  }

  #addSyntax(error: YAMLError): void {
    this.#faults.push(this.#fault(error.pos[0], "", syntaxMessages[error.code] ?? unreadable));
  }

  #fault(offset: number, keyPath: string, message: string): Fault {
    const place = this.#lines.linePos(Math.min(offset, this.#text.length));
    return {
      file: this.#file,
      line: Math.max(1, place.line),
      column: Math.max(1, place.col),
      keyPath,
      ...unsay(message),
    };
  }

  /** Doubled and dangerous keys, and secrets that the text hides by escapes, folding or a telling name. */
  #walk(root: ParsedNode | null): void {
    const stack: { node: unknown; path: KeyPath; name: string }[] = [{ node: root, path: [], name: "" }];
    for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
      const { node, path, name } = entry;
      if (isAlias(node)) this.#aliases.push({ name: node.source, offset: startOf(node) ?? 0 });
      else if (isNode(node) && node.anchor !== undefined) this.#anchors.add(node.anchor);
      if (isMap(node)) {
        this.#checkKeys(node.items, path);
        for (const pair of node.items) {
          const key = keyOf(pair);
          stack.push({ node: pair.value, path: [...path, key], name: key });
        }
      } else if (isSeq(node)) {
        for (const [index, item] of node.items.entries()) stack.push({ node: item, path: [...path, index], name });
      } else if (isScalar(node) && typeof node.value === "string") {
        this.#checkScalar(node.value, node, path, name);
      }
    }
  }

  #checkKeys(pairs: readonly Pair[], path: KeyPath): void {
    const seen = new Set<string>();
    for (const pair of pairs) {
      const key = keyOf(pair);
      const offset = startOf(pair.key) ?? 0;
      if (seen.has(key)) {
        const message = say("is given twice", "keep one of them");
        this.#faults.push(this.#fault(offset, formatKeyPath([...path, key]), message));
      }
      seen.add(key);
      if (key === "__proto__" || key === "constructor" || key === "prototype") {
        const message = say("is a name that can't be used", "choose another name");
        this.#faults.push(this.#fault(offset, formatKeyPath([...path, key]), message));
      }
      if (findSecrets(key).length > 0) this.#addSecret(offset, formatKeyPath([...path, key]));
    }
  }

  #checkScalar(value: string, node: Node, path: KeyPath, name: string): void {
    const telling = isSecretName(name) && looksRandom(value) && !path.includes("command");
    if (telling || findSecrets(value).length > 0) this.#addSecret(startOf(node) ?? 0, formatKeyPath(path));
  }

  /** The parser itself finds them only in the conversion, and without a place. */
  #checkAliases(): boolean {
    const dangling = this.#aliases.filter(({ name }) => !this.#anchors.has(name));
    for (const { offset } of dangling)
      this.#faults.push(this.#fault(offset, "", syntaxMessages.BAD_ALIAS ?? unreadable));
    return dangling.length === 0;
  }

  #toData(document: Document.Parsed): unknown {
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return {};
    try {
      return document.toJS({ maxAliasCount }) as unknown;
    } catch {
      // The only causes are alias bombs and aliases that hold themselves.
      // The walk goes from the end to the beginning.
      this.#faults.push(this.#fault(this.#aliases.at(-1)?.offset ?? 0, "", repetitive));
      return undefined;
    }
  }
}

function keyOf(pair: Pair): string {
  const key: unknown = isScalar(pair.key) ? pair.key.value : pair.key;
  // `stringKeys` makes every key text; one that can't be is a fault already.
  return typeof key === "string" ? key : "";
}

function startOf(node: unknown): number | undefined {
  const range = (node as { range?: [number, number, number] | null } | null | undefined)?.range;
  return range?.[0];
}

function offsetOf(document: Document.Parsed, path: KeyPath, at: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let child: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => keyOf(item) === key);
      if (pair === undefined) return offset;
      if (at === "key" && depth === path.length - 1) return startOf(pair.key) ?? offset;
      child = pair.value;
      // An empty value has no place of its own worth pointing at: its key has.
      const empty = child === null || (isScalar(child) && child.source === "");
      offset = (empty ? startOf(pair.key) : startOf(child)) ?? offset;
    } else if (isSeq(node)) {
      child = node.items[Number(key)];
      offset = startOf(child) ?? offset;
    } else return offset;
    node = child;
  }
  return offset;
}

const repetitive = say("repeats itself through aliases too often", "write the values out instead of using `*aliases`");
const unreadable = say("can't be read as YAML", "check the indentation, quotes and brackets here");

const syntaxMessages: Readonly<Partial<Record<YAMLError["code"], string>>> = {
  ALIAS_PROPS: say("an alias has a tag or an anchor", "give it to the value that the alias points to"),
  BAD_ALIAS: say(
    "an alias points to nothing, or is badly written",
    "define the anchor `&name` above, or quote the text",
  ),
  BAD_COLLECTION_TYPE: say("a tag does not fit this value", "remove the tag"),
  BAD_DIRECTIVE: say("has a directive that isn't known", "remove the line that begins with %"),
  BAD_DQ_ESCAPE: say("has an escape that isn't known", "double the backslash, or use single quotes"),
  BAD_INDENT: say("is indented wrongly", "align it with its neighbours, in spaces"),
  BAD_SCALAR_START: say("begins with a character that YAML reserves", "put the text in quotes"),
  BLOCK_AS_IMPLICIT_KEY: say("has two keys on one line", "put each on its own line, or quote text that holds a colon"),
  BLOCK_IN_FLOW: say("mixes brackets with indentation", "finish what is in brackets in the same style"),
  KEY_OVER_1024_CHARS: say("has a key that is far too long", "check for a missing colon or quote"),
  MISSING_CHAR: say("a bracket, quote, comma or colon is missing", "add it here or on the line before"),
  MULTILINE_IMPLICIT_KEY: say("has a key that spans lines", "check for a missing colon or quote"),
  MULTIPLE_DOCS: say("holds more than one document", "remove everything from the second `---` on"),
  NON_STRING_KEY: say("has a key that isn't text", "put the key in quotes"),
  RESOURCE_EXHAUSTION: say("is nested too deeply", "make it simpler"),
  TAB_AS_INDENT: say("is indented with a tab", "use spaces"),
  TAG_RESOLVE_FAILED: say("has a tag that isn't known", "remove the tag that begins with !"),
  UNEXPECTED_TOKEN: say(
    "has something here that doesn't belong",
    "check the quotes, brackets and indentation around it",
  ),
};
