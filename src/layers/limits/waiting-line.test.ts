import { expect, test } from "bun:test";
import { WaitingLine } from "./waiting-line.ts";

interface One {
  readonly name: string;
  readonly place: number;
}

function lineOf(...ones: readonly One[]): WaitingLine<One> {
  const line = new WaitingLine<One>();
  for (const one of ones) line.join(one);
  return line;
}

const names = (ones: Iterable<One>): string => [...ones].map(({ name }) => name).join("");

test("who has the smaller place stands before, and equals as they came", () => {
  const line = lineOf(
    { name: "a", place: 2 },
    { name: "b", place: 1 },
    { name: "c", place: 2 },
    { name: "d", place: 1 },
  );
  expect(names(line.inOrder())).toBe("bdac");
  expect(names(line.ahead(1))).toBe("bd");
  expect(names(line.ahead(0.5))).toBe("");
});

test("who leaves is gone, once", () => {
  const a = { name: "a", place: 1 };
  const line = lineOf(a, { name: "b", place: 1 });
  expect([line.leave(a), line.leave(a), line.length]).toEqual([true, false, 1]);
});

test("a walk through the line is not disturbed by those who leave meanwhile", () => {
  const line = lineOf({ name: "a", place: 1 }, { name: "b", place: 2 }, { name: "c", place: 3 });
  let seen = "";
  for (const one of line.inOrder()) {
    seen += one.name;
    line.leave(one);
  }
  expect([seen, line.length]).toEqual(["abc", 0]);
});
