import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/harness.ts";

test("a child of the program that this process was before leaves no entry behind", async () => {
  const module = JSON.stringify(join(import.meta.dir, "reap.ts"));
  const after = `const { reapLater } = await import(${module}); reapLater(Number(process.argv[1])); setInterval(() => {}, 1e6);`;
  const before = `
    const child = Bun.spawn(["sleep", "0.1"]);
    console.log(child.pid);
    process.execve(process.execPath, [process.execPath, "-e", ${JSON.stringify(after)}, String(child.pid)], process.env);`;
  const host = Bun.spawn([process.execPath, "-e", before], { stdout: "pipe", stderr: "inherit" });
  try {
    const { value } = await host.stdout.getReader().read();
    const child = Number(new TextDecoder().decode(value));
    await eventually(() => expect(stateOf(child)).toBeNull(), 10_000);
    expect(stateOf(host.pid)).not.toBeNull();
  } finally {
    host.kill("SIGKILL");
  }
});

/** proc_pid_stat(5); null: there is no such process. */
function stateOf(pid: number): string | null {
  try {
    return /^\d+ \(.*\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1] ?? null;
  } catch {
    return null;
  }
}
