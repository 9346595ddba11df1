// The check in a process of its own: YAML parser and schema take some 20 MB, which a daemon that idles for days on 45 MB should
// not keep for a file that changes once a week. Run as a program it answers one request on its standard input.

import { bareName } from "../catalogue/index.ts";
import { checkConfig } from "./check.ts";

/** Reads `{ text, file }` as JSON and writes what `checkConfig` says of it. Rejects where the input is none. */
export async function answerCheck(): Promise<void> {
  const request = JSON.parse(await Bun.stdin.text()) as { text: string; file: string };
  await Bun.write(Bun.stdout, JSON.stringify(checkConfig(request.text, request.file, { isKnownModel })));
}

/** Names that the price catalogue knows without their provider, such as `mistral-large`. */
export function isKnownModel(name: string): boolean {
  return bareName(name).length > 0;
}

// In a bundle every module is the main one: the path tells them apart.
if (import.meta.main && import.meta.path.endsWith("check-apart.ts")) await answerCheck();
