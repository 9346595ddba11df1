import { expect, test } from "bun:test";
import { join } from "node:path";

import { toJsonSchema } from "./json-schema.ts";

type Node = { [key: string]: unknown };

/** The schema of a key path; `*` is any name of a map or any member of a list. */
function at(schema: Node, path: string): Node {
  let node = schema;
  for (const key of path.split(".")) {
    const forms = Array.isArray(node["anyOf"]) ? (node["anyOf"] as Node[]) : [node];
    node = forms.find((form) => form["type"] === "object" || form["type"] === "array") ?? node;
    const properties = node["properties"] as Node | undefined;
    node = (key === "*" ? (node["items"] ?? node["additionalProperties"]) : properties?.[key]) as Node;
  }
  return node;
}

test("the schema of editors knows every key, its kind and its limits", () => {
  const schema = toJsonSchema();
  expect(at(schema, "providers.*.timeouts.first_byte")).toMatchObject({ type: "string" });
  expect(at(schema, "agents.*.over_budget")).toMatchObject({ enum: ["local", "refuse"] });
  expect(at(schema, "agents.*.requests_per_minute")).toMatchObject({ type: "integer", minimum: 1 });
  expect(at(schema, "routes.*.when.has.tools")).toMatchObject({ type: "boolean" });
  expect(at(schema, "models.*.price.input")).toMatchObject({ type: "number", minimum: 0 });
  expect(at(schema, "audit.rotate.size")).toHaveProperty("pattern");
});

test("the schema of editors refuses unknown keys in every map", () => {
  let maps = 0;
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { properties, additionalProperties } = node as Node;
    if (properties !== undefined) {
      maps++;
      expect(additionalProperties).toBe(false);
    }
    for (const child of Object.values(node)) visit(child);
  };
  visit(toJsonSchema());
  expect(maps).toBeGreaterThan(15);
});

test("what runs does not reach the development dependency", async () => {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "index.ts")],
    target: "bun",
    external: ["yaml", "valibot"],
  });
  expect(built.success).toBe(true);
  expect(await built.outputs[0]!.text()).not.toContain("to-json-schema");
});
