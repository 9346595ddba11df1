import { createHash } from "node:crypto";
import type { Candidate } from "../request.ts";

/**
 * Names an upstream account and model without telling them: what one of them has signed, it alone can check. The client
 * gets to see it, and is not told who answers.
 */
export function originOf({ provider, model }: Candidate): string {
  return createHash("sha256").update(`${provider.name}\n${provider.url}\n${model}`).digest("hex").slice(0, 16);
}
