import { expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { createDoor } from "./door.ts";

const door = createDoor(["127.0.0.1:4040", "[::1]:4040"], ["gateway.lan"]);

function verdict(headers: Record<string, string>): string {
  try {
    door.check(new Headers(headers));
    return "in";
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
}

test("only the listen addresses, localhost and configured names are served", () => {
  for (const host of [
    "127.0.0.1:4040",
    "LOCALHOST:4040",
    "[::1]:4040",
    "localhost",
    "gateway.lan",
    "gateway.lan:8443",
  ]) {
    expect([host, verdict({ host })]).toEqual([host, "in"]);
  }
  const strangers = [
    "evil.example",
    "evil.example:4040",
    "127.0.0.1:9999",
    "localhost.:4040",
    "localhost.evil.example",
    "127.0.0.1.nip.io:4040",
    "0.0.0.0:4040",
    "127.1:4040",
    "2130706433:4040",
    "localhost:4040, evil.example",
    "user@localhost:4040",
    "[::ffff:127.0.0.1]:4040",
    "",
  ];
  for (const host of strangers) expect([host, verdict({ host })]).toEqual([host, "DOOR_HOST"]);
  expect(verdict({})).toBe("DOOR_HOST");
});

test("a web page of another origin is turned away", () => {
  const host = "localhost:4040";
  expect(verdict({ host, origin: "http://localhost:4040" })).toBe("in");
  for (const origin of [
    "https://evil.example",
    "null",
    "http://localhost:4041",
    "http://localhost:4040.evil.example",
    "file://",
  ]) {
    expect([origin, verdict({ host, origin })]).toEqual([origin, "DOOR_ORIGIN"]);
  }
  expect(verdict({ host, "sec-fetch-site": "cross-site" })).toBe("DOOR_ORIGIN");
  expect(verdict({ host, "sec-fetch-site": "same-site" })).toBe("DOOR_ORIGIN");
  expect(verdict({ host, "sec-fetch-site": "none" })).toBe("in");
  expect(verdict({ host, "sec-fetch-mode": "no-cors" })).toBe("DOOR_ORIGIN");
});

test("the fetch of Node, which names its mode, is not taken for a web page", () => {
  expect(verdict({ host: "localhost:4040", "sec-fetch-mode": "cors" })).toBe("in");
});

test("at a Unix socket any Host is right, and web pages are turned away all the same", () => {
  const socket = createDoor(null, []);
  const isIn = (headers: Record<string, string>): boolean => {
    try {
      socket.check(new Headers(headers));
      return true;
    } catch {
      return false;
    }
  };
  for (const headers of [{}, { host: "anything.example" }, { host: "localhost", "sec-fetch-mode": "cors" }])
    expect([headers, isIn(headers)]).toEqual([headers, true]);
  const pages = [
    { origin: "https://evil.example" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-mode": "no-cors" },
  ];
  for (const headers of pages) expect([headers, isIn({ host: "localhost", ...headers })]).toEqual([headers, false]);
});
