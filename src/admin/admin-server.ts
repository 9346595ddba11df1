import { chmodSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Server } from "bun";
import { keepingName } from "../server/socket-name.ts";
import type { Secret } from "../secret.ts";
import { handoverRoutes, type HandoverActions } from "./handover-routes.ts";

/** A token that is lent to a command. */
export interface LentToken {
  readonly token: Secret;
  /** Ends the token; does nothing when called again. */
  readonly giveBack: () => void;
}

/**
 * Lines that stay open tell by their end that a process is gone: nothing else may end them. The runtime takes this setting
 * for a Unix socket too; its types do not.
 */
const keepsLines = { idleTimeout: 0 };

/** What became of something, in words for a person. */
export interface Told {
  readonly ok: boolean;
  readonly text: string;
}

/** Who may look at the dashboard. */
export interface DashboardDoor {
  /** Everybody who reaches a loopback address. */
  isOpen(): boolean;
  /** A code that opens it once. */
  invite(): string;
  /** Ends what codes have opened; how many sessions there were. */
  revokeAll(): number;
}

export interface AdminActions {
  /** The `/stats` document as JSON text. */
  stats(): string;
  /** The ledger from a day on, and where the audit trail stands at that moment, as JSON text. */
  ledger(sinceDay: string): string;
  /** The charges of an agent's day that still stand one by one, as JSON text. */
  ledgerRequests(agent: string, day: string): string;
  /** Where clients connect. */
  addresses(): readonly string[];
  /** Reads the configuration again; the text says what came of it. */
  reload(): Promise<Told>;
  /** Reads this provider's keys again; how many there are then. */
  refreshKey(provider: string): Promise<number>;
  /** Makes a token of this agent; null: there is no such agent. `onRevoked` is called where the agent is taken away. */
  lendToken(agent: string, onRevoked: () => void): LentToken | null;
  /** A token that the process before has lent, by its SHA-256 in hexadecimal; null: it is not known. */
  lendAgain(agent: string, digest: string, onRevoked: () => void): Pick<LentToken, "giveBack"> | null;
  /** The names of the agents. */
  agents(): readonly string[];
  /** Opens the vault with a passphrase or identity, whose bytes are taken over; the text says what came of it. */
  unlockVault(kind: "passphrase" | "identity", secret: Uint8Array, acceptOlder: boolean): Promise<Told>;
  readonly dashboard: DashboardDoor;
  /** A person has looked into the alarms of the audit trail; the text says what came of it. */
  acceptTrail(): Told;
  /** Begins an orderly stop. */
  stop(): void;
  /** Lets a new process take over; what came of it, when that is known. */
  restart(): Promise<Told>;
  readonly handover: HandoverActions;
}

export interface AdminServer extends AsyncDisposable {
  /** Takes over the socket's name from the process that has it. */
  takePlace(): void;
  /** Another process has the name now; connections that are open stay. */
  leavePlace(): void;
}

/**
 * The socket that the command line talks to. Who may open it is who may read the user's files: mode 0600 in a 0700
 * folder. There is no such route on the network. `beside`: another process has the name until `takePlace`.
 */
export function serveAdmin(socketPath: string, actions: AdminActions, beside = false): AdminServer {
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  const boundPath = beside ? `${socketPath}.${process.pid}` : socketPath;
  // The ledger's lock was taken before: a socket that is left here is of a daemon that was killed.
  if (existsSync(boundPath)) rmSync(boundPath);
  const before = process.umask(0o177);
  const leases = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const server = Bun.serve({
    unix: boundPath,
    ...(keepsLines as object),
    routes: {
      "/stats": { GET: () => jsonText(actions.stats()) },
      "/ledger": { GET: (request) => jsonText(actions.ledger(queryOf(request, "since"))) },
      "/ledger/requests": {
        GET: (request) => jsonText(actions.ledgerRequests(queryOf(request, "agent"), queryOf(request, "day"))),
      },
      "/addresses": { GET: () => Response.json(actions.addresses()) },
      // For `sanctum doctor`: whose process it is that answers.
      "/process": { GET: () => Response.json({ pid: process.pid, uid: process.getuid?.() ?? null }) },
      "/dashboard": { GET: () => Response.json({ open: actions.dashboard.isOpen() }) },
      "/dashboard/invite": { POST: () => Response.json({ code: actions.dashboard.invite() }) },
      "/dashboard/revoke": { POST: () => Response.json({ ended: actions.dashboard.revokeAll() }) },
      "/reload": { POST: async () => Response.json(await actions.reload()) },
      "/keys/refresh": {
        POST: async (request: Request) => {
          const body = (await request.json()) as { provider?: unknown };
          if (typeof body.provider !== "string") return Response.json({ ok: false }, { status: 400 });
          return Response.json({ ok: true, keys: await actions.refreshKey(body.provider) });
        },
      },
      "/run": { POST: (request: Request, server: Server<undefined>) => lend(request, server, actions, leases) },
      "/vault/unlock": {
        POST: async (request: Request) => {
          const url = new URL(request.url);
          const kind = url.searchParams.get("kind");
          if (kind !== "passphrase" && kind !== "identity") return Response.json({ ok: false }, { status: 400 });
          const secret = new Uint8Array(await request.arrayBuffer());
          return Response.json(await actions.unlockVault(kind, secret, url.searchParams.has("accept_older")));
        },
      },
      "/restart": {
        POST: async (request: Request, server: Server<undefined>) => {
          // Loading and checking may take longer than an idle connection lives.
          server.timeout(request, 0);
          return Response.json(await actions.restart());
        },
      },
      ...handoverRoutes(actions.handover),
      "/audit/accept": { POST: () => Response.json(actions.acceptTrail()) },
      "/stop": {
        POST: () => {
          // After the answer is on its way.
          setTimeout(() => actions.stop(), 10);
          return Response.json({ ok: true });
        },
      },
    },
    fetch: () => Response.json({}, { status: 404 }),
  });
  process.umask(before);
  chmodSync(boundPath, 0o600);
  /** The socket's name is this server's. */
  let named = !beside;
  return {
    takePlace() {
      if (!named) renameSync(boundPath, socketPath);
      named = true;
    },
    leavePlace() {
      named = false;
      for (const lease of leases) {
        lease.enqueue(lineOf({ moved: true }));
        lease.close();
      }
      leases.clear();
    },
    async [Symbol.asyncDispose]() {
      await keepingName(named ? undefined : socketPath, () => server.stop(true));
      if (named) rmSync(socketPath, { force: true });
    },
  };
}

/**
 * Lends a token for as long as the answer is being read: the kernel closes the connection of a borrower that ends, however
 * it ends, and that ends the token. The first line is the loan; a second one says that it is over before its time.
 */
async function lend(
  request: Request,
  server: Server<undefined>,
  actions: AdminActions,
  leases: Set<ReadableStreamDefaultController<Uint8Array>>,
): Promise<Response> {
  const { agent, digest } = (await request.json()) as { agent?: unknown; digest?: unknown };
  if (typeof agent !== "string") return Response.json({ ok: false }, { status: 400 });
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  const onRevoked = (): void => {
    if (stream === undefined || !leases.delete(stream)) return;
    stream.enqueue(lineOf({ over: `there is no agent ${agent} any more` }));
    stream.close();
  };
  const fresh = typeof digest === "string" ? null : actions.lendToken(agent, onRevoked);
  const lent = typeof digest === "string" ? actions.lendAgain(agent, digest, onRevoked) : fresh;
  if (lent === null) return Response.json({ agents: actions.agents() }, { status: 404 });
  const giveBack = (): void => {
    // Told to go to the next process: the token is that one's to end.
    if (stream !== undefined && !leases.delete(stream)) return;
    lent.giveBack();
  };
  // Gone already, before anybody listened to its going.
  if (request.signal.aborted) giveBack();
  request.signal.addEventListener("abort", giveBack, { once: true });
  server.timeout(request, 0);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      stream = controller;
      leases.add(controller);
      controller.enqueue(lineOf({ token: fresh?.token.reveal() ?? null, addresses: actions.addresses() }));
      fresh?.token.wipe();
    },
    cancel: giveBack,
  });
  return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
}

function lineOf(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function jsonText(text: string): Response {
  return new Response(text, { headers: { "content-type": "application/json" } });
}

function queryOf(request: Request, name: string): string {
  return new URL(request.url).searchParams.get(name) ?? "";
}
