/** prctl(2): whether a process can leave a core dump, and whether others of its user may look into it. */
const PR_SET_DUMPABLE = 4;

/**
 * Linux: from here on the kernel lets no other program of the same user read this process's memory or environment, or trace
 * it (ptrace(2), "Ptrace access mode checking"), and writes no core dump of it, to a file or to a pipe. It ends with the next
 * `execve`, so that a re-executed process asks again and children are as they always are. False: this system has nothing of
 * the kind, or refused. Never throws.
 */
export async function refuseTracing(): Promise<boolean> {
  if (process.platform !== "linux") return false;
  try {
    const { dlopen } = await import("bun:ffi");
    const number = "u64" as const;
    const libc = dlopen("libc.so.6", { prctl: { args: ["int", number, number, number, number], returns: "int" } });
    return libc.symbols.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0;
  } catch {
    // Another C library, or memory that may not be made executable: everything else works as well without.
    return false;
  }
}
