// Tool names. Some vendors take 64 characters of `[A-Za-z0-9_-]` and nothing else; clients send more. A name that does
// not fit is replaced on the way in and restored on the way back (wire.md A42).

import type { NeutralRequest, NeutralTool } from "../neutral.ts";

const fitting = /^[A-Za-z0-9_-]{1,64}$/;

/** The name itself where every dialect takes it, else one made of it, always the same for the same name. */
export function fitToolName(name: string): string {
  if (fitting.test(name)) return name;
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  const readable = name.slice(0, 55).replaceAll(/[^A-Za-z0-9_-]/g, "_");
  return `${readable}_${hash.toString(16).padStart(8, "0")}`;
}

/** What the client calls a tool that the upstream has called. */
export interface ClientTool {
  readonly name: string;
  readonly form: "function" | "custom";
}

/** Finds the client's own tool by the name that the upstream used; an unknown name stays as it is. */
export function clientToolOf(request: NeutralRequest, name: string): ClientTool {
  // Calls are few and lists are short: a search costs less than a map for every answer.
  const tool: NeutralTool | undefined = request.tools.find((candidate) => candidate.name === name);
  return tool === undefined ? { name, form: "function" } : { name: tool.clientName ?? tool.name, form: tool.form };
}
