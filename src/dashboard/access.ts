// Who may open the dashboard where loopback alone does not say so: whoever was handed a link by the command line. The link
// works once and for two minutes; what the browser keeps is another secret, in a cookie that no script can read.

import { createHash } from "node:crypto";
import type { Clock } from "../clock.ts";

export interface AccessParts {
  readonly clock: Clock;
  /** That many bytes from a cryptographic source. */
  readonly randomBytes: (size: number) => Uint8Array;
  /** What `save` was given last, perhaps by an earlier process. */
  readonly load: () => string | undefined;
  readonly save: (json: string) => void;
}

export const cookieName = "sanctum_dashboard";
export const inviteLifeMs = 120_000;
/** A page that stays open for weeks is the usual thing; after that the command is run again. */
export const sessionLifeMs = 30 * 24 * 3_600_000;
/** The oldest gives way to the newest. */
const MAX_INVITES = 16;
const MAX_SESSIONS = 64;

export class DashboardAccess {
  readonly #parts: AccessParts;
  /** SHA-256 of the code → when it ends, monotonic milliseconds. */
  readonly #invites = new Map<string, number>();
  /** SHA-256 of the cookie → when it ends, wall clock milliseconds. */
  readonly #sessions: Map<string, number>;

  constructor(parts: AccessParts) {
    this.#parts = parts;
    this.#sessions = storedSessions(parts.load());
  }

  /** A code for one browser. */
  invite(): string {
    const code = this.#secret();
    this.#invites.set(digestOf(code), this.#parts.clock.monotonic() + inviteLifeMs);
    bound(this.#invites, MAX_INVITES);
    return code;
  }

  /** Trades a code for a session; null: it was used, has ended, or never was one. */
  redeem(code: string): string | null {
    const digest = digestOf(code);
    const until = this.#invites.get(digest);
    this.#invites.delete(digest);
    if (until === undefined || this.#parts.clock.monotonic() >= until) return null;
    const session = this.#secret();
    const now = this.#parts.clock.now();
    for (const [known, end] of this.#sessions) if (end <= now) this.#sessions.delete(known);
    this.#sessions.set(digestOf(session), now + sessionLifeMs);
    bound(this.#sessions, MAX_SESSIONS);
    this.#save();
    return session;
  }

  /** Whether the request's cookie is that of a session. */
  admits(headers: Headers): boolean {
    const session = cookieOf(headers.get("cookie") ?? "");
    if (session === null) return false;
    const until = this.#sessions.get(digestOf(session));
    return until !== undefined && this.#parts.clock.now() < until;
  }

  /** Ends all sessions and links; how many sessions there were. */
  revokeAll(): number {
    const count = this.#sessions.size;
    this.#sessions.clear();
    this.#invites.clear();
    this.#save();
    return count;
  }

  #secret(): string {
    const bytes = this.#parts.randomBytes(32);
    if (bytes.length !== 32) throw new Error("a link needs 32 random bytes");
    return Buffer.from(bytes).toString("base64url");
  }

  #save(): void {
    this.#parts.save(JSON.stringify(Object.fromEntries(this.#sessions)));
  }
}

/** For this page alone, never sent along by another site, out of reach of scripts. */
export function sessionCookie(session: string, secure: boolean): string {
  const attributes = `Path=/dashboard; Max-Age=${sessionLifeMs / 1_000}; HttpOnly; SameSite=Strict`;
  return `${cookieName}=${session}; ${attributes}${secure ? "; Secure" : ""}`;
}

/** Looked up by its hash, so that how near a guess comes cannot be timed. */
function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function cookieOf(header: string): string | null {
  const match = new RegExp(`(?:^|;\\s*)${cookieName}=([A-Za-z0-9_-]{43})(?:;|$)`).exec(header);
  return match?.[1] ?? null;
}

function bound(map: Map<string, number>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}

function storedSessions(json: string | undefined): Map<string, number> {
  try {
    const entries = Object.entries(JSON.parse(json ?? "{}") as Record<string, unknown>);
    const sound = entries.filter(
      (entry): entry is [string, number] => /^[0-9a-f]{64}$/.test(entry[0]) && typeof entry[1] === "number",
    );
    return new Map(sound.slice(-MAX_SESSIONS));
  } catch {
    return new Map(); // Damaged: everybody asks for a link again.
  }
}
