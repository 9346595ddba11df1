import { describe, expect, test } from "bun:test";

import { isPublicListen, kindOfAddress, parseListen, parseProviderUrl } from "./addresses.ts";

test("addresses are told apart by their registered ranges", () => {
  const kinds: Record<string, string | undefined> = {
    "127.0.0.1": "loopback",
    "127.255.0.9": "loopback",
    "::1": "loopback",
    "0:0:0:0:0:0:0:1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "10.1.2.3": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "172.32.0.1": "public",
    "192.168.1.1": "private",
    "100.64.0.1": "private",
    "100.128.0.1": "public",
    "fd00::1": "private",
    "::ffff:8.8.8.8": "public",
    "169.254.169.254": "link_local",
    "fe80::1": "link_local",
    "0.0.0.0": "any",
    "::": "any",
    "8.8.8.8": "public",
    "2001:db8::1": "public",
    "127.0.0.01": undefined,
    "127.1": undefined,
    "256.0.0.1": undefined,
    localhost: undefined,
    ":::": undefined,
  };
  for (const [address, kind] of Object.entries(kinds))
    expect([address, kindOfAddress(address)]).toEqual([address, kind]);
});

describe("listen addresses", () => {
  test("are an IP address with a port, localhost, or a socket", () => {
    expect(parseListen("127.0.0.1:4040")).toMatchObject({ host: "127.0.0.1", port: 4040, loopback: true });
    expect(parseListen("[::1]:0")).toMatchObject({ host: "::1", port: 0, loopback: true });
    expect(parseListen("localhost:80")).toMatchObject({ host: "localhost", loopback: true });
    expect(parseListen("10.10.10.1:4040")).toMatchObject({ loopback: false });
    expect(parseListen("unix:/run/x.sock")).toMatchObject({ socketPath: "/run/x.sock", loopback: true });
  });
  test("of any other form are refused", () => {
    const texts = [
      "4040",
      ":4040",
      "127.0.0.1",
      "127.0.0.1:65536",
      "example.com:80",
      "::1:4040",
      "[::1]",
      "unix:x",
      "",
    ];
    for (const text of [...texts, "http://127.0.0.1:1", `unix:/${"x".repeat(110)}`, "127.0.0.1:80 ", "127.0.0.1:-1"]) {
      expect([text, parseListen(text)]).toEqual([text, undefined]);
    }
  });
  test("that strangers can reach are known", () => {
    const isPublic = (text: string): boolean => isPublicListen(parseListen(text)!);
    expect(["0.0.0.0:1", "[::]:1", "8.8.8.8:1", "[2001:db8::1]:1"].map(isPublic)).toEqual([true, true, true, true]);
    expect(["127.0.0.1:1", "10.0.0.1:1", "[fd00::1]:1", "unix:/x"].map(isPublic)).toEqual([false, false, false, false]);
  });
});

describe("provider URLs", () => {
  test("lose their trailing slash", () => {
    expect(parseProviderUrl("https://openrouter.ai/api/v1/")).toEqual({ url: "https://openrouter.ai/api/v1" });
    expect(parseProviderUrl("https://api.anthropic.com")).toEqual({ url: "https://api.anthropic.com" });
  });
  test("may be http on loopback, private addresses and names that only exist at home", () => {
    for (const host of [
      "127.0.0.1:11434",
      "[::1]:1",
      "localhost",
      "192.168.1.5:8000",
      "100.100.1.1",
      "studio.local",
      "a.internal",
    ]) {
      expect(parseProviderUrl(`http://${host}/v1`)).toHaveProperty("url");
    }
  });
  test("may not be http to where others could listen", () => {
    const hosts = [
      "example.com",
      "8.8.8.8",
      "169.254.169.254",
      "0.0.0.0",
      "local",
      "notlocalhost",
      "x.local.example.com",
    ];
    for (const host of [...hosts, "0x08080808", "134744072", "[2001:db8::1]", "[::ffff:8.8.8.8]"]) {
      expect([host, parseProviderUrl(`http://${host}/v1`)]).toEqual([host, { fault: "plain_http" }]);
    }
  });
  test("have no credentials, query, fragment, blanks or other scheme", () => {
    expect(parseProviderUrl("https://u:p@example.com")).toEqual({ fault: "credentials" });
    expect(parseProviderUrl("https://@example.com")).toEqual({ fault: "credentials" });
    expect(parseProviderUrl("https://example.com/?key=1")).toEqual({ fault: "query" });
    expect(parseProviderUrl("https://example.com/?")).toEqual({ fault: "query" });
    expect(parseProviderUrl("https://example.com/#x")).toEqual({ fault: "query" });
    expect(parseProviderUrl("ftp://example.com")).toEqual({ fault: "scheme" });
    for (const text of [
      "example.com",
      "",
      "https://",
      "https://ex\tample.com",
      "https:\\\\example.com",
      " https://a.b",
    ]) {
      expect(parseProviderUrl(text)).toHaveProperty("fault");
    }
  });
});
