// The JSON Schema of config.yaml for editors. Development only: nothing that runs imports this file.

import { toJsonSchema as convert } from "@valibot/to-json-schema";

import { configSchema } from "./schema.ts";

type SchemaNode = { [key: string]: unknown };

/** What `docs/reference/config.schema.json` holds. Semantic rules (units in range, names that exist) are left to `sanctum check`. */
export function toJsonSchema(): SchemaNode {
  const schema = convert(configSchema, {
    errorMode: "ignore",
    overrideAction: ({ valibotAction, jsonSchema }) =>
      // The check for unknown keys.
      valibotAction.type === "raw_check" && jsonSchema.type === "object"
        ? { ...jsonSchema, additionalProperties: false }
        : undefined,
  });
  return { ...schema, title: "Sanctum Cloud Proxy" };
}
