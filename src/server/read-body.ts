import { GatewayError } from "../errors.ts";

/** 32 MB, as Anthropic's own limit for Messages. */
export const maxBodyBytes = 32 * 1024 * 1024;

/** The whole body. Refuses a too large one from its announced length before a byte of it is read. */
export async function readBody(request: Request): Promise<Uint8Array> {
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
