// Every string that lives in this process's heap after a full collection, one a line: what an image of the heap shows.

export function heapStrings(): string {
  // Once more for what the first one has only made unreachable.
  for (let round = 0; round < 3; round++) Bun.gc(true);
  const { strings } = JSON.parse(Bun.generateHeapSnapshot("v8")) as { strings: readonly string[] };
  return strings.join("\n");
}
