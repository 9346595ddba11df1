// Lets a request's body and its answer pass, and records what passes.

import type { Arrived, GatewayResponse } from "../../../request.ts";
import type { ContentRecording } from "./recording.ts";

/** A body that its reader has given up is not waited for longer. */
const MAX_LAG_MS = 1_000;

export function recordingBody<R extends Pick<Arrived, "readBody">>(request: R, recording: ContentRecording): R {
  return {
    ...request,
    readBody: async () => {
      const bytes = await request.readBody();
      recording.request(bytes);
      return bytes;
    },
  };
}

export interface RecordedAnswer {
  readonly body: GatewayResponse["body"];
  /**
   * Resolves when nothing more passes: at once where the body is in one piece. To be waited for after the answer was closed
   * from inside, never before: from then on it takes a second at most.
   */
  readonly ended: () => Promise<void>;
}

export function recordAnswer(body: GatewayResponse["body"], recording: ContentRecording): RecordedAnswer {
  if (!(body instanceof ReadableStream)) {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    if (bytes.length > 0) recording.answer(bytes);
    return { body, ended: () => Promise.resolve() };
  }
  const passed = Promise.withResolvers<void>();
  return { body: passing(body, recording, passed.resolve), ended: () => soon(passed.promise) };
}

function passing(
  source: ReadableStream<Uint8Array>,
  recording: ContentRecording,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) {
            onEnd();
            controller.close();
            return;
          }
          recording.answer(value);
          controller.enqueue(value);
        } catch (error) {
          onEnd();
          controller.error(error);
        }
      },
      async cancel(reason) {
        onEnd();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

async function soon(promise: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, MAX_LAG_MS);
  await Promise.race([promise, late.promise]);
  clearTimeout(timer);
}
