import type { GatewayResponse } from "./request.ts";

/** The body of an answer, to be read piece by piece, whether it streams or is there as a whole. */
export interface BodySource {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

const encoder = new TextEncoder();

export function bodySourceOf(body: GatewayResponse["body"]): BodySource {
  if (body instanceof ReadableStream) return body.getReader();
  let rest: Uint8Array | undefined = typeof body === "string" ? encoder.encode(body) : body;
  return {
    read: async () => {
      const value = rest;
      rest = undefined;
      return { done: value === undefined, value };
    },
    cancel: async () => undefined,
  };
}
