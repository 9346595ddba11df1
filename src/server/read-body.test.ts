import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { maxBodyBytes, readBody } from "./read-body.ts";

function requestOf(body: string | ReadableStream<Uint8Array> | null, headers: Record<string, string> = {}): Request {
  return new Request("http://127.0.0.1/", { method: "POST", body, headers });
}

async function codeOf(request: Request): Promise<string> {
  try {
    await readBody(request);
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

/** Endless pieces of 4 MB; tells how many were taken. */
function endless(): { body: ReadableStream<Uint8Array>; taken: () => number } {
  let taken = 0;
  const piece = new Uint8Array(4 * 1024 * 1024);
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      taken++;
      controller.enqueue(piece);
    },
  });
  return { body, taken: () => taken };
}

describe("a body", () => {
  test("is read whole, announced or in pieces, and may be absent", async () => {
    expect(Buffer.from(await readBody(requestOf("für", { "content-length": "4" }))).toString()).toBe("für");
    const pieces = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const text of ["a", "", "b"]) controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    });
    expect(Buffer.from(await readBody(requestOf(pieces))).toString()).toBe("ab");
    expect((await readBody(requestOf(null))).byteLength).toBe(0);
  });

  test("that announces more than 32 MB is refused before a byte of it is read", async () => {
    const { body, taken } = endless();
    expect(await codeOf(requestOf(body, { "content-length": String(maxBodyBytes + 1) }))).toBe("DOOR_BODY_TOO_LARGE");
    expect(taken()).toBeLessThanOrEqual(1);
  });

  test("that turns out to be larger is refused as soon as it is", async () => {
    const { body, taken } = endless();
    expect(await codeOf(requestOf(body))).toBe("DOOR_BODY_TOO_LARGE");
    expect(taken()).toBeLessThanOrEqual(10);
  });

  test("of exactly 32 MB is taken", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(new Uint8Array(maxBodyBytes));
        controller.close();
      },
    });
    expect((await readBody(requestOf(body))).byteLength).toBe(maxBodyBytes);
  });

  test("that breaks off means that the client is gone", async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("reset")) });
    expect(await codeOf(requestOf(body))).toBe("CLIENT_GONE");
  });
});

/** At its quickest. */
function brotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
}

const packers = { gzip: gzipSync, deflate: deflateSync, br: brotli, zstd: zstdCompressSync };

test("a compressed body is unpacked up to the size that a plain one may have, and a bomb no further", async () => {
  for (const [coding, pack] of Object.entries(packers)) {
    const full = await readBody(packed(coding, pack(Buffer.alloc(maxBodyBytes, " "))));
    expect([coding, full.byteLength]).toEqual([coding, maxBodyBytes]);
    const bomb = pack(Buffer.alloc(maxBodyBytes + 1, " "));
    expect([coding, await codeOf(packed(coding, bomb))]).toEqual([coding, "DOOR_BODY_TOO_LARGE"]);
  }
});

test("many bombs at once take the memory of a few", async () => {
  const many = Bun.spawn([process.execPath, `${import.meta.dir}/unpack-many.ts`], { stdout: "pipe" });
  const { refused, maxMegabytes } = JSON.parse(await many.stdout.text()) as { refused: boolean; maxMegabytes: number };
  expect(refused).toBe(true);
  expect(maxMegabytes).toBeLessThan(700);
}, 60_000);

test("a coding that is unknown, doubled, broken, or wants a window larger than any body is refused", async () => {
  for (const coding of ["compress", "x-gzip", "gzip, gzip", "identity, gzip", "__proto__", ""]) {
    expect([coding, await codeOf(packed(coding, Buffer.from("{}")))]).toEqual([coding, "DOOR_CONTENT_ENCODING"]);
  }
  for (const coding of Object.keys(packers)) {
    expect(await codeOf(packed(coding, Buffer.from("not packed")))).toBe("DOOR_CONTENT_ENCODING");
  }
  // Told apart from a bomb: it ends before anything is unpacked.
  const wide = zstdCompressSync(Buffer.alloc(60 << 20), { params: { [constants.ZSTD_c_windowLog]: 27 } });
  expect(await codeOf(packed("zstd", wide))).toBe("DOOR_CONTENT_ENCODING");
});

function packed(coding: string, body: Uint8Array): Request {
  return new Request("http://gateway/", {
    method: "POST",
    headers: { "content-encoding": coding },
    body: new Uint8Array(body),
  });
}
