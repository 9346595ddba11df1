import { expect, test } from "bun:test";
import { memoryFiles } from "../test/fakes/memory-files.ts";
import { giveInput } from "./child-input.ts";

async function echo(input: Uint8Array, program = "cat"): Promise<{ text: string; code: number }> {
  await using child = Bun.spawn(["sh", "-c", program], { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  giveInput(child.stdin, input);
  const text = await child.stdout.text();
  return { text, code: await child.exited };
}

test("a child gets all of its input and its end, also more than a pipe holds", async () => {
  for (const text of ["", "a", "ä".repeat(1_000_000)]) {
    expect(await echo(Buffer.from(text))).toEqual({ text, code: 0 });
  }
});

test("no file in memory keeps what the child was given", async () => {
  const before = memoryFiles();
  for (let round = 0; round < 3; round++) await echo(Buffer.from("a passphrase"));
  expect(memoryFiles()).toEqual(before);
});

test("a child that does not read ends by its own code", async () => {
  for (const size of [10, 1_000_000]) expect((await echo(Buffer.alloc(size), "exit 3")).code).toBe(3);
  expect((await echo(Buffer.alloc(1_000_000), "exec <&-; sleep 0.05; exit 4")).code).toBe(4);
});
