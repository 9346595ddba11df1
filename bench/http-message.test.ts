import { describe, expect, test } from "bun:test";
import { HttpMessageReader } from "./http-message.ts";

const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nb;x=y\r\nand\r\neleven\r\n0\r\n\r\n";
const counted = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsix by";

function read(pieces: readonly string[]): { body: string; completed: number[] } {
  let body = "";
  const completed: number[] = [];
  const reader = new HttpMessageReader((part) => {
    body += part.toString("latin1");
  });
  for (const [at, piece] of pieces.entries()) if (reader.push(Buffer.from(piece))) completed.push(at);
  return { body, completed };
}

describe("the message reader", () => {
  test("reads a counted and a chunked body, however they are cut", () => {
    for (const [message, body] of [
      [counted, "six by"],
      [chunked, "fourand\r\neleven"],
    ] as const) {
      for (let at = 1; at < message.length; at++) {
        expect(read([message.slice(0, at), message.slice(at)])).toEqual({ body, completed: [1] });
      }
      const bytes = message.split("");
      expect(read(bytes)).toEqual({ body, completed: [bytes.length - 1] });
    }
  });

  test("reads one message after the other on a connection", () => {
    expect(read([counted, chunked, counted]).completed).toEqual([0, 1, 2]);
  });

  test("takes a request without a length as one without a body", () => {
    expect(read(["GET / HTTP/1.1\r\nhost: x\r\n\r\n"]).completed).toEqual([0]);
  });

  test("refuses an answer without a length and bytes after the end", () => {
    expect(() => read(["HTTP/1.1 200 OK\r\n\r\n"])).toThrow("no length");
    expect(() => read([`${counted}H`])).toThrow("follow");
  });
});
