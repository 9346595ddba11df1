import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditFiles } from "./segments.ts";
import { verifyAudit } from "./verify.ts";

test("kill -9 in the middle of the load loses no line that was out, and the chain goes on through it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-crash-"));
  try {
    const path = join(folder, "audit.jsonl");
    const promised: string[] = [];
    for (let run = 0; run < 4; run++) promised.push(...(await runAndKill(path, `run${run}`, 300 + run * 37)));
    const files = auditFiles(path);
    expect(files.length).toBeGreaterThan(1);
    // The last run may have died within a write; the next start would move that torn line aside.
    const result = await verifyAudit(files);
    expect([null, "torn"]).toContain(result.broken?.rule ?? null);
    const written = new Set<string>();
    for (const file of files) {
      for (const [, id] of readFileSync(file, "utf8").matchAll(/"id":"([^"]+)"/g)) written.add(id!);
    }
    expect(promised.length).toBeGreaterThan(1_000);
    expect(promised.filter((id) => !written.has(id))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 30_000);

/** Kills the writer when it has reported `count` ids; returns all that it has reported. */
async function runAndKill(path: string, run: string, count: number): Promise<string[]> {
  const writer = spawn(process.execPath, [join(import.meta.dir, "crash-writer.ts"), path, run], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  writer.stdout.setEncoding("utf8");
  writer.stdout.on("data", (chunk: string) => {
    text += chunk;
    if (text.split("\n").length > count) writer.kill("SIGKILL");
  });
  await once(writer, "close");
  // What follows the last newline was cut off by the kill.
  return text.slice(0, text.lastIndexOf("\n")).split("\n");
}
