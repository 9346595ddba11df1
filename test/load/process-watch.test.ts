import { closeSync, openSync } from "node:fs";
import { expect, test } from "bun:test";
import { descriptorsOf, ProcessWatch, slopeOf } from "./process-watch.ts";

const line = (perHour: number, noise: (at: number) => number = () => 0): { at: number; megabytes: number }[] =>
  Array.from({ length: 100 }, (_, n) => ({ at: n * 10, megabytes: 50 + (perHour * n * 10) / 3_600 + noise(n) }));

test("the slope of a straight line is its own, without an error", () => {
  const { megabytesPerHour, standardError } = slopeOf(line(12));
  expect(megabytesPerHour).toBeCloseTo(12, 6);
  expect(standardError).toBeCloseTo(0, 6);
});

test("noise leaves the slope within its error, which it makes larger", () => {
  const { megabytesPerHour, standardError } = slopeOf(line(12, (n) => (n % 2 === 0 ? 3 : -3)));
  expect(standardError).toBeGreaterThan(1);
  expect(Math.abs(megabytesPerHour - 12)).toBeLessThan(2 * standardError);
});

test("two samples have no slope", () => {
  expect(slopeOf(line(12).slice(0, 2)).standardError).toBe(Infinity);
});

test("a file that this process opens is one descriptor more, under its path", () => {
  const before = descriptorsOf(process.pid).filter((name) => name === import.meta.path).length;
  const fd = openSync(import.meta.path, "r");
  expect(descriptorsOf(process.pid).filter((name) => name === import.meta.path).length).toBe(before + 1);
  closeSync(fd);
});

test("a sample says how many requests are open, and what the process has", () => {
  const watch = new ProcessWatch(process.pid, 1e9, () => 7);
  watch.stop();
  expect(watch.samples).toEqual([
    {
      at: expect.any(Number),
      megabytes: expect.any(Number),
      descriptors: expect.any(Number),
      cpuSeconds: expect.any(Number),
      open: 7,
    },
  ]);
  expect(watch.samples[0]!.megabytes).toBeGreaterThan(10);
});
