import { expect, test } from "bun:test";
import { deserialize, serialize } from "node:v8";
import { inspect } from "node:util";
import { Secret } from "./secret.ts";

const value = "sk-ant-api03-a-secret-of-this-test";

/** Everything that turns a value into text or bytes without being asked for the secret by name. */
const ways: readonly (readonly [string, (secret: Secret) => unknown])[] = [
  ["String", (secret) => String(secret)],
  ["a template", (secret) => `a ${secret as unknown as string}`],
  ["concatenation", (secret) => "" + (secret as unknown as string)],
  ["JSON.stringify", (secret) => JSON.stringify({ secret, list: [secret] })],
  ["util.inspect", (secret) => inspect({ secret }, { showHidden: true, depth: 9, getters: true })],
  ["Bun.inspect", (secret) => Bun.inspect({ secret }, { depth: 9 })],
  ["Bun.inspect of itself", (secret) => Bun.inspect(secret)],
  ["an error's properties", (secret) => Bun.inspect(Object.assign(new Error("x"), { secret, cause: secret }))],
  [
    "the properties",
    (secret) => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret), Object.assign({}, secret)]),
  ],
  ["structuredClone", (secret) => Bun.inspect(structuredClone({ secret }))],
  ["v8.serialize", (secret) => serialize({ secret }).toString("latin1")],
  ["v8.deserialize", (secret) => Bun.inspect(deserialize(serialize({ secret })))],
  ["Object.groupBy", (secret) => Bun.inspect(Object.groupBy([secret], String))],
];

test.each(ways)("a secret does not tell itself by %s", (_way, tell) => {
  const told = tell(Secret.fromString(value));
  expect(String(told)).not.toContain("secret-of-this-test");
  expect(String(told)).not.toContain("115,107,45,97");
});

test("a secret does not tell itself to a message port", async () => {
  const { port1, port2 } = new MessageChannel();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  port2.addEventListener("message", (event) => resolve((event as MessageEvent<unknown>).data));
  port2.start();
  port1.postMessage({ secret: Secret.fromString(value) });
  expect(Bun.inspect(await promise)).not.toContain("secret-of-this-test");
  port1.close();
});

test("what is made of a secret for finding it is wiped with it", () => {
  const bytes = new TextEncoder().encode(value);
  const secret = new Secret(bytes);
  const forms = secret.forms();
  expect(forms.find(`a ${value} b`, 0)).toEqual({ start: 2, end: 2 + value.length });
  secret.wipe();
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  expect(forms.find(`a ${value} b`, 0)).toBeNull();
  expect(secret.forms().find(value, 0)).toBeNull();
  expect(() => secret.reveal()).toThrow("wiped");
});

test("a part of a secret is known without making a string of it", () => {
  const secret = Secret.fromString(value);
  for (const part of [value, "sk-ant", "this-test", "-", ""])
    expect([part, secret.holdsPart(part)]).toEqual([part, true]);
  for (const part of [`${value}x`, "sk-and", "x"]) expect([part, secret.holdsPart(part)]).toEqual([part, false]);
  secret.wipe();
  expect(secret.holdsPart("sk-ant")).toBe(false);
});
