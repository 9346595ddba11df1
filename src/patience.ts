/** Longer is no patience but none stated. */
const maxSeconds = 3_600;

/**
 * How long the client waits for its answer, in milliseconds, as the SDKs of both vendors tell it in `x-stainless-timeout`
 * (seconds); undefined where it says nothing readable. After that nobody is there any more: what is asked then is paid for
 * nothing.
 */
export function patienceMs(headers: Headers): number | undefined {
  const text = headers.get("x-stainless-timeout");
  if (text === null || !/^\d{1,9}(?:\.\d{1,9})?$/.test(text)) return undefined;
  const seconds = Number(text);
  return seconds > 0 && seconds <= maxSeconds ? seconds * 1_000 : undefined;
}
