import { readdirSync, readlinkSync } from "node:fs";

/** Files in memory that this process holds open; none where there is no /proc. */
export function memoryFiles(): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`);
      return target.includes("memfd") ? [target] : [];
    } catch {
      return []; // The listing's own.
    }
  });
}
