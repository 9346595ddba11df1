import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { descriptorLimit, memoryLimit, Resources } from "./resources.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "sanctum-root-"));
  roots.push(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

describe("the memory that the process may have", () => {
  test("is the smallest limit of its group and those above", () => {
    const root = rootWith({
      "proc/self/cgroup": "0::/system.slice/sanctum.service\n",
      "sys/fs/cgroup/system.slice/memory.max": "536870912\n",
      "sys/fs/cgroup/system.slice/sanctum.service/memory.max": "1073741824\n",
    });
    expect(memoryLimit(root)).toBe(536_870_912);
  });

  test("is found at the top where a container hides the group's path", () => {
    const root = rootWith({ "proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/memory.max": "268435456\n" });
    expect(memoryLimit(root)).toBe(268_435_456);
  });

  test("is that of an older kernel's memory group", () => {
    const root = rootWith({
      "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
      "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "134217728\n",
    });
    expect(memoryLimit(root)).toBe(134_217_728);
  });

  test("is the machine's where nothing limits it", () => {
    const root = rootWith({ "proc/self/cgroup": "0::/x\n", "sys/fs/cgroup/x/memory.max": "max\n" });
    expect(memoryLimit(root)).toBe(totalmem());
    expect(memoryLimit(rootWith({}))).toBe(totalmem());
  });
});

test("the limit of descriptors is the soft one", () => {
  const limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096  files\n";
  expect(descriptorLimit(rootWith({ "proc/self/limits": limits }))).toBe(1_024);
  expect(descriptorLimit(rootWith({}))).toBeNull();
});

test("a loop that comes late is told once, and one that stands still as long as it does", () => {
  let now = 0;
  using resources = new Resources({ monotonic: () => now, root: rootWith({}) });
  now = 100;
  resources.tick();
  expect(resources.read().lateMs).toBe(0);
  now = 900;
  resources.tick();
  expect(resources.read().lateMs).toBe(700);
  expect(resources.read().lateMs).toBeLessThanOrEqual(0);
  now = 2_000;
  expect(resources.read().lateMs).toBe(1_000);
});
