// Everything that a gateway leaves behind or shows, as texts and bytes to be searched.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

export interface Artefact {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** Every file under the folder: configuration, trail and rotated trails, ledger with its log, temporary files. */
export function filesUnder(folder: string): Artefact[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ name: relative(folder, path), content: readFileSync(path) }));
}

/** What every user of the machine can see of a process, and of the processes that it has started, as long as they run. */
export function processFacts(pid: number): Artefact[] {
  const facts: Artefact[] = [];
  for (const one of [pid, ...childrenOf(pid)]) {
    for (const file of ["environ", "cmdline"]) {
      try {
        facts.push({
          name: `${file} of ${one === pid ? "the process" : "a child"}`,
          content: readFileSync(`/proc/${one}/${file}`),
        });
      } catch {
        // It has ended.
      }
    }
  }
  return facts;
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** Pages, whatever their status; of one that never ends the first piece. */
export async function pagesOf(url: string, paths: readonly string[]): Promise<Artefact[]> {
  const pages: Artefact[] = [];
  for (const path of paths) {
    const response = await fetch(url + path);
    const reader = response.body?.getReader();
    const endless = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    const pieces: Uint8Array[] = [];
    for (;;) {
      const piece = await reader?.read();
      if (piece?.value !== undefined) pieces.push(piece.value);
      if (piece === undefined || piece.done || endless) break;
    }
    await reader?.cancel();
    pages.push({ name: `headers of ${path}`, content: headersText(response.headers) });
    pages.push({ name: path, content: Buffer.concat(pieces) });
  }
  return pages;
}

/** A header a line, its value as it came. */
export function headersText(headers: Headers): string {
  let text = "";
  for (const [name, value] of headers) text += `${name}: ${value}\n`;
  return text;
}
