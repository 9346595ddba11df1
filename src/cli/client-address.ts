/** Where clients on this machine reach the gateway. */
export type ClientAddress =
  /** A base URL without path. */
  | { readonly url: string }
  /** There is no other way than this Unix socket. */
  | { readonly socketPath: string };

/**
 * The best of the listeners, each as `http://127.0.0.1:4040` or `unix:/path`: loopback before the network, and a socket only
 * where there is nothing else, since clients take their gateway as a URL. Undefined where there is none.
 */
export function clientAddressOf(listeners: readonly string[]): ClientAddress | undefined {
  const urls = listeners.filter((listener) => !listener.startsWith("unix:")).map(reachable);
  const url = urls.find((each) => /^https?:\/\/(127\.|\[::1\]|localhost:)/.test(each)) ?? urls[0];
  if (url !== undefined) return { url };
  const socket = listeners[0];
  return socket === undefined ? undefined : { socketPath: socket.slice("unix:".length) };
}

/** What listens on all addresses is reached on this machine over loopback; nothing can be sent to "all addresses". */
function reachable(url: string): string {
  return url.replace(/^(https?:\/\/)0\.0\.0\.0:/, "$1127.0.0.1:").replace(/^(https?:\/\/)\[::\]:/, "$1[::1]:");
}

/** How to ask over a socket, for people: no client in common use takes one as its base URL. */
export function curlLine(socketPath: string, token: string): string {
  return `curl --unix-socket ${quoted(socketPath)} -H 'authorization: Bearer ${token}' http://localhost/v1/models`;
}

/** For a POSIX shell, where it needs quotes. */
function quoted(text: string): string {
  return /^[\w/.:-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
