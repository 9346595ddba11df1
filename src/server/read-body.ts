import { promisify } from "node:util";
import { brotliDecompress, constants, gunzip, inflate, zstdDecompress } from "node:zlib";
import { GatewayError } from "../errors.ts";

/** 32 MB, as Anthropic's own limit for Messages. */
export const maxBodyBytes = 32 * 1024 * 1024;

type Decode = (bytes: Uint8Array) => Promise<Uint8Array>;

/** What unpacks to more than a body may have is given up there, away from the event loop. */
const bound = { maxOutputLength: maxBodyBytes };
/** A Zstandard frame may ask for a window of 128 MB however small it is; ours need no more than the body. */
const zstdBound = { ...bound, params: { [constants.ZSTD_d_windowLogMax]: 25 } };

/** Codings of a request's body (RFC 9110, section 8.4.1; RFC 8878 for zstd). Codex and some SDKs can compress. */
const decoders: Readonly<Record<string, Decode>> = {
  gzip: (bytes) => promisify(gunzip)(bytes, bound),
  deflate: (bytes) => promisify(inflate)(bytes, bound),
  br: (bytes) => promisify(brotliDecompress)(bytes, bound),
  zstd: (bytes) => promisify(zstdDecompress)(bytes, zstdBound),
};

/** So many are unpacked at once: however small it came, each needs as much memory as the largest body while it is worked on. */
const lanes: Promise<void>[] = [Promise.resolve(), Promise.resolve()];
let turns = 0;

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const lane = turns++ % lanes.length;
  const done = lanes[lane]!.then(work);
  const ended = (): void => undefined;
  lanes[lane] = done.then(ended, ended);
  return done;
}

/**
 * The whole body, unpacked. Refuses a too large one from its announced length before a byte of it is read, and one that
 * unpacks to more as soon as that is seen (DOOR_BODY_TOO_LARGE); an unknown or broken coding is DOOR_CONTENT_ENCODING.
 */
export async function readBody(request: Request): Promise<Uint8Array> {
  const coding = request.headers.get("content-encoding")?.toLowerCase() ?? "identity";
  if (coding === "identity") return readPlain(request);
  // A list of codings is a bomb in a bomb.
  if (!Object.hasOwn(decoders, coding)) throw new GatewayError("DOOR_CONTENT_ENCODING");
  const packed = await readPlain(request);
  try {
    return await inTurn(() => decoders[coding]!(packed));
  } catch (cause) {
    const tooLarge = cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE";
    throw new GatewayError(tooLarge ? "DOOR_BODY_TOO_LARGE" : "DOOR_CONTENT_ENCODING", { cause });
  }
}

async function readPlain(request: Request): Promise<Uint8Array> {
  const announced = request.headers.get("content-length");
  if (announced !== null) {
    if (Number(announced) > maxBodyBytes) throw new GatewayError("DOOR_BODY_TOO_LARGE");
    return request.bytes().catch(brokenOff);
  }
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > maxBodyBytes) throw new GatewayError("DOOR_BODY_TOO_LARGE");
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    return brokenOff(error);
  }
  return Buffer.concat(chunks, size);
}

function brokenOff(cause: unknown): never {
  throw new GatewayError("CLIENT_GONE", { cause });
}
