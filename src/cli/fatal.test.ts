import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { fatalText } from "./fatal.ts";

test("what is told of an unforeseen error is where it came from, never what it says", () => {
  const error = Object.assign(new TypeError("the prompt and sk-ant-secret"), { code: "ERR_INVALID_URL" });
  const text = fatalText(error);
  expect(text).toStartWith("fatal: TypeError ERR_INVALID_URL; the gateway ends\n");
  expect(text).toContain("fatal.test.ts");
  expect(text).not.toMatch(/prompt|sk-ant/);
  expect(fatalText("sk-ant-secret")).toBe("fatal: string was thrown");
  expect(fatalText(Object.assign(new Error("x"), { name: "sk-ant secret", code: "sk-ant" }))).not.toContain("sk-ant");
});

describe("what nobody has caught", () => {
  for (const [what, fault] of [
    ["thrown in a timer", "setTimeout(() => { throw new Error('sk-ant-secret'); }, 1)"],
    ["a rejection that nobody caught", "void Promise.reject(new Error('sk-ant-secret'))"],
  ] as const) {
    test(`${what} ends the process with 1 and one report`, async () => {
      const module = JSON.stringify(join(import.meta.dir, "fatal.ts"));
      const script = `const { endOnFatal } = await import(${module});
      endOnFatal((line) => console.error(line)); setInterval(() => {}, 1e6); ${fault};`;
      const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
      const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      expect(await child.exited).toBe(1);
      expect(err.match(/fatal: Error/g)).toHaveLength(1);
      expect(out + err).not.toContain("sk-ant");
    });
  }
});
