// Every key of config.yaml, read from the JSON Schema.

import { durationPattern, sizePattern } from "../../src/config/quantities.ts";

export interface ConfigKey {
  /** E.g. `agents.NAME.daily_usd`, `routes[].when.has.tools`. */
  readonly path: string;
  /** In words, for the table. */
  readonly type: string;
  /** The schema's own sentence. */
  readonly about: string;
  /** Its section is nothing without it. */
  readonly required: boolean;
}

type Node = Readonly<Record<string, unknown>>;

/** What stands for the names that a user chooses. */
const placeholders: Readonly<Record<string, string>> = {
  agents: "NAME",
  providers: "NAME",
  models: "ALIAS",
  "providers.NAME.headers": "HEADER",
};

const pathPattern = "^[^\\0]{1,4096}$";

/** In the schema's order, each section before its members. */
export function configKeys(schema: Node): readonly ConfigKey[] {
  return membersOf(schema, "");
}

function membersOf(node: Node, path: string): ConfigKey[] {
  const properties = asNode(node["properties"]);
  const required = Array.isArray(node["required"]) ? node["required"] : [];
  return Object.entries(properties).flatMap(([name, property]) => {
    const own = path === "" ? name : `${path}.${name}`;
    return keysAt(asNode(property), own, required.includes(name));
  });
}

function keysAt(property: Node, path: string, required: boolean): ConfigKey[] {
  const forms = formsOf(property);
  const about = [property, ...forms].map((form) => form["description"]).find((text) => typeof text === "string");
  const key = { path, type: typeOf(property), about: typeof about === "string" ? about : "", required };
  return [key, ...forms.flatMap((form) => inside(form, path))];
}

function inside(form: Node, path: string): ConfigKey[] {
  if (form["properties"] !== undefined) return membersOf(form, path);
  if (form["type"] === "array") return formsOf(asNode(form["items"])).flatMap((item) => membersOf(item, `${path}[]`));
  const placeholder = placeholders[path];
  if (placeholder === undefined) return [];
  return keysAt(asNode(form["additionalProperties"]), `${path}.${placeholder}`, false);
}

/** The alternatives, without the empty one: a section may be left empty. */
function formsOf(node: Node): Node[] {
  const forms = Array.isArray(node["anyOf"]) ? node["anyOf"].map(asNode) : [node];
  return forms.filter((form) => form["type"] !== "null");
}

function typeOf(node: Node): string {
  const forms = formsOf(node);
  const types = forms.map((form) => form["type"]);
  if (types.length === 2 && types.includes("number") && types.includes("string")) return "USD";
  return forms.map(typeOfForm).join(" or ");
}

function typeOfForm(form: Node): string {
  if (Array.isArray(form["enum"])) return form["enum"].map((value) => `\`${String(value)}\``).join(", ");
  if (form["type"] === "integer") return `whole number, ${range(form)}`;
  if (form["type"] === "number") return `number, ${range(form)}`;
  if (form["type"] === "boolean") return "`true`, `false`";
  if (form["type"] === "array") return `list of ${typeOf(asNode(form["items"]))}`;
  if (form["type"] === "object") return form["properties"] === undefined ? "map" : "section";
  return typeOfText(form["pattern"]);
}

function typeOfText(pattern: unknown): string {
  if (pattern === durationPattern.source) return "duration";
  if (pattern === sizePattern.source) return "size";
  return pattern === pathPattern ? "path" : "text";
}

function range(form: Node): string {
  return `${grouped(form["minimum"])} to ${grouped(form["maximum"])}`;
}

function grouped(value: unknown): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

function asNode(value: unknown): Node {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Node) : {};
}
