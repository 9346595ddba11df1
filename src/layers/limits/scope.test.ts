import { expect, test } from "bun:test";
import { Scope, type Sent, type Wait } from "./scope.ts";

const need = { inputTokens: 700, outputTokens: 100 };
const nobody = { requests: 0, input: 0, output: 0 };

function send(scope: Scope, nowMs = 0): Sent {
  const [input, output] = [scope.likelyInput(need), scope.likelyOutput(need)];
  const attempt = scope.send(input, output, null, nowMs);
  const sent: Sent = {
    attempt,
    input,
    output,
    sentInput: scope.sentInput,
    sentTokens: scope.sentTokens,
    startedMs: nowMs,
    before: null,
    after: null,
    answered: false,
    overtakenBy: 0,
  };
  scope.sent(sent);
  return sent;
}

function wait(scope: Scope, hopes: boolean, nowMs = 0): Wait {
  const longest: Wait = { kind: "requests", ms: 0 };
  scope.waitMs({ input: 200, output: 50 }, nobody, null, hopes, nowMs, longest);
  return longest;
}

const told = (remaining: number): Headers =>
  new Headers({ "x-ratelimit-limit": "10", "x-ratelimit-remaining": `${remaining}`, "x-ratelimit-reset": "30" });

test("prompts and answers count by what the last ones turned into, never by more than was asked for", () => {
  const scope = new Scope(undefined);
  expect([scope.likelyInput(need), scope.likelyOutput(need)]).toEqual([200, 50]);
  for (let i = 0; i < 200; i++) scope.settle(send(scope), need, { inputTokens: 9_999, outputTokens: 10 });
  expect(scope.likelyInput(need)).toBe(700);
  expect(scope.likelyOutput(need)).toBeLessThanOrEqual(12);
});

test("usage that is no number teaches nothing", () => {
  const scope = new Scope(undefined);
  for (const inputTokens of [Number.NaN, -1, Infinity]) {
    scope.settle(send(scope), need, { inputTokens, outputTokens: Number.NaN });
  }
  expect([scope.likelyInput(need), scope.likelyOutput(need)]).toEqual([200, 50]);
});

test("what was sent just before and is not answered is taken for used, and hoped to be left when it comes to waiting", () => {
  const scope = new Scope(undefined);
  const others = [send(scope), send(scope), send(scope)];
  const last = send(scope);
  scope.learn(last, told(3), undefined, 0, 0);
  expect([wait(scope, false).ms, wait(scope, true).ms]).toEqual([30_000, 0]);
  scope.learn(others[0]!, told(5), undefined, 0, 0);
  expect(wait(scope, false).ms).toBe(0);
  scope.learn(others[1]!, told(2), undefined, 0, 0);
  expect(scope.told.requests?.status(0)?.remaining).toBe(1);
});

test("what was sent long before an answer's question is known to it", () => {
  const scope = new Scope(undefined);
  send(scope);
  const last = send(scope, 501);
  scope.learn(last, told(3), undefined, 0, 600);
  expect(scope.told.requests?.status(600)?.remaining).toBe(3);
});

test("attempts that end without an answer leave no trace among those that wait for one", () => {
  const scope = new Scope(undefined);
  const [a, b, c] = [send(scope), send(scope), send(scope)];
  scope.settle(b, need, null);
  scope.takeBack(a);
  scope.learn(c, told(3), undefined, 0, 0);
  expect(scope.told.requests?.status(0)?.remaining).toBe(3);
  expect([a.before, a.after, b.before, b.after, scope.users]).toEqual([null, null, null, null, 1]);
});

test("after sixteen the first answer is waited for, a moment", () => {
  const scope = new Scope(undefined);
  const sent = Array.from({ length: 15 }, () => send(scope, 100));
  expect(scope.unknowingMs(100)).toBe(0);
  sent.push(send(scope, 100));
  expect([scope.unknowingMs(100), scope.unknowingMs(1_599), scope.unknowingMs(1_600)]).toEqual([1_500, 1, 0]);
  scope.settle(sent[0]!, need, null);
  expect(scope.unknowingMs(100)).toBe(0);
  send(scope, 100);
  scope.learn(sent[1]!, new Headers(), undefined, 0, 100);
  expect([scope.unknowingMs(100), scope.limited]).toEqual([0, false]);
});
