import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { StandingClock } from "../layers/audit/sample-facts.ts";
import { DashboardAccess, cookieName, inviteLifeMs, sessionCookie, sessionLifeMs } from "./access.ts";

function newStage() {
  const clock = new StandingClock(Date.UTC(2026, 10, 23, 12));
  let count = 0;
  let saved: string | undefined;
  const parts = {
    clock,
    randomBytes: (size: number): Uint8Array =>
      new Uint8Array(createHash("sha256").update(String(++count)).digest().subarray(0, size)),
    load: (): string | undefined => saved,
    save: (json: string): void => {
      saved = json;
    },
  };
  return {
    clock,
    access: new DashboardAccess(parts),
    again: () => new DashboardAccess(parts),
    saved: () => saved ?? "",
  };
}

function withCookie(session: string): Headers {
  return new Headers({ cookie: `other=1; ${cookieName}=${session}; last=2` });
}

describe("a link", () => {
  test("opens one session, and a second time nothing", () => {
    const { access } = newStage();
    const code = access.invite();
    const session = access.redeem(code)!;
    expect(access.admits(withCookie(session))).toBe(true);
    expect(access.redeem(code)).toBeNull();
    expect(access.admits(withCookie(session))).toBe(true);
  });

  test("has ended after two minutes", () => {
    const { access, clock } = newStage();
    const [first, second] = [access.invite(), access.invite()];
    clock.advance(inviteLifeMs - 1);
    expect(access.redeem(first)).not.toBeNull();
    clock.advance(1);
    expect(access.redeem(second)).toBeNull();
  });

  test("cannot be guessed from another one, and is no session itself", () => {
    const { access } = newStage();
    const code = access.invite();
    expect(code).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(access.redeem(`${code.slice(0, -1)}A`)).toBeNull();
    expect(access.redeem("")).toBeNull();
    expect(access.admits(withCookie(code))).toBe(false);
  });

  test("gives way to newer ones: sixteen wait at most", () => {
    const { access } = newStage();
    const codes = Array.from({ length: 17 }, () => access.invite());
    expect(codes.map((code) => access.redeem(code) !== null)).toEqual([false, ...Array(16).fill(true)]);
  });
});

describe("a session", () => {
  test("lives over a restart of the gateway, of which no file tells it", () => {
    const { access, again, saved } = newStage();
    const session = access.redeem(access.invite())!;
    expect(saved()).not.toContain(session);
    expect(again().admits(withCookie(session))).toBe(true);
  });

  test("ends after thirty days", () => {
    const { access, clock, again } = newStage();
    const session = access.redeem(access.invite())!;
    clock.advance(sessionLifeMs - 1);
    expect(again().admits(withCookie(session))).toBe(true);
    clock.advance(1);
    expect(again().admits(withCookie(session))).toBe(false);
  });

  test("ends when all are ended, with the links that wait", () => {
    const { access, again } = newStage();
    const session = access.redeem(access.invite())!;
    const code = access.invite();
    expect(access.revokeAll()).toBe(1);
    expect(access.admits(withCookie(session))).toBe(false);
    expect(access.redeem(code)).toBeNull();
    expect(again().admits(withCookie(session))).toBe(false);
  });

  test("is in a cookie that no script reads, no other site sends along, and no other path gets", () => {
    expect(sessionCookie("s", false)).toBe(
      `${cookieName}=s; Path=/dashboard; Max-Age=2592000; HttpOnly; SameSite=Strict`,
    );
    expect(sessionCookie("s", true)).toEndWith("; Secure");
  });

  test("is not had by any other cookie", () => {
    const { access } = newStage();
    const session = access.redeem(access.invite())!;
    for (const cookie of [
      "",
      `x${cookieName}=${session}`,
      `${cookieName}=${session}x`,
      `${cookieName}= ${session}`,
      session,
    ]) {
      expect([cookie, access.admits(new Headers({ cookie }))]).toEqual([cookie, false]);
    }
    expect(access.admits(new Headers())).toBe(false);
  });

  test("sixty-four are kept, the newest; what is damaged on disk opens nothing", () => {
    const { access, again } = newStage();
    const sessions = Array.from({ length: 65 }, () => access.redeem(access.invite())!);
    const admitted = sessions.map((session) => again().admits(withCookie(session)));
    expect(admitted).toEqual([false, ...Array(64).fill(true)]);
    const stage = newStage();
    for (const damaged of ["{", "[]", '{"x":1}', "null"]) {
      const broken = new DashboardAccess({
        clock: stage.clock,
        randomBytes: () => new Uint8Array(32),
        load: () => damaged,
        save: () => undefined,
      });
      expect(broken.admits(withCookie("x".repeat(43)))).toBe(false);
      expect(broken.redeem(broken.invite())).not.toBeNull();
    }
  });
});
