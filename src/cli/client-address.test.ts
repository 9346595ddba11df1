import { describe, expect, test } from "bun:test";
import { clientAddressOf, curlLine } from "./client-address.ts";

describe("a client on this machine", () => {
  test("is sent to loopback before the network, and to a socket only where there is nothing else", () => {
    const socket = "unix:/run/s.sock";
    expect(clientAddressOf([socket, "https://10.0.0.1:4040", "http://[::1]:4040"])).toEqual({
      url: "http://[::1]:4040",
    });
    expect(clientAddressOf([socket, "https://10.0.0.1:4040"])).toEqual({ url: "https://10.0.0.1:4040" });
    expect(clientAddressOf([socket])).toEqual({ socketPath: "/run/s.sock" });
    expect(clientAddressOf([])).toBeUndefined();
  });

  test("reaches a gateway that listens on all addresses over loopback", () => {
    expect(clientAddressOf(["https://10.0.0.1:1", "https://0.0.0.0:4040"])).toEqual({ url: "https://127.0.0.1:4040" });
    expect(clientAddressOf(["https://[::]:4040"])).toEqual({ url: "https://[::1]:4040" });
  });

  test("is told a command that a shell reads as it is meant", () => {
    expect(curlLine("/run/s.sock", "T")).toStartWith("curl --unix-socket /run/s.sock -H 'authorization: Bearer T' ");
    const { stdout } = Bun.spawnSync(["sh", "-c", `printf '%s|' ${curlLine("/tmp/it's $HOME/s", "T")}`]);
    expect(stdout.toString()).toStartWith("curl|--unix-socket|/tmp/it's $HOME/s|-H|");
  });
});
