import type { Server } from "bun";
import { renameSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { GatewayError } from "../errors.ts";
import type { Arrived, GatewayResponse, Handler } from "../request.ts";
import { createDoor, type Door } from "./door.ts";
import type { Operations } from "./operations.ts";
import { addressBytes, SharedPort, type BoundTo } from "./port-sharing.ts";
import { readBody } from "./read-body.ts";
import { toErrorResponse, toResponse } from "./respond.ts";
import { dataRoutes, modelsPath, prefixes, resembles, spellingsOf, type DataRoute } from "./routes.ts";
import { keepingName } from "./socket-name.ts";
import { readTlsFiles, type TlsFiles } from "./tls-files.ts";

export interface ListenOn {
  readonly text: string;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly socketPath: string | undefined;
  readonly loopback: boolean;
}

export interface ListenerParts {
  readonly address: ListenOn;
  readonly hostNames: readonly string[];
  readonly tls: TlsFiles | undefined;
  readonly newId: () => string;
  /** The pipeline of the current configuration. */
  readonly handle: Handler<Arrived>;
  readonly operations: Operations;
  /** One line for the operational log. */
  readonly report: (line: string) => void;
  /** Where another process listens until this one has taken over from it. */
  readonly shared?: readonly SharedPlace[];
  /** Where this resolves later, requests wait for it; null: they are served at once. */
  readonly opening?: () => Promise<void> | null;
  /** Answers tell the client to make its next connection anew. */
  readonly closesConnections?: () => boolean;
}

export interface SharedPlace {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
}

export interface Listener {
  /** What the configuration says, and where that is. */
  readonly address: ListenOn;
  /** Null for a Unix socket. */
  readonly bound: BoundTo | null;
  /** As a client writes it, e.g. `http://127.0.0.1:4040`. */
  readonly url: string;
  /** Another process listens here now: no connection comes any more, those that are there stay. */
  leave(): void;
  readonly left: boolean;
  /** Closes connections on which nothing goes on. */
  closeIdle(): void;
  /** Takes over the name of a Unix socket that another process listens on. */
  takePlace(): void;
  /** Ends everything now. */
  kill(): Promise<void>;
}

/** Longer than clients' pools keep a connection, so that none is used just as it is closed. */
const keptOpenSeconds = 120;

type BunRequest = Request & { readonly params?: Record<string, string> };
type RouteHandler = (request: BunRequest, server: Server<undefined>) => Response | Promise<Response>;

/** Above the limit that `readBody` enforces, so that a too large body gets an answer in its dialect. */
const runtimeBodyLimit = 4 * 1024 * 1024 * 1024 - 1;

export function listen(parts: ListenerParts): Listener {
  const { address } = parts;
  let door: Door = createDoor([], parts.hostNames);
  const guarded = (run: RouteHandler): RouteHandler => guard(run, () => door, parts);
  const routes: Record<string, RouteHandler> = {};
  const tolerated = reportOnce(parts.report);
  for (const { prefix, named } of prefixes) {
    for (const route of dataRoutes) {
      const answer: RouteHandler = (request, server) => serve(request, server, route, named, parts);
      for (const path of spellingsOf(route.path)) {
        routes[prefix + path] = guarded(path === route.path ? answer : tolerated(path, route.path, answer));
      }
    }
    const list: RouteHandler = (request) => models(request, named, null, parts);
    for (const path of spellingsOf(modelsPath)) {
      routes[prefix + path] = guarded(path === modelsPath ? list : tolerated(path, modelsPath, list));
    }
    const one: RouteHandler = (request) => models(request, named, idOf(request), parts);
    routes[`${prefix}${modelsPath}/*`] = guarded(one);
    routes[`${prefix}/v1${modelsPath}/*`] = guarded(tolerated(`/v1${modelsPath}/`, `${modelsPath}/`, one));
  }
  for (const path of parts.operations.paths) {
    routes[path] = guarded((request, server) => {
      if (parts.operations.streams.has(path)) server.timeout(request, 0);
      return parts.operations.answer(path, request, address.loopback);
    });
  }
  routes["/"] = guarded((request) => greeting(request));

  const path = address.socketPath;
  const shares = isShared(address, parts.shared ?? []);
  // One that another process listens on is replaced in one step, by `takePlace`.
  const boundPath = path !== undefined && shares ? `${path}.${process.pid}` : path;
  const server = withPrivateSocket(path, () =>
    Bun.serve({
      ...(boundPath === undefined ? { hostname: address.host!, port: address.port! } : { unix: boundPath }),
      ...(parts.tls === undefined ? {} : { tls: readTlsFiles(parts.tls) }),
      routes,
      maxRequestBodySize: runtimeBodyLimit,
      development: false,
      // Without this word `development: false` shares the port: another process could take half of the agents' requests.
      reusePort: shares,
      fetch: guarded((request) => {
        const dialect = resembles(pathOf(request.url), request.headers);
        // Codex asks under a base without `/v1` too: 404 costs it seven tries, 426 none.
        if (dialect === "responses") checkUpgrade(request);
        return toErrorResponse(new GatewayError("DOOR_PATH"), parts.newId(), dialect, parts.report);
      }),
      error: (error) => toErrorResponse(error, parts.newId(), "chat", parts.report),
    } as Bun.Serve.Options<undefined>),
  );

  door = createDoor(
    // Clients of a Unix socket send any Host. No browser gets there by itself, but one may through a forwarded port.
    address.socketPath === undefined ? authoritiesOf(address.host!, server.port!) : null,
    parts.hostNames,
  );
  const scheme = parts.tls === undefined ? "http" : "https";
  const bound = path === undefined ? { host: address.host!, port: server.port! } : null;
  let left = false;
  return {
    address,
    bound,
    get left() {
      return left;
    },
    leave: () => {
      left = true;
      if (bound !== null) SharedPort.find(bound)?.leave();
    },
    closeIdle: () => void server.closeIdleConnections(),
    takePlace: () => {
      if (boundPath !== undefined && path !== undefined && boundPath !== path) renameSync(boundPath, path);
    },
    url: address.socketPath === undefined ? `${scheme}://${bracketed(address.host!)}:${server.port}` : address.text,
    kill: async () => keepingName(left ? path : undefined, () => server.stop(true)),
  };
}

/** Who can open a socket is an anonymous caller of this machine: the owner alone, whatever the umask is. */
function withPrivateSocket<T>(socketPath: string | undefined, open: () => T): T {
  if (socketPath === undefined) return open();
  const before = process.umask(0o177);
  try {
    return open();
  } finally {
    process.umask(before);
  }
}

function isShared({ host, port, socketPath }: ListenOn, shared: readonly SharedPlace[]): boolean {
  if (socketPath !== undefined) return shared.some((place) => place.socketPath === socketPath);
  return shared.some((place) => place.port === port && addressBytes(place.host ?? "") === addressBytes(host!));
}

/** Host and Origin first, for every path; what is thrown becomes an answer here and nowhere else. */
function guard(run: RouteHandler, door: () => Door, parts: ListenerParts): RouteHandler {
  return (request, server) => {
    const failed = (error: unknown): Response =>
      toErrorResponse(error, parts.newId(), resembles(pathOf(request.url), request.headers), parts.report);
    try {
      const opening = parts.opening?.() ?? null;
      if (opening !== null) return opening.then(() => guard(run, door, parts)(request, server));
      door().check(request.headers);
      const answer = run(request, server);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (error) {
      return failed(error);
    }
  };
}

async function serve(
  request: BunRequest,
  server: Server<undefined>,
  route: DataRoute,
  named: boolean,
  parts: ListenerParts,
): Promise<Response> {
  const id = parts.newId();
  try {
    checkMethod(request, "POST");
    const arrived: Arrived = {
      id,
      operation: route.operation,
      dialect: route.dialect,
      path: route.path,
      claimedAgent: claimedAgent(request, named),
      headers: request.headers,
      peer: server.requestIP(request)?.address ?? "unix",
      fromLoopback: parts.address.loopback,
      signal: request.signal,
      readBody: async () => {
        const body = await readBody(request);
        // From here on our own deadlines hold: an upstream may think for minutes.
        server.timeout(request, 0);
        return body;
      },
    };
    const answer: GatewayResponse = await parts.handle(arrived);
    const response = toResponse(answer, id, route.dialect);
    // What the connection was granted above would stay its own: of a client that vanishes without a word nothing is heard again.
    // The end of a stream is not seen here, and the kernel finds out about those.
    if (!(answer.body instanceof ReadableStream)) server.timeout(request, keptOpenSeconds);
    if (parts.closesConnections?.() === true) response.headers.set("connection", "close");
    return response;
  } catch (error) {
    const response = toErrorResponse(error, id, route.dialect, parts.report);
    server.timeout(request, keptOpenSeconds);
    if (parts.closesConnections?.() === true) response.headers.set("connection", "close");
    return response;
  }
}

function models(request: BunRequest, named: boolean, id: string | null, parts: ListenerParts): Response {
  checkMethod(request, "GET");
  const response = parts.operations.models({
    headers: request.headers,
    claimedAgent: claimedAgent(request, named),
    fromLoopback: parts.address.loopback,
    id,
    query: queryOf(request.url),
  });
  const requestId = parts.newId();
  response.headers.set("x-sanctum-request-id", requestId);
  response.headers.set(request.headers.has("anthropic-version") ? "request-id" : "x-request-id", requestId);
  return response;
}

/**
 * RFC 9110 section 7.8: WebSocket is not offered. Codex falls back to HTTP at once on 426, and on nothing else. Other
 * upgrades are ignored: HTTP clients of Java offer `h2c` with every request and go on without it.
 */
function checkUpgrade(request: Request): void {
  const upgrade = request.headers.get("upgrade");
  if (upgrade !== null && /websocket/i.test(upgrade)) throw new GatewayError("DOOR_UPGRADE");
}

function checkMethod(request: Request, method: "GET" | "POST"): void {
  checkUpgrade(request);
  if (request.method !== method) throw new GatewayError("DOOR_METHOD", { allow: method });
}

function claimedAgent(request: BunRequest, named: boolean): string | undefined {
  if (!named) return undefined;
  // The router decodes parameters: a name written with an escape is not a name.
  if (/^\/agent\/[^/]*%/.test(pathOf(request.url))) throw new GatewayError("DOOR_PATH");
  return request.params?.["agent"] ?? "";
}

/** The runtime puts any Host into `url`, also one that no URL can have: taken apart by hand, it can't throw. */
function pathOf(url: string): string {
  const from = url.indexOf("/", url.indexOf("://") + 3);
  return from < 0 ? "/" : url.slice(from).replace(/[?#].*$/s, "");
}

function queryOf(url: string): URLSearchParams {
  const at = url.indexOf("?");
  return new URLSearchParams(at < 0 ? "" : url.slice(at + 1).replace(/#.*$/s, ""));
}

/** The first time that a spelling is met it is told in the log: at most one line each. */
function reportOnce(report: (line: string) => void): (path: string, meant: string, run: RouteHandler) => RouteHandler {
  const met = new Set<string>();
  return (path, meant, run) => (request, server) => {
    if (!met.has(path)) {
      met.add(path);
      report(`${path} is taken for ${meant}: correct the client's base URL`);
    }
    return run(request, server);
  };
}

/** Model ids hold slashes and colons, encoded or not. None ends in a slash. */
function idOf(request: Request): string {
  const pathname = pathOf(request.url).replace(/\/$/, "");
  const id = pathname.slice(pathname.indexOf(`${modelsPath}/`) + modelsPath.length + 1);
  try {
    return decodeURIComponent(id);
  } catch (cause) {
    throw new GatewayError("DOOR_PATH", { cause });
  }
}

/** Claude Code probes `HEAD /` before its first request. */
function greeting(request: Request): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    throw new GatewayError("DOOR_METHOD", { allow: "GET, HEAD" });
  }
  return new Response("Sanctum Cloud Proxy. See /dashboard, /stats and the documentation.\n", {
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

/** Everything that a client may rightly write in its Host header for this listener. */
function authoritiesOf(host: string, port: number): string[] {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, "");
  const wildcard = bare === "0.0.0.0" || bare === "::";
  const addresses = wildcard ? Object.values(networkInterfaces()).flatMap((list) => list ?? []) : [];
  return [bare, ...addresses.map((entry) => entry.address.toLowerCase())].map((name) => `${bracketed(name)}:${port}`);
}

function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
