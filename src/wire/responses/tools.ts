// Tools of the Responses dialect and the names they take elsewhere. Namespaces are flattened and custom tools become
// functions with one text argument; `NeutralTool` keeps what is needed to answer in the client's own names.

import { GatewayError } from "../../errors.ts";
import type { Json, JsonObject, NeutralRequest, NeutralTool, NeutralToolChoice } from "../neutral.ts";
import { arrayAt, booleanAt, isObject, objectAt, stringAt } from "./json-fields.ts";

/** What every vendor takes: Anthropic 128 characters, OpenAI 64, both of this alphabet. */
const plainName = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_NAME = 64;

/** The tools of one request, and the name each has in the neutral form. */
export class ToolBook {
  readonly tools: NeutralTool[] = [];
  readonly #byClientName = new Map<string, NeutralTool>();
  readonly #taken = new Set<string>();
  /** Name → the last number that was put behind it. */
  readonly #clashes = new Map<string, number>();

  /** Adds what `tools`, `additional_tools` or `tool_search_output` offer. Hosted tools are left out. */
  addAll(offered: readonly Json[], namespace?: string): void {
    for (const tool of offered) {
      if (isObject(tool)) this.#add(tool, namespace);
    }
  }

  /** The neutral name of a tool as the client calls it; tools that are no longer offered are renamed the same way. */
  nameOf(namespace: string | undefined, name: string): string {
    return this.#byClientName.get(clientKey(namespace, name))?.name ?? fitName(namespace, name);
  }

  find(namespace: string | undefined, name: string): NeutralTool | undefined {
    return this.#byClientName.get(clientKey(namespace, name));
  }

  #add(tool: JsonObject, namespace: string | undefined): void {
    const type = tool["type"];
    const name = stringAt(tool, "name");
    if (type === "namespace" && name !== undefined) this.addAll(arrayAt(tool, "tools"), name);
    else if (type === "function" || type === "custom") this.#addCallable(tool, type, name, namespace);
  }

  #addCallable(tool: JsonObject, form: "function" | "custom", name: string | undefined, namespace?: string): void {
    if (name === undefined || name === "") {
      throw new GatewayError("REQUEST_INVALID", { publicMessage: "tools: a tool has no name; give each one a name." });
    }
    const key = clientKey(namespace, name);
    if (this.#byClientName.has(key)) return;
    const wireName = this.#free(fitName(namespace, name));
    const neutral: NeutralTool = {
      name: wireName,
      description: form === "custom" ? describeCustom(tool) : stringAt(tool, "description"),
      schema: form === "custom" ? customSchema() : objectSchema(objectAt(tool, "parameters")),
      strict: form === "custom" ? undefined : booleanAt(tool, "strict"),
      form,
      namespace,
    };
    if (wireName !== name) neutral.clientName = name;
    this.#byClientName.set(key, neutral);
    this.#taken.add(wireName);
    this.tools.push(neutral);
  }

  /** The count goes on where the last clash of the name left it: crafted clashes cost no more than others. */
  #free(name: string): string {
    let free = name;
    let n = this.#clashes.get(name) ?? 1;
    while (this.#taken.has(free)) {
      n++;
      free = `${name.slice(0, MAX_NAME - 1 - String(n).length)}_${n}`;
    }
    if (n > 1) this.#clashes.set(name, n);
    return free;
  }
}

/** How a call is named towards the client. */
export interface ClientCall {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly form: "function" | "custom";
}

/**
 * The client's own name of a tool that a model called. Codex answers "unsupported call" to a flattened name and "aborted"
 * to a custom tool called as a function. `form` is what the upstream said, for a tool that nobody offered.
 */
export function clientCall(request: NeutralRequest, name: string, form: "function" | "custom"): ClientCall {
  const tool = request.tools.find((tool) => tool.name === name) ?? onlyTool(request.tools, name);
  if (tool === undefined) return { name, namespace: undefined, form };
  return { name: tool.clientName ?? tool.name, namespace: tool.namespace, form: tool.form };
}

/** `tool_choice`, applied to the tools offered: `allowed_tools` shortens the list. */
export function toolChoiceToNeutral(
  choice: Json | undefined,
  book: ToolBook,
): { choice: NeutralToolChoice | undefined; tools: NeutralTool[] } {
  const { tools } = book;
  if (choice === "auto" || choice === "none" || choice === "required") return { choice: { type: choice }, tools };
  if (!isObject(choice)) return { choice: undefined, tools };
  if (choice["type"] === "allowed_tools") {
    const allowed = arrayAt(choice, "tools").map((entry) => named(entry, book));
    const rest = tools.filter((tool) => allowed.includes(tool));
    return { choice: { type: choice["mode"] === "required" ? "required" : "auto" }, tools: rest };
  }
  // A hosted tool cannot be forced where it is not offered: the model chooses.
  const tool = choice["type"] === "function" || choice["type"] === "custom" ? named(choice, book) : undefined;
  return { choice: tool === undefined ? { type: "auto" } : { type: "tool", name: tool.name }, tools };
}

/** Arguments of a custom tool's call in the neutral form. */
export function customInput(text: string): JsonObject {
  return { input: text };
}

/**
 * The free text of a custom tool's call, from the arguments that a model wrote: mostly `{"input": "…"}`, sometimes under
 * a name of its own, sometimes the bare text.
 */
export function customText(raw: string, parsed: Json | undefined): string {
  return (freeText(parsed) ?? raw).toWellFormed();
}

function freeText(parsed: Json | undefined): string | undefined {
  if (typeof parsed === "string") return parsed;
  if (!isObject(parsed)) return undefined;
  const input = parsed["input"];
  if (typeof input === "string") return input;
  const values = Object.values(parsed);
  return values.length === 1 && typeof values[0] === "string" ? values[0] : undefined;
}

/** The arguments of a function call as an object; what is no object is wrapped, so that the model is shown its mistake. */
export function argumentsObject(raw: string, parsed: Json | undefined): JsonObject {
  if (isObject(parsed)) return parsed;
  return raw.trim() === "" ? {} : { input: raw };
}

/** Models sometimes call a namespaced tool by its short name. */
function onlyTool(tools: readonly NeutralTool[], clientName: string): NeutralTool | undefined {
  const matches = tools.filter((tool) => tool.clientName === clientName);
  return matches.length === 1 ? matches[0] : undefined;
}

function named(entry: Json, book: ToolBook): NeutralTool | undefined {
  if (!isObject(entry)) return undefined;
  return book.find(stringAt(entry, "namespace"), stringAt(entry, "name") ?? "");
}

function clientKey(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}\u0000${name}`;
}

/** A pure function of the client's name, so that a tool keeps its name from turn to turn (and prompt caches hold). */
function fitName(namespace: string | undefined, name: string): string {
  const full = namespace === undefined ? name : `${namespace}__${name}`;
  if (plainName.test(full)) return full;
  const legal = full.slice(0, MAX_NAME - 9).replace(/[^A-Za-z0-9_-]/g, "_");
  return `${legal}_${fingerprint(full)}`;
}

/** A call's id as OpenAI takes it, which counts its characters. The same id always becomes the same one. */
export function fitCallId(id: string, most = MAX_NAME): string {
  return id.length <= most ? id : `${id.slice(0, most - 9).toWellFormed()}_${fingerprint(id)}`;
}

/** FNV-1a, 32 bits, as eight hex digits: tells names apart, keeps no secret. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function customSchema(): JsonObject {
  return {
    type: "object",
    properties: { input: { type: "string", description: "The tool's whole input, as free text." } },
    required: ["input"],
    additionalProperties: false,
  };
}

/** A grammar cannot be enforced elsewhere, so the model is at least told. */
function describeCustom(tool: JsonObject): string | undefined {
  const description = stringAt(tool, "description");
  const format = objectAt(tool, "format");
  const definition = format === undefined ? undefined : stringAt(format, "definition");
  if (format === undefined || definition === undefined) return description;
  const rule = `The input must match this ${stringAt(format, "syntax") ?? "formal"} grammar:\n${definition}`;
  return description === undefined ? rule : `${description}\n\n${rule}`;
}

/** Some servers refuse an object schema without `properties`. */
function objectSchema(parameters: JsonObject | undefined): JsonObject {
  if (parameters?.["type"] === "object" && parameters["properties"] !== undefined) return parameters;
  return { properties: {}, ...parameters, type: "object" };
}
