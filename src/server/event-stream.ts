import { GatewayError } from "../errors.ts";

const encoder = new TextEncoder();
const keepAlive = encoder.encode(": keep-alive\n\n");
/** Idle proxies and browsers close silent streams after half a minute or so. */
const keepAliveMs = 15_000;

/** JSON texts until the signal aborts; null: too many watch already. */
export type Watch = (signal: AbortSignal) => AsyncIterable<string> | null;

/**
 * Texts as server-sent events. Pulled by the watcher: who does not read holds one text back and gets the newest one when it
 * reads again, so that a stalled watcher costs no memory. Throws DOOR_BUSY.
 */
export function eventStream(watch: Watch, signal: AbortSignal): Response {
  const watching = new AbortController();
  const texts = watch(AbortSignal.any([signal, watching.signal]));
  if (texts === null) throw new GatewayError("DOOR_BUSY");
  const documents = texts[Symbol.asyncIterator]();
  let timer: ReturnType<typeof setInterval> | undefined;
  const leave = (): void => {
    clearInterval(timer);
    watching.abort();
  };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(keepAlive);
      }, keepAliveMs);
    },
    async pull(controller) {
      const { done, value } = await documents.next();
      if (done !== true) return controller.enqueue(encoder.encode(`data: ${value}\n\n`));
      leave();
      controller.close();
    },
    cancel: leave,
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}
