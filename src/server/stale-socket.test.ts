import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeStaleSocket } from "./stale-socket.ts";

test("a socket that a killed process left is removed; one that is answered on, and a file, stay", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-socket-"));
  try {
    const [left, live, file] = ["left.sock", "live.sock", "file"].map((name) => join(folder, name));
    const listening =
      "setInterval(() => {}, 1e6); Bun.listen({ unix: process.argv[1], socket: { data() {} } }); console.log(1)";
    const child = Bun.spawn([process.execPath, "-e", listening, left!], { stdout: "pipe", stderr: "inherit" });
    await child.stdout.getReader().read();
    child.kill("SIGKILL");
    await child.exited;
    expect(existsSync(left!)).toBe(true);
    await removeStaleSocket(left!);
    expect(existsSync(left!)).toBe(false);

    using server = Bun.listen({ unix: live!, socket: { data: () => undefined } });
    await removeStaleSocket(live!);
    expect(existsSync(live!)).toBe(true);
    server.stop(true);

    writeFileSync(file!, "kept");
    await removeStaleSocket(file!);
    expect(existsSync(file!)).toBe(true);
    await removeStaleSocket(join(folder, "absent"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
