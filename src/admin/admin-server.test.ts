import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdminClient, NotRunningError } from "./admin-client.ts";
import { serveAdmin, type AdminActions } from "./admin-server.ts";
import { leaseToken } from "./token-lease.ts";
import { Secret } from "../secret.ts";
import { noHandover } from "./no-handover.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function socketPath(): string {
  const home = mkdtempSync(join(tmpdir(), "sanctum-admin-"));
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  return join(home, "run/admin.sock");
}

const quiet: AdminActions = {
  stats: () => '{"version":"1.0.0"}',
  ledger: (sinceDay) => JSON.stringify({ sinceDay }),
  ledgerRequests: (agent, day) => JSON.stringify([agent, day]),
  acceptTrail: () => ({ ok: true, text: "accepted" }),
  addresses: () => ["http://127.0.0.1:4040"],
  reload: async () => ({ ok: true, text: "configuration 2 is live" }),
  refreshKey: async () => 0,
  lendToken: () => null,
  agents: () => ["windu", "default"],
  unlockVault: async () => ({ ok: true, text: "the vault is open" }),
  restart: async () => ({ ok: true, text: "process 2 serves now" }),
  handover: noHandover,
  lendAgain: () => null,
  dashboard: { isOpen: () => true, invite: () => "code", revokeAll: () => 0 },
  stop: () => undefined,
};

function served(path: string, actions: Partial<AdminActions> = {}): AsyncDisposable {
  const server = serveAdmin(path, { ...quiet, ...actions });
  ends.unshift(() => server[Symbol.asyncDispose]());
  return server;
}

describe("the socket", () => {
  test("is the user's alone, whatever the umask is, and the umask stays as it was", () => {
    const before = process.umask(0);
    ends.push(() => process.umask(before));
    const path = socketPath();
    served(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    expect(process.umask()).toBe(0);
  });

  test("takes the place of one that a killed daemon left", async () => {
    const path = socketPath();
    await served(path)[Symbol.asyncDispose]();
    writeFileSync(path, "");
    served(path);
    expect(JSON.parse(await createAdminClient(path).get("/stats"))).toEqual({ version: "1.0.0" });
  });

  test("is gone when the daemon has closed it", async () => {
    const path = socketPath();
    await served(path)[Symbol.asyncDispose]();
    expect(existsSync(path)).toBe(false);
  });
});

describe("over it", () => {
  test("the command line reads the counters and the addresses, and reloads", async () => {
    const path = socketPath();
    served(path);
    const admin = createAdminClient(path);
    expect(JSON.parse(await admin.get("/addresses"))).toEqual(["http://127.0.0.1:4040"]);
    expect(JSON.parse(await admin.post("/reload"))).toEqual({ ok: true, text: "configuration 2 is live" });
  });

  test("the ledger is read from a day on, and the charges of one agent's day", async () => {
    const path = socketPath();
    served(path);
    const admin = createAdminClient(path);
    expect(JSON.parse(await admin.get("/ledger?since=2026-11-23"))).toEqual({ sinceDay: "2026-11-23" });
    const charges = await admin.get("/ledger/requests?agent=windu&day=2026-11-23");
    expect(JSON.parse(charges)).toEqual(["windu", "2026-11-23"]);
  });

  test("the daemon reads a provider's key again, named in the body", async () => {
    const refreshed: string[] = [];
    const path = socketPath();
    served(path, {
      refreshKey: async (provider) => {
        refreshed.push(provider);
        return 2;
      },
    });
    const admin = createAdminClient(path);
    expect(JSON.parse(await admin.post("/keys/refresh", { provider: "anthropic" }))).toEqual({ ok: true, keys: 2 });
    expect(refreshed).toEqual(["anthropic"]);
    await expect(admin.post("/keys/refresh", { provider: 7 })).rejects.toThrow("400");
    expect(refreshed).toEqual(["anthropic"]);
  });

  test("the vault is opened with what is sent, byte for byte, and the answer says what came of it", async () => {
    const seen: unknown[] = [];
    const path = socketPath();
    served(path, {
      unlockVault: async (kind, secret, acceptOlder) => {
        seen.push([kind, new TextDecoder().decode(secret), acceptOlder]);
        return { ok: false, text: "this passphrase does not open vault.age" };
      },
    });
    const admin = createAdminClient(path);
    const bytes = new TextEncoder().encode("größe 🗝\n");
    const told = await admin.postBytes("/vault/unlock?kind=passphrase", bytes);
    expect(JSON.parse(told)).toEqual({ ok: false, text: "this passphrase does not open vault.age" });
    await admin.postBytes("/vault/unlock?kind=identity&accept_older", bytes);
    await expect(admin.postBytes("/vault/unlock?kind=magic", bytes)).rejects.toThrow("400");
    expect(seen).toEqual([
      ["passphrase", "größe 🗝\n", false],
      ["identity", "größe 🗝\n", true],
    ]);
  });

  test("the daemon is told to stop, after it has answered", async () => {
    const stopped = Promise.withResolvers<void>();
    const path = socketPath();
    served(path, { stop: () => stopped.resolve() });
    expect(JSON.parse(await createAdminClient(path).post("/stop"))).toEqual({ ok: true });
    await stopped.promise;
  });

  test("nothing else is offered, and nothing is done by a GET", async () => {
    let done = 0;
    const path = socketPath();
    served(path, { stop: () => done++, refreshKey: async () => done++ });
    const admin = createAdminClient(path);
    for (const route of ["/stop", "/keys/refresh", "/vault/unlock", "/reload", "/keys", "/v1/messages", "/"]) {
      await expect(admin.get(route)).rejects.toThrow("404");
    }
    expect(done).toBe(0);
  });
});

describe("a token that is lent over it", () => {
  /** Lends one token and tells of its end. */
  function lender(): {
    actions: Partial<AdminActions>;
    lentTo: string[];
    ended: Promise<void>;
    revoke: () => void;
  } {
    const ended = Promise.withResolvers<void>();
    const lentTo: string[] = [];
    const lender = { lentTo, ended: ended.promise, revoke: () => undefined as void };
    const lendToken: AdminActions["lendToken"] = (agent, onRevoked) => {
      if (agent !== "windu") return null;
      lentTo.push(agent);
      lender.revoke = onRevoked;
      return { token: Secret.fromString("the-token"), giveBack: () => ended.resolve() };
    };
    return Object.assign(lender, { actions: { lendToken } });
  }

  test("comes with the addresses, and ends when its holder lets it go", async () => {
    const path = socketPath();
    const { actions, lentTo, ended } = lender();
    served(path, actions);
    const lease = await leaseToken(path, "windu");
    expect([lentTo, lease.token.reveal(), lease.addresses]).toEqual([
      ["windu"],
      "the-token",
      ["http://127.0.0.1:4040"],
    ]);
    lease[Symbol.dispose]();
    await ended;
  });

  test("ends when its holder is killed, while a child of the holder lives on", async () => {
    const path = socketPath();
    const { actions, ended } = lender();
    served(path, actions);
    const module = join(import.meta.dir, "token-lease.ts");
    const script = `
      const { leaseToken } = await import(${JSON.stringify(module)});
      await leaseToken(${JSON.stringify(path)}, "windu");
      const child = Bun.spawn(["sleep", "600"]);
      console.log(child.pid);
      setInterval(() => {}, 1e6);`;
    const holder = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
    ends.push(() => holder.kill("SIGKILL"));
    const { value } = await holder.stdout.getReader().read();
    const child = Number(new TextDecoder().decode(value));
    ends.push(() => process.kill(child, "SIGKILL"));
    holder.kill("SIGKILL");
    await ended;
    expect(process.kill(child, 0)).toBe(true);
  });

  test("is over for its holder with the reason, when the agent is removed or the gateway ends", async () => {
    const path = socketPath();
    const one = lender();
    const server = served(path, one.actions);
    const first = await leaseToken(path, "windu");
    one.revoke();
    expect(await first.lost).toBe("there is no agent windu any more");
    const second = await leaseToken(path, "windu");
    await server[Symbol.asyncDispose]();
    expect(await second.lost).toBe("the gateway has stopped");
  });

  test("is not there for an unknown agent, and the known ones are named; without a gateway it is told how to start one", async () => {
    const path = socketPath();
    await expect(leaseToken(path, "windu")).rejects.toBeInstanceOf(NotRunningError);
    served(path, lender().actions);
    await expect(leaseToken(path, "yoda")).rejects.toMatchObject({
      message: "there is no agent yoda",
      known: ["windu", "default"],
    });
  });
});

test("where no gateway listens, the error says how to start one", async () => {
  const admin = createAdminClient(socketPath());
  await expect(admin.get("/stats")).rejects.toBeInstanceOf(NotRunningError);
  await expect(admin.get("/stats")).rejects.toThrow("sanctum start");
});
