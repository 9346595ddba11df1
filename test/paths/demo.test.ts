import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { scenes } from "../../src/cli/demo/scenes.ts";

setDefaultTimeout(30_000);

const root = fileURLToPath(new URL("../..", import.meta.url));

/** `sanctum demo`, as a newcomer runs it. */
async function demo(
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; out: string; err: string; left: string[] }> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-test-"));
  const child = Bun.spawn(["sh", join(root, "bin/sanctum"), "demo"], {
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: home, TMPDIR: home, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const left = readdirSync(home).filter((name) => name.startsWith("sanctum"));
  rmSync(home, { recursive: true, force: true });
  return { code, out, err, left };
}

test("the demo shows every scene with its way, its money and its lesson, and leaves nothing behind", async () => {
  const { code, out, err, left } = await demo();
  expect([code, err]).toEqual([0, ""]);
  scenes.forEach((scene, i) => {
    expect(out).toContain(`${i + 1}. ${scene.agent}, ${scene.client}: `);
    expect(out).toContain(scene.lesson);
  });
  const ways = [...out.matchAll(/^ {3}way {4}(.*)$/gm)].map((match) => match[1]);
  expect(ways).toEqual([
    "anthropic/claude-sonnet-4-5 ok",
    "anthropic/claude-sonnet-4-5 taken_over → coder-14b ok",
    "anthropic/claude-sonnet-4-5 upstream_429 → coder-14b ok",
    expect.stringMatching(/^openai\/gpt-4\.1 cut_stream → .*ok$/),
    expect.stringMatching(/^openai\/gpt-4\.1 timeout_first_byte → .*ok$/),
    "openrouter/openai/gpt-4.1 ok",
    "openrouter/openai/gpt-4.1 skipped_budget → coder-14b ok",
    "refused_identity",
  ]);
  expect(out).toContain("no agent's token");
  expect(out).toContain("8 requests, 8 lines; the hash chain verifies");
  expect(left).toEqual([]);
  // Plain text where no terminal reads it.
  expect(out).not.toContain("\u001b");
});

test("the demo needs no network: a proxy of the environment is not asked", async () => {
  const nobody = "http://127.0.0.1:1";
  const { code, out } = await demo({ HTTP_PROXY: nobody, http_proxy: nobody, HTTPS_PROXY: nobody, ALL_PROXY: nobody });
  expect(code).toBe(0);
  expect(out).toContain("the hash chain verifies");
});
