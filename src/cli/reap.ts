import { dlopen } from "bun:ffi";

/** waitpid(2). */
const WNOHANG = 1;
const everyMs = 1_000;

/**
 * Takes note of the end of a process that the program which this one was before has started: its entry in the process table
 * would stay until this one ends. Does nothing for one that is no child of ours.
 */
export function reapLater(pid: number): void {
  if (process.platform === "win32") return;
  try {
    const library = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";
    const libc = dlopen(library, { waitpid: { args: ["int", "ptr", "int"], returns: "int" } });
    const timer = setInterval(() => {
      if (libc.symbols.waitpid(pid, null, WNOHANG) !== 0) clearInterval(timer);
    }, everyMs);
    timer.unref();
  } catch {
    // One entry more in the process table.
  }
}
