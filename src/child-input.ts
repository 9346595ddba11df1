import type { FileSink } from "bun";

/**
 * Gives a child all of its standard input, by a pipe. A buffer that is handed to `Bun.spawn` becomes a file in memory,
 * which stays open, with all that is in it, until the garbage collector finds the child. A child that ends without reading
 * says so by its exit code.
 */
export function giveInput(stdin: FileSink, input: Uint8Array): void {
  const ignore = (): undefined => undefined;
  // Both may throw at once or reject later, as the other end is there or gone.
  try {
    Promise.resolve(stdin.write(input)).catch(ignore);
    Promise.resolve(stdin.end()).catch(ignore);
  } catch {
    // It is gone.
  }
}
